#include "model/tokenizer_json.hpp"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/error.hpp"
#include "base/files.hpp"

namespace palimpsest::model {
namespace {

using nlohmann::json;

// Ids index tables and embedding rows; a larger one in a file is a mistake, not a vocabulary.
constexpr std::int64_t kLargestId = (std::int64_t{1} << 24) - 1;

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

// A JSON object with its place ("pre_tokenizer.pretokenizers[1]"), for messages and for refusing what is not known.
class Node {
 public:
  Node(const json& value, std::string place, const std::filesystem::path& file)
      : value_(&value), place_(std::move(place)), file_(&file) {}

  const json& value() const { return *value_; }
  bool is_null() const { return value_->is_null(); }

  template <typename... Parts>
  [[noreturn]] void corrupt(const Parts&... parts) const {
    fail(ErrorCode::kCorrupt, file_->string(), ": ", place_.empty() ? "the document" : place_, ": ", parts...);
  }
  template <typename... Parts>
  [[noreturn]] void unsupported(const Parts&... parts) const {
    fail(ErrorCode::kUnsupported, file_->string(), ": ", place_.empty() ? "the document" : place_, ": ", parts...);
  }

  void keys(std::initializer_list<std::string_view> known) const {
    object();
    for (const auto& [key, unused] : value_->items()) {
      if (std::find(known.begin(), known.end(), key) == known.end()) {
        unsupported("the key \"", key, "\" is not known", did_you_mean(key, known),
                    "; ids could differ if it were passed over");
      }
    }
  }
  bool has(const std::string& key) const { return value_->is_object() && value_->contains(key); }
  // Null when absent.
  Node at(const std::string& key) const {
    static const json kNull;
    object();
    const auto found = value_->find(key);
    return {found == value_->end() ? kNull : *found, place_.empty() ? key : place_ + "." + key, *file_};
  }
  std::vector<Node> items() const {
    if (!value_->is_array()) corrupt("expected an array, found ", value_->type_name());
    std::vector<Node> out;
    for (std::size_t i = 0; i < value_->size(); ++i) out.emplace_back((*value_)[i], cat(place_, "[", i, "]"), *file_);
    return out;
  }
  std::string text() const {
    if (!value_->is_string()) corrupt("expected a text, found ", value_->type_name());
    return value_->get<std::string>();
  }
  bool flag(bool when_absent) const {
    if (is_null()) return when_absent;
    if (!value_->is_boolean()) corrupt("expected true or false, found ", value_->type_name());
    return value_->get<bool>();
  }
  std::int32_t id() const {
    if (!value_->is_number_integer()) corrupt("expected an id, found ", value_->type_name());
    const auto number = value_->get<std::int64_t>();
    if (number < 0 || number > kLargestId) corrupt("the id ", number, " is not within 0 and ", kLargestId);
    return static_cast<std::int32_t>(number);
  }
  void null_only(const char* advice) const {
    if (!is_null()) unsupported("is not supported, only null is; ", advice);
  }

