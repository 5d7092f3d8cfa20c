#include "model/tokenizer/json_steps.hpp"

#include <map>
#include <string>
#include <tuple>
#include <utility>

namespace palimpsest::model {
namespace {

// The keys "Regex" and "String" of a pattern: its text, and whether it stands for itself.
std::pair<std::string, bool> read_pattern(const JsonNode& pattern) {
  pattern.keys({"Regex", "String"});
  if (pattern.has("Regex") == pattern.has("String"))
    pattern.corrupt("expected one of the keys \"Regex\" and \"String\"");
  const bool literal = pattern.has("String");
  std::string text = pattern.at(literal ? "String" : "Regex").text();
  if (text.empty()) pattern.corrupt("the pattern is empty");
  return {std::move(text), literal};
}

ReplaceDescription read_replace(const JsonNode& node) {
  node.keys({"type", "pattern", "content"});
  ReplaceDescription out;
  std::tie(out.pattern, out.literal) = read_pattern(node.at("pattern"));
  out.content = node.at("content").text();
  return out;
}

PreTokenizerStep read_split(const JsonNode& node) {
  static const std::map<std::string, SplitBehaviour> kBehaviours = {
      {"Isolated", SplitBehaviour::kIsolated},
      {"Removed", SplitBehaviour::kRemoved},
      {"MergedWithPrevious", SplitBehaviour::kMergedWithPrevious},
      {"MergedWithNext", SplitBehaviour::kMergedWithNext},
      {"Contiguous", SplitBehaviour::kContiguous}};
  node.keys({"type", "pattern", "behavior", "invert"});
  PreTokenizerStep step;
  step.kind = PreTokenizerStep::Kind::kSplit;
  const std::string behaviour = node.at("behavior").text();
  const auto found = kBehaviours.find(behaviour);
  if (found == kBehaviours.end()) {
    node.at("behavior")
        .unsupported(
            "\"", behaviour,
            "\" is not supported; supported: Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous");
  }
  step.behaviour = found->second;
  step.invert = node.at("invert").flag(false);
  std::tie(step.pattern, step.literal) = read_pattern(node.at("pattern"));
  return step;
}

// "Metaspace", as a pre-tokenizer or a decoder.
struct Metaspace {
  char32_t mark;
  PrependScheme scheme;
  bool split;
};

Metaspace read_metaspace(const JsonNode& node) {
  static const std::map<std::string, PrependScheme> kSchemes = {
      {"always", PrependScheme::kAlways}, {"first", PrependScheme::kFirst}, {"never", PrependScheme::kNever}};
  node.keys({"type", "replacement", "prepend_scheme", "add_prefix_space", "split", "str_rep"});
  Metaspace out{node.at("replacement").character(), PrependScheme::kAlways, node.at("split").flag(true)};
  const JsonNode scheme = node.at("prepend_scheme");
  if (!scheme.is_null()) {
    const auto found = kSchemes.find(scheme.text());
    if (found == kSchemes.end())
      scheme.unsupported("\"", scheme.text(), "\" is not supported; supported: always, first, never");
    out.scheme = found->second;
  }
  if (!node.at("add_prefix_space").flag(true) && out.scheme != PrependScheme::kNever) {
    node.corrupt("add_prefix_space is false, but prepend_scheme is not \"never\"");
  }
  return out;
}

void read_template(const JsonNode& node, TokenizerDescription& out) {
  node.keys({"type", "single", "pair", "special_tokens"});
  std::map<std::string, std::vector<std::int32_t>> ids;
  const JsonNode table = node.at("special_tokens");
  if (!table.value().is_object()) table.corrupt("expected an object, found ", table.value().type_name());
  for (const auto& [name, unused] : table.value().items()) {
    const JsonNode entry = table.at(name);
    entry.keys({"id", "ids", "tokens"});
    for (const JsonNode& id : entry.at("ids").items()) ids[name].push_back(id.id());
  }
  bool after_text = false;
  for (const JsonNode& piece : node.at("single").items()) {
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

}  // namespace

void read_normalizer(const JsonNode& node, std::vector<NormaliserStep>& out) {
  if (node.is_null()) return;
  const std::string type = type_of(node);
  NormaliserStep step;
  if (type == "Sequence") {
    node.keys({"type", "normalizers"});
    for (const JsonNode& item : node.at("normalizers").items()) read_normalizer(item, out);
    return;
  }
  if (type == "NFC") {
    node.keys({"type"});
    step.kind = NormaliserStep::Kind::kNfc;
  } else if (type == "Prepend") {
    node.keys({"type", "prepend"});
    step.kind = NormaliserStep::Kind::kPrepend;
    step.prepend = node.at("prepend").text();
  } else if (type == "Replace") {
    step.kind = NormaliserStep::Kind::kReplace;
    step.replace = read_replace(node);
  } else {
    node.unsupported("the normalizer \"", type, "\" is not supported; supported: NFC, Prepend, Replace, Sequence");
  }
  out.push_back(std::move(step));
}

void read_pre_tokenizer(const JsonNode& node, std::vector<PreTokenizerStep>& out) {
  if (node.is_null()) return;
  const std::string type = type_of(node);
  PreTokenizerStep step;
  if (type == "Sequence") {
    node.keys({"type", "pretokenizers"});
    for (const JsonNode& item : node.at("pretokenizers").items()) read_pre_tokenizer(item, out);
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
  } else if (type == "Metaspace") {
    step.kind = PreTokenizerStep::Kind::kMetaspace;
    const Metaspace metaspace = read_metaspace(node);
    step.mark = metaspace.mark;
    step.scheme = metaspace.scheme;
    step.split_at_marks = metaspace.split;
  } else {
    node.unsupported("the pre-tokenizer \"", type,
                     "\" is not supported; supported: ByteLevel, Digits, Metaspace, Sequence, Split");
  }
  if (!out.empty() && out.back().is_last()) {
    node.unsupported("a pre-tokenizer after \"",
                     out.back().kind == PreTokenizerStep::Kind::kByteLevel ? "ByteLevel" : "Metaspace",
                     "\" is not supported");
  }
  out.push_back(std::move(step));
}

void read_decoder(const JsonNode& node, std::vector<DecoderStep>& out) {
  if (node.is_null()) node.unsupported("null is not supported; tokens would be joined by spaces");
  const std::string type = type_of(node);
  DecoderStep step;
  if (type == "Sequence") {
    node.keys({"type", "decoders"});
    for (const JsonNode& item : node.at("decoders").items()) read_decoder(item, out);
    return;
  }
  if (type == "ByteLevel") {
    node.keys({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    step.kind = DecoderStep::Kind::kByteLevel;
  } else if (type == "Replace") {
    step.kind = DecoderStep::Kind::kReplace;
    step.replace = read_replace(node);
  } else if (type == "ByteFallback" || type == "Fuse") {
    node.keys({"type"});
    step.kind = type == "Fuse" ? DecoderStep::Kind::kFuse : DecoderStep::Kind::kByteFallback;
  } else if (type == "Strip") {
    node.keys({"type", "content", "start", "stop"});
    step.kind = DecoderStep::Kind::kStrip;
    step.character = node.at("content").character();
    step.start = node.at("start").count();
    step.stop = node.at("stop").count();
  } else if (type == "Metaspace") {
    step.kind = DecoderStep::Kind::kMetaspace;
    const Metaspace metaspace = read_metaspace(node);
    step.character = metaspace.mark;
    step.keep_first = metaspace.scheme == PrependScheme::kNever;
  } else {
    node.unsupported("the decoder \"", type,
                     "\" is not supported; supported: ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, "
                     "Strip");
  }
  out.push_back(std::move(step));
}

void read_post_processor(const JsonNode& node, TokenizerDescription& out, bool& has_template) {
  if (node.is_null()) return;
  const std::string type = type_of(node);
  if (type == "Sequence") {
    node.keys({"type", "processors"});
    for (const JsonNode& item : node.at("processors").items()) read_post_processor(item, out, has_template);
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

}  // namespace palimpsest::model
