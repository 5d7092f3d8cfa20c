// Reads a tokenizer.json and texts, writes what the tokenizer makes of them: the other half of
// compare_with_huggingface.py.
//
//   tokenizer_dump TOKENIZER_JSON [continuations | REPEATS] < texts.jsonl > ids.jsonl
//
// Each line read is a JSON text; each line written is {"ids": [...], "offsets": [begin, end, ...], "decoded": "..."}.
// With `continuations` the texts go on behind others; with REPEATS they are only encoded, that many times, and one line
// with bytes and seconds of processor time is written.
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "model/tokenizer/tokenizer.hpp"

namespace {

using palimpsest::model::Encoding;
using palimpsest::model::Tokenizer;

void measure(const Tokenizer& tokenizer, int repeats) {
  std::vector<std::string> texts;
  std::size_t bytes = 0;
  for (std::string line; std::getline(std::cin, line);) {
    texts.push_back(nlohmann::json::parse(line).get<std::string>());
    bytes += texts.back().size();
  }
  std::size_t tokens = 0;
  const std::clock_t begin = std::clock();  // processor time: other programs' work does not count
  for (int i = 0; i < repeats; ++i) {
    for (const std::string& text : texts) tokens += tokenizer.encode(text).ids.size();
  }
  const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  std::cout << nlohmann::json{{"bytes", bytes * static_cast<std::size_t>(repeats)},
                              {"tokens", tokens},
                              {"seconds", seconds}}
                   .dump()
            << "\n";
}

void dump(const Tokenizer& tokenizer, bool continuations) {
  for (std::string line; std::getline(std::cin, line);) {
    const auto text = nlohmann::json::parse(line).get<std::string>();
    const Encoding encoding = continuations ? tokenizer.encode_continuation(text) : tokenizer.encode(text);
    nlohmann::json offsets = nlohmann::json::array();
    for (const auto& [first, last] : encoding.offsets) {
      offsets.push_back(first);
      offsets.push_back(last);
    }
    const std::string decoded =
        continuations ? tokenizer.decode_continuation(encoding.ids) : tokenizer.decode(encoding.ids);
    const nlohmann::json out = {{"ids", encoding.ids}, {"offsets", std::move(offsets)}, {"decoded", decoded}};
    std::cout << out.dump() << '\n';
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2 || count > 3) {
    std::cerr << "usage: tokenizer_dump TOKENIZER_JSON [continuations | REPEATS] < texts.jsonl\n";
    return 2;
  }
  std::ios::sync_with_stdio(false);
  std::cin.tie(nullptr);
  try {
    const auto tokenizer = Tokenizer::open(arguments[1]);
    const std::string what = count == 3 ? arguments[2] : "";
    if (what.empty() || what == "continuations") {
      dump(*tokenizer, !what.empty());
    } else {
      measure(*tokenizer, std::stoi(what));
    }
  } catch (const std::exception& error) {
    std::cerr << "tokenizer_dump: " << error.what() << "\n";
    return 1;
  }
  return std::cout.good() ? 0 : 1;
}
