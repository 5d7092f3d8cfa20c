#include "data/tokenized.hpp"

#include "base/error.hpp"

namespace palimpsest::data {
namespace {

bool at_position_zero(const model::Tokenizer& tokenizer, const std::string& prompt, std::size_t subject_begin,
                      std::size_t subject_size) {
  return tokenizer.index_of_subject_last_token(prompt, subject_begin, subject_begin + subject_size) == 0;
}

}  // namespace

std::vector<std::string> special_token_texts(const model::Tokenizer& tokenizer) {
  std::vector<std::string> out;
  for (const std::int64_t id : tokenizer.special_ids()) out.push_back(tokenizer.token_text(id));
  return out;
}

std::vector<std::string> position_zero_warnings(std::span<const Fact> facts, const model::Tokenizer& tokenizer,
                                                std::string_view file) {
  std::vector<std::string> out;
  const auto warn = [&](const Fact& fact, const std::string& field, const std::string& prompt) {
    out.push_back(cat(file, ":", fact.line, ": ", field, ": the last token of the subject ", in_quotes(fact.subject),
                      " is the first token of ", in_quotes(prompt),
                      ", an attention sink where an edit touches every prompt; expected words before the subject"));
  };
  for (const Fact& fact : facts) {
    const std::string prompt = expand(fact.prompt, fact.subject);
    if (at_position_zero(tokenizer, prompt, literal_parts(fact.prompt).first.size(), fact.subject.size())) {
      warn(fact, "prompt", prompt);
    }
    for (std::size_t i = 0; i < fact.probes.size(); ++i) {
      const Probe& probe = fact.probes[i];
      if (probe.split != "teach") continue;
      const std::size_t at = probe.prompt.rfind(fact.subject);
      if (at != std::string::npos && at_position_zero(tokenizer, probe.prompt, at, fact.subject.size())) {
        warn(fact, cat("probes[", i, "].prompt"), probe.prompt);
      }
    }
  }
  return out;
}

}  // namespace palimpsest::data