 private:
  void object() const {
    if (!value_->is_object()) corrupt("expected an object, found ", value_->type_name());
  }
  const json* value_;
  std::string place_;
  const std::filesystem::path* file_;
};

std::string type_of(const Node& node) {
  const Node type = node.at("type");
  if (type.is_null()) node.corrupt("the key \"type\" is missing");
  return type.text();
}

std::pair<std::string, std::string> read_merge(const Node& node) {
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

BpeDescription read_bpe(const Node& node) {
  if (node.is_null()) node.corrupt("is missing");
  const std::string type = type_of(node);
  if (type != "BPE") node.unsupported("the model \"", type, "\" is not supported, only byte-level \"BPE\" is");
  node.keys({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
             "byte_fallback", "ignore_merges", "vocab", "merges"});
  const Node dropout = node.at("dropout");
  if (!dropout.is_null() && !(dropout.value().is_number() && dropout.value().get<double>() == 0)) {
    dropout.unsupported("dropout makes ids random and is not supported; set it to null");
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Node affix = node.at(key);
    if (!affix.is_null() && !affix.text().empty())
      affix.unsupported("\"", affix.text(), "\" is not supported, only null is");
  }
  if (node.at("byte_fallback").flag(false)) {
    node.at("byte_fallback")
        .unsupported("true is not supported (a SentencePiece vocabulary; byte-level ones need none)");
  }
  BpeDescription out;
  out.fuse_unk = node.at("fuse_unk").flag(false);
  out.ignore_merges = node.at("ignore_merges").flag(false);
  if (!node.at("unk_token").is_null()) out.unk_token = node.at("unk_token").text();

  const Node vocabulary = node.at("vocab");
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
  for (const Node& merge : node.at("merges").items()) {
    // Files converted from merges.txt keep its first line.
    if (merge.value().is_string() && merge.value().get_ref<const std::string&>().starts_with("#version")) continue;
    out.merges.push_back(read_merge(merge));
  }
  return out;
}

std::vector<AddedToken> read_added(const Node& node, const BpeDescription& bpe) {
  std::vector<AddedToken> out;
  if (node.is_null()) return out;
  std::unordered_map<std::string_view, std::int32_t> vocabulary;
  vocabulary.reserve(bpe.vocabulary.size());
  for (const auto& [text, id] : bpe.vocabulary) vocabulary.emplace(text, id);
  std::set<std::string> seen;
  // A token that is not in the vocabulary gets the next free number, as Hugging Face tokenizers number them.
  auto next = static_cast<std::int32_t>(bpe.vocabulary.size());
  for (const Node& item : node.items()) {
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

PreTokenizerStep read_split(const Node& node) {
  node.keys({"type", "pattern", "behavior", "invert"});
  const std::string behavior = node.at("behavior").text();
  if (behavior != "Isolated") {
    node.at("behavior").unsupported("\"", behavior, "\" is not supported, only \"Isolated\" is");
  }
  node.at("invert").flag(false);  // matches and what lies between them are pieces either way
  const Node pattern = node.at("pattern");
  pattern.keys({"Regex", "String"});
  if (pattern.has("Regex") == pattern.has("String"))
    pattern.corrupt("expected one of the keys \"Regex\" and \"String\"");
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::kSplit;
  step.literal = pattern.has("String");
  step.pattern = pattern.at(step.literal ? "String" : "Regex").text();
  if (step.pattern.empty()) pattern.corrupt("the pattern is empty");
  return step;
}

void read_pre_tokenizer(const Node& node, std::vector<PreTokenizerStep>& out) {
  if (node.is_null()) node.unsupported("null is not supported; byte-level BPE needs \"ByteLevel\"");
  const std::string type = type_of(node);
  PreTokenizerStep step;
  if (type == "Sequence") {
    node.keys({"type", "pretokenizers"});
    for (const Node& item : node.at("pretokenizers").items()) read_pre_tokenizer(item, out);
    return;
  }
  if (type == "Digits") {
    node.keys({"type", "individual_digits"});
    step.kind = PreTokenizerStep::Kind::kDigits;
    step.individual_digits = node.at("individual_digits").flag(false);
  } else if (type == "Split") {
    step = read_split(node);
  } else if (type == "ByteLevel") {
    node.keys({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    step.kind = PreTokenizerStep::Kind::kByteLevel;
    step.add_prefix_space = node.at("add_prefix_space").flag(true);
    step.use_regex = node.at("use_regex").flag(true);
  } else {
    node.unsupported("the pre-tokenizer \"", type,
                     "\" is not supported; supported: ByteLevel, Digits, Sequence, Split");
  }
  if (!out.empty() && out.back().kind == PreTokenizerStep::Kind::kByteLevel) {
    node.unsupported("a pre-tokenizer after \"ByteLevel\" is not supported");
  }
  out.push_back(std::move(step));
}

void read_template(const Node& node, TokenizerDescription& out) {
  node.keys({"type", "single", "pair", "special_tokens"});
  std::map<std::string, std::vector<std::int32_t>> ids;
  const Node table = node.at("special_tokens");
  if (!table.value().is_object()) table.corrupt("expected an object, found ", table.value().type_name());
  for (const auto& [name, unused] : table.value().items()) {
    const Node entry = table.at(name);
    entry.keys({"id", "ids", "tokens"});
    for (const Node& id : entry.at("ids").items()) ids[name].push_back(id.id());
  }
  bool after_text = false;
  for (const Node& piece : node.at("single").items()) {
    piece.keys({"SpecialToken", "Sequence"});
    if (piece.has("Sequence")) {
      const std::string name = piece.at("Sequence").at("id").text();
      if (name != "A" || after_text) piece.unsupported("the sequence \"", name, "\" is not supported; \"A\", once, is");
      after_text = true;
      continue;
    }
    const std::string name = piece.at("SpecialToken").at("id").text();
    const auto found = ids.find(name);
    if (found == ids.end()) piece.corrupt("the special token \"", name, "\" is not among special_tokens");
    auto& side = after_text ? out.suffix_ids : out.prefix_ids;
    side.insert(side.end(), found->second.begin(), found->second.end());
  }
  if (!after_text) node.corrupt("the template \"single\" has no sequence \"A\"");
}

void read_post_processor(const Node& node, TokenizerDescription& out, bool& has_template) {
  if (node.is_null()) return;
  const std::string type = type_of(node);
  if (type == "Sequence") {
    node.keys({"type", "processors"});
    for (const Node& item : node.at("processors").items()) read_post_processor(item, out, has_template);
  } else if (type == "ByteLevel") {
    // It trims offsets, which here always are those of the bytes.
    node.keys({"type", "add_prefix_space", "trim_offsets", "use_regex"});
  } else if (type == "TemplateProcessing") {
    if (has_template) node.unsupported("a second \"TemplateProcessing\" is not supported");
    has_template = true;
    read_template(node, out);
  } else {
    node.unsupported("the post-processor \"", type,
                     "\" is not supported; supported: ByteLevel, Sequence, TemplateProcessing");
  }
}

void check_decoder(const Node& node) {
  if (node.is_null()) node.unsupported("null is not supported; byte-level BPE needs \"ByteLevel\"");
  const std::string type = type_of(node);
  if (type == "Sequence") {
    node.keys({"type", "decoders"});
    const auto items = node.at("decoders").items();
    if (items.size() != 1) node.unsupported("a sequence of ", items.size(), " decoders is not supported");
    check_decoder(items.front());
    return;
  }
  if (type != "ByteLevel") node.unsupported("the decoder \"", type, "\" is not supported, only \"ByteLevel\" is");
  node.keys({"type", "add_prefix_space", "trim_offsets", "use_regex"});
}

void check_ids(const Node& node, const TokenizerDescription& description) {
  std::unordered_set<std::int32_t> known;
  for (const auto& [unused, id] : description.bpe.vocabulary) known.insert(id);
  for (const AddedToken& token : description.added) known.insert(token.id);
  for (const auto* ids : {&description.prefix_ids, &description.suffix_ids}) {
    for (const std::int32_t id : *ids) {
      if (!known.contains(id)) node.corrupt("the id ", id, " is not in the vocabulary");
    }
  }
}

std::optional<std::string> read_token_text(const Node& node) {
  if (node.is_null()) return std::nullopt;
  return node.value().is_object() ? node.at("content").text() : node.text();
}

}  // namespace

TokenizerDescription parse_tokenizer_json(std::string_view text, const std::filesystem::path& file) {
  const json document = parse_json(text, file);
  const Node root(document, "", file);
  root.keys({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
             "decoder", "model"});
  if (root.at("version").is_null()) root.corrupt("the key \"version\" is missing; is this a tokenizer.json?");
  if (root.at("version").text() != "1.0")
    root.at("version").unsupported("expected \"1.0\", found \"", root.at("version").text(), "\"");
  root.at("truncation").null_only("set it to null: how long a text may be is for its reader to say");
  root.at("padding").null_only("set it to null: batches are padded where they are made");
  const Node normalizer = root.at("normalizer");
  if (!normalizer.is_null()) {
    normalizer.unsupported("the normalizer \"", type_of(normalizer), "\" is not supported, only null is");
  }
  TokenizerDescription out;
  out.bpe = read_bpe(root.at("model"));
  out.added = read_added(root.at("added_tokens"), out.bpe);
  const Node pre_tokenizer = root.at("pre_tokenizer");
  read_pre_tokenizer(pre_tokenizer, out.steps);
  if (out.steps.empty() || out.steps.back().kind != PreTokenizerStep::Kind::kByteLevel) {
    pre_tokenizer.unsupported("does not end with \"ByteLevel\"; only byte-level BPE is supported");
  }
  check_decoder(root.at("decoder"));
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
    const Node root(document, "", file);
    if (!out.bos) out.bos = read_token_text(root.at("bos_token"));
    if (!out.eos) out.eos = read_token_text(root.at("eos_token"));
    if (!out.pad) out.pad = read_token_text(root.at("pad_token"));
  }
  const auto file = folder / "generation_config.json";
  if (std::filesystem::exists(file)) {
    const json document = parse_json(read_file(file), file);
    const Node root(document, "", file);
    const Node bos = root.at("bos_token_id");
    const Node eos = root.at("eos_token_id");
    const Node pad = root.at("pad_token_id");
    if (!bos.is_null()) out.bos_id = bos.id();
    if (!pad.is_null()) out.pad_id = pad.id();
    if (eos.value().is_array()) {
      for (const Node& id : eos.items()) out.eos_ids.push_back(id.id());
    } else if (!eos.is_null()) {
      out.eos_ids.push_back(eos.id());
    }
  }
  return out;
}

}  // namespace palimpsest::model
