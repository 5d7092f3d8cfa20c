#include "model/tokenizer/json.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.hpp"
#include "base/files.hpp"
#include "model/tokenizer/json_steps.hpp"

namespace palimpsest::model {
namespace {

using nlohmann::json;

json parse_json(std::string_view text, const std::filesystem::path& file) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    // The library's sentence says what it saw; its prefix "[json.exception...]" helps nobody.
    const std::string_view what = error.what();
    const auto skip = what.find("] ");
    fail(ErrorCode::kCorrupt, file.string(), ": not valid JSON, at byte ", error.byte, " of ", text.size(),
         error.byte > text.size() ? " (the file is cut off)" : "", ": ",
         skip == std::string_view::npos ? what : what.substr(skip + 2));
  }
}

std::pair<std::string, std::string> read_merge(const JsonNode& node) {
  if (node.value().is_array()) {
    const auto items = node.items();
    if (items.size() != 2) node.corrupt("expected a pair of tokens, found ", items.size(), " items");
    return {items[0].text(), items[1].text()};
  }
  const std::string text = node.text();
  const auto space = text.find(' ');
  if (space == std::string::npos || space == 0 || space + 1 == text.size() ||
      text.find(' ', space + 1) != std::string::npos) {
    node.corrupt("expected two tokens with one space between them, found \"", text, "\"");
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

BpeDescription read_bpe(const JsonNode& node) {
  if (node.is_null()) node.corrupt("is missing");
  // Older files, GPT-2's among them, do not name the model.
  const std::string type = node.at("type").is_null() && node.has("merges") ? "BPE" : type_of(node);
  if (type != "BPE") node.unsupported("the model \"", type, "\" is not supported, only \"BPE\" is");
  node.keys({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
             "byte_fallback", "ignore_merges", "vocab", "merges"});
  const JsonNode dropout = node.at("dropout");
  if (!dropout.is_null() && !(dropout.value().is_number() && dropout.value().get<double>() == 0)) {
    dropout.unsupported("dropout makes ids random and is not supported; set it to null");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const JsonNode affix = node.at(key);
    if (!affix.is_null() && !affix.text().empty())
      affix.unsupported("\"", affix.text(), "\" is not supported, only null is");
  }
  BpeDescription out;
  out.byte_fallback = node.at("byte_fallback").flag(false);
  out.fuse_unk = node.at("fuse_unk").flag(false);
  out.ignore_merges = node.at("ignore_merges").flag(false);
  // GPT-2's file writes "" for none.
  if (!node.at("unk_token").is_null() && !node.at("unk_token").text().empty()) {
    out.unk_token = node.at("unk_token").text();
  }

  const JsonNode vocabulary = node.at("vocab");
  if (!vocabulary.value().is_object() || vocabulary.value().empty()) {
    vocabulary.corrupt("expected an object of tokens and ids, found ", vocabulary.value().type_name());
  }
  out.vocabulary.reserve(vocabulary.value().size());
  for (const auto& [token, id] : vocabulary.value().items()) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() > kLargestId) {
      vocabulary.corrupt("the id of \"", token, "\" is ", id.dump(), ", not a number within 0 and ", kLargestId);
    }
    out.vocabulary.emplace_back(token, id.get<std::int32_t>());
  }
  std::sort(out.vocabulary.begin(), out.vocabulary.end(),
            [](const auto& a, const auto& b) { return a.second < b.second; });
  for (std::size_t i = 1; i < out.vocabulary.size(); ++i) {
    if (out.vocabulary[i].second == out.vocabulary[i - 1].second) {
      vocabulary.corrupt("\"", out.vocabulary[i - 1].first, "\" and \"", out.vocabulary[i].first,
                         "\" both have the id ", out.vocabulary[i].second);
    }
  }
  if (node.at("merges").is_null()) node.corrupt("the key \"merges\" is missing");
  for (const JsonNode& merge : node.at("merges").items()) {
    // Files converted from merges.txt keep its first line.
    if (merge.value().is_string() && merge.value().get_ref<const std::string&>().starts_with("#version")) continue;
    out.merges.push_back(read_merge(merge));
  }
  return out;
}

std::vector<AddedToken> read_added(const JsonNode& node, const BpeDescription& bpe) {
  std::vector<AddedToken> out;
  if (node.is_null()) return out;
  std::unordered_map<std::string_view, std::int32_t> vocabulary;
  vocabulary.reserve(bpe.vocabulary.size());
  for (const auto& [text, id] : bpe.vocabulary) vocabulary.emplace(text, id);
  std::set<std::string> seen;
  // A token that is not in the vocabulary gets the next free number, as Hugging Face tokenizers number them.
  auto next = static_cast<std::int32_t>(bpe.vocabulary.size());
  for (const JsonNode& item : node.items()) {
    item.keys({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    AddedToken token;
    token.content = item.at("content").text();
    token.id = item.at("id").id();
    token.single_word = item.at("single_word").flag(false);
    token.lstrip = item.at("lstrip").flag(false);
    token.rstrip = item.at("rstrip").flag(false);
    token.special = item.at("special").flag(false);
    token.normalized = item.at("normalized").flag(!token.special);
    if (token.content.empty()) item.corrupt("an added token without content");
    if (!seen.insert(token.content).second)
      item.corrupt("the added token \"", token.content, "\" stands here a second time");
    const auto known = vocabulary.find(token.content);
    const std::int32_t expected = known != vocabulary.end() ? known->second : next;
    if (token.id != expected) {
      item.corrupt("the added token \"", token.content, "\" has the id ", token.id, ", but ",
                   known != vocabulary.end() ? "model.vocab gives it " : "the next free one is ", expected);
    }
    next = std::max(next, token.id + 1);
    out.push_back(std::move(token));
  }
  return out;
}

void check_ids(const JsonNode& node, const TokenizerDescription& description) {
  std::unordered_set<std::int32_t> known;
  for (const auto& [unused, id] : description.bpe.vocabulary) known.insert(id);
  for (const AddedToken& token : description.added) known.insert(token.id);
  for (const auto* ids : {&description.prefix_ids, &description.suffix_ids}) {
    for (const std::int32_t id : *ids) {
      if (!known.contains(id)) node.corrupt("the id ", id, " is not in the vocabulary");
    }
  }
}

// Whether the vocabulary is in the byte-level alphabet, by the steps around it, which have to agree.
void check_alphabet(const JsonNode& root, TokenizerDescription& out) {
  const bool writes = !out.steps.empty() && out.steps.back().kind == PreTokenizerStep::Kind::kByteLevel;
  const bool reads = std::any_of(out.decoder.begin(), out.decoder.end(),
                                 [](const DecoderStep& step) { return step.kind == DecoderStep::Kind::kByteLevel; });
  if (reads && !writes) {
    root.at("pre_tokenizer")
        .unsupported(out.steps.empty() ? "null is not supported" : "does not end with \"ByteLevel\"",
                     ", but the decoder is \"ByteLevel\"; byte-level BPE has both");
  }
  if (writes && !reads) {
    root.at("decoder").unsupported("is not \"ByteLevel\", but the pre-tokenizer is; byte-level BPE has both");
  }
  out.bpe.byte_level = writes;
  if (writes && out.bpe.byte_fallback) {
    root.at("model").at("byte_fallback").unsupported("true is not supported with \"ByteLevel\", which needs none");
  }
}

std::optional<std::string> read_token_text(const JsonNode& node) {
  if (node.is_null()) return std::nullopt;
  std::string text = node.value().is_object() ? node.at("content").text() : node.text();
  // Older files write a token that is not there as an empty one.
  if (text.empty()) return std::nullopt;
  return text;
}

}  // namespace

TokenizerDescription parse_tokenizer_json(std::string_view text, const std::filesystem::path& file) {
  const json document = parse_json(text, file);
  const JsonNode root(document, "", file);
  root.keys({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
             "decoder", "model"});
  if (root.at("version").is_null()) root.corrupt("the key \"version\" is missing; is this a tokenizer.json?");
  if (root.at("version").text() != "1.0")
    root.at("version").unsupported("expected \"1.0\", found \"", root.at("version").text(), "\"");
  root.at("truncation").null_only("set it to null: how long a text may be is for its reader to say");
  root.at("padding").null_only("set it to null: batches are padded where they are made");
  TokenizerDescription out;
  out.bpe = read_bpe(root.at("model"));
  out.added = read_added(root.at("added_tokens"), out.bpe);
  read_normalizer(root.at("normalizer"), out.normaliser);
  read_pre_tokenizer(root.at("pre_tokenizer"), out.steps);
  read_decoder(root.at("decoder"), out.decoder);
  check_alphabet(root, out);
  bool has_template = false;
  read_post_processor(root.at("post_processor"), out, has_template);
  check_ids(root.at("post_processor"), out);
  return out;
}

SpecialTokenNames read_special_token_names(const std::filesystem::path& folder) {
  SpecialTokenNames out;
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const auto file = folder / name;
    if (!std::filesystem::exists(file)) continue;
    const json document = parse_json(read_file(file), file);
    const JsonNode root(document, "", file);
    if (!out.bos) out.bos = read_token_text(root.at("bos_token"));
    if (!out.eos) out.eos = read_token_text(root.at("eos_token"));
    if (!out.pad) out.pad = read_token_text(root.at("pad_token"));
  }
  const auto file = folder / "generation_config.json";
  if (std::filesystem::exists(file)) {
    const json document = parse_json(read_file(file), file);
    const JsonNode root(document, "", file);
    const JsonNode bos = root.at("bos_token_id");
    const JsonNode eos = root.at("eos_token_id");
    const JsonNode pad = root.at("pad_token_id");
    if (!bos.is_null()) out.bos_id = bos.id();
    // Nothing depends on it, and older files hold -1.
    if (pad.value().is_number_integer() && pad.value() >= 0) out.pad_id = pad.id();
    if (eos.value().is_array()) {
      for (const JsonNode& id : eos.items()) out.eos_ids.push_back(id.id());
    } else if (!eos.is_null()) {
      out.eos_ids.push_back(eos.id());
    }
  }
  return out;
}

}  // namespace palimpsest::model
