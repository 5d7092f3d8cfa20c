#include "model/tokenizer/tokenizer.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/hash.hpp"
#include "model/tokenizer/bytes.hpp"
#include "model/tokenizer/decoder.hpp"
#include "model/tokenizer/encoder.hpp"
#include "model/tokenizer/json.hpp"

namespace palimpsest::model {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 28;

// A token's text, and what the decoder gets for it: with a byte-level decoder the bytes themselves.
struct Token {
  bool exists = false;
  bool special = false;
  std::string text;
  std::string written;
};

}  // namespace

struct Tokenizer::Data {
  std::filesystem::path path;
  std::string sha256;
  TextEncoder encoder;
  Decoder decoder;
  bool byte_level;
  std::vector<Token> tokens;  // by id
  std::vector<std::pair<std::string, std::int64_t>> added_ids;
  std::vector<std::int32_t> prefix_ids;
  std::vector<std::int32_t> suffix_ids;
  std::vector<std::int64_t> special_ids;
  std::int64_t unknown = -1;
  std::optional<std::int64_t> bos;
  std::optional<std::int64_t> pad;
  std::vector<std::int64_t> eos;

  explicit Data(const TokenizerDescription& description)
      : encoder(description),
        decoder(description.decoder),
        byte_level(description.bpe.byte_level),
        prefix_ids(description.prefix_ids),
        suffix_ids(description.suffix_ids) {
    const auto put = [&](std::int64_t id, const std::string& text, bool is_special, std::string written) {
      if (static_cast<std::size_t>(id) >= tokens.size()) tokens.resize(static_cast<std::size_t>(id) + 1);
      if (decoder.is_byte_level()) written = from_byte_characters(written).value_or(written);
      tokens[static_cast<std::size_t>(id)] = {true, is_special, text, std::move(written)};
    };
    tokens.reserve(description.bpe.vocabulary.size() + description.added.size());
    for (const auto& [text, id] : description.bpe.vocabulary) put(id, text, false, text);
    for (const AddedToken& token : description.added) {
      // What the normaliser made of the token on its way in is what the decoder undoes.
      put(token.id, token.content, token.special, token.normalized ? encoder.normalised(token.content) : token.content);
      added_ids.emplace_back(token.content, token.id);
      if (token.special) special_ids.push_back(token.id);
    }
    std::sort(special_ids.begin(), special_ids.end());
    if (description.bpe.unk_token) unknown = encoder.token_id(*description.bpe.unk_token).value_or(-1);
  }

  std::optional<std::int64_t> id_of(std::string_view text) const {
    if (const auto id = encoder.token_id(text)) return *id;
    const auto found =
        std::find_if(added_ids.begin(), added_ids.end(), [&](const auto& pair) { return pair.first == text; });
    if (found == added_ids.end()) return std::nullopt;
    return found->second;
  }

  void name_special_tokens(const SpecialTokenNames& names, const std::filesystem::path& folder);
  std::string decode(std::span<const std::int64_t> ids, bool skip_special_tokens, bool continues) const;
};

void Tokenizer::Data::name_special_tokens(const SpecialTokenNames& names, const std::filesystem::path& folder) {
  const auto by_text = [&](const char* key, const std::optional<std::string>& text) -> std::optional<std::int64_t> {
    if (!text) return std::nullopt;
    const auto id = id_of(*text);
    if (!id) {
      fail(ErrorCode::kCorrupt, (folder / "tokenizer_config.json").string(), " or special_tokens_map.json: ", key,
           " \"", *text, "\" is not a token of ", path.string());
    }
    return id;
  };
  const auto by_id = [&](const char* key, std::int64_t id) {
    if (static_cast<std::size_t>(id) >= tokens.size() || !tokens[static_cast<std::size_t>(id)].exists) {
      fail(ErrorCode::kCorrupt, (folder / "generation_config.json").string(), ": ", key, " ", id, " is not a token of ",
           path.string());
    }
    return id;
  };
  bos = by_text("bos_token", names.bos);
  if (!bos && names.bos_id) bos = by_id("bos_token_id", *names.bos_id);
  pad = by_text("pad_token", names.pad);
  // Files of models that were not trained with padding name a token that the vocabulary has not.
  if (!pad && names.pad_id && static_cast<std::size_t>(*names.pad_id) < tokens.size() &&
      tokens[static_cast<std::size_t>(*names.pad_id)].exists) {
    pad = names.pad_id;
  }
  if (const auto id = by_text("eos_token", names.eos)) eos.push_back(*id);
  for (const std::int64_t id : names.eos_ids) {
    by_id("eos_token_id", id);
    if (std::find(eos.begin(), eos.end(), id) == eos.end()) eos.push_back(id);
  }
}

std::string Tokenizer::Data::decode(std::span<const std::int64_t> ids, bool skip_special_tokens, bool continues) const {
  std::string bytes;
  std::vector<std::string> pieces;
  for (const std::int64_t id : ids) {
    if (id < 0) fail(ErrorCode::kOutOfRange, "the token id ", id, " is negative");
    if (static_cast<std::size_t>(id) >= tokens.size()) continue;
    const Token& token = tokens[static_cast<std::size_t>(id)];
    if (!token.exists || (skip_special_tokens && token.special)) continue;
    if (decoder.is_byte_level()) {
      bytes += token.written;
    } else {
      pieces.push_back(token.written);
    }
  }
  return decoder.is_byte_level() ? lossy_utf8(bytes) : decoder.decode(std::move(pieces), continues);
}

Tokenizer::Tokenizer(std::unique_ptr<const Data> data) : data_(std::move(data)) {}
Tokenizer::~Tokenizer() = default;

std::shared_ptr<const Tokenizer> Tokenizer::open(const std::filesystem::path& path) {
  const bool is_folder = std::filesystem::is_directory(path);
  const std::filesystem::path file = is_folder ? path / "tokenizer.json" : path;
  const std::string text = read_file(file, kLargestFile);
  const TokenizerDescription description = parse_tokenizer_json(text, file);
  std::unique_ptr<Data> data;
  try {
    data = std::make_unique<Data>(description);
  } catch (const Error& error) {
    rethrow_with_context(error, file.string());
  }
  data->path = file;
  data->sha256 = sha256_hex(text);
  data->name_special_tokens(read_special_token_names(file.parent_path()), file.parent_path());
  return std::shared_ptr<const Tokenizer>(new Tokenizer(std::move(data)));
}

Encoding Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  Encoding out;
  const auto add = [&](const std::vector<std::int32_t>& ids) {
    if (!add_special_tokens) return;
    out.ids.insert(out.ids.end(), ids.begin(), ids.end());
    out.offsets.resize(out.ids.size());
  };
  add(data_->prefix_ids);
  data_->encoder.encode(text, false, out);
  add(data_->suffix_ids);
  return out;
}

std::string Tokenizer::decode(std::span<const std::int64_t> ids, bool skip_special_tokens) const {
  return data_->decode(ids, skip_special_tokens, false);
}

std::string Tokenizer::decode_continuation(std::span<const std::int64_t> ids, bool skip_special_tokens) const {
  return data_->decode(ids, skip_special_tokens, true);
}

Encoding Tokenizer::encode_prompt(std::string_view text) const {
  Encoding out;
  out.ids.assign(data_->prefix_ids.begin(), data_->prefix_ids.end());
  out.offsets.resize(out.ids.size());
  data_->encoder.encode(text, false, out);
  return out;
}

Encoding Tokenizer::encode_continuation(std::string_view text) const {
  Encoding out;
  data_->encoder.encode(text, true, out);
  return out;
}

Encoding Tokenizer::encode_target(std::string_view text) const {
  std::size_t spaces = 0;
  while (spaces < text.size() && text[spaces] == ' ') ++spaces;
  if (spaces == text.size()) {
    fail(ErrorCode::kInvalidArgument, "a target is empty", spaces > 0 ? " (nothing but spaces)" : "");
  }
  decode_utf8(text);  // so that a refusal counts in the caller's text
  Encoding out = encode_continuation(cat(' ', text.substr(spaces)));
  for (std::size_t i = 0; i < out.ids.size(); ++i) {
    if (out.ids[i] == data_->unknown && text.find(token_text(out.ids[i])) == std::string_view::npos) {
      fail(ErrorCode::kInvalidArgument, "the target \"", text,
           "\" has characters that the vocabulary does not have: they become \"", token_text(out.ids[i]),
           "\", from which no target can be told");
    }
    if (is_special(out.ids[i])) {
      fail(ErrorCode::kInvalidArgument, "the target \"", text, "\" holds the special token \"", token_text(out.ids[i]),
           "\"; a target is plain text");
    }
    // From " target" to the caller's text, whose last leading space, if any, is the one that was kept.
    const auto shifted = [&](std::size_t at) { return at + spaces > 0 ? at + spaces - 1 : 0; };
    out.offsets[i] = {shifted(out.offsets[i].first), shifted(out.offsets[i].second)};
  }
  return out;
}

std::string Tokenizer::target_rule() const {
  std::string rule = data_->byte_level ? "byte-level BPE: " : "BPE over characters: ";
  rule +=
      "a target is encoded with exactly one leading space, whether or not its text begins with one, and never with a "
      "begin-of-text token; ";
  if (!data_->byte_level)
    rule += "no mark of a space is put before that space, since the target goes on from a prompt; ";
  if (data_->prefix_ids.empty())
    return rule + "a prompt is encoded as it stands, since the tokenizer adds nothing before it";
  rule += "a prompt is encoded after";
  for (const std::int32_t id : data_->prefix_ids) rule += cat(" ", token_text(id), " (id ", id, ")");
  return rule + ", which the tokenizer's post-processor adds";
}

std::size_t Tokenizer::index_of_subject_last_token(std::string_view prompt, std::size_t subject_begin,
                                                   std::size_t subject_end) const {
  if (subject_begin >= subject_end || subject_end > prompt.size()) {
    fail(ErrorCode::kInvalidArgument, "the subject's bytes [", subject_begin, ", ", subject_end,
         ") are empty or outside the prompt of ", prompt.size(), " bytes: \"", prompt, "\"");
  }
  const Encoding encoding = encode_prompt(prompt);
  for (std::size_t i = encoding.ids.size(); i-- > 0;) {
    const auto& [begin, end] = encoding.offsets[i];
    if (begin < subject_end && subject_end <= end) return i;
  }
  fail(ErrorCode::kInvalidArgument, "no token stands for the last byte of the subject \"",
       prompt.substr(subject_begin, subject_end - subject_begin), "\" in the prompt \"", prompt,
       "\": the vocabulary does not have it, or the tokenizer removes it");
}

std::int64_t Tokenizer::vocabulary_size() const { return static_cast<std::int64_t>(data_->tokens.size()); }

std::optional<std::int64_t> Tokenizer::token_id(std::string_view text) const { return data_->id_of(text); }

const std::string& Tokenizer::token_text(std::int64_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= data_->tokens.size() ||
      !data_->tokens[static_cast<std::size_t>(id)].exists) {
    fail(ErrorCode::kOutOfRange, "the token id ", id, " is not in the vocabulary of ", data_->path.string(),
         " (ids 0 to ", vocabulary_size() - 1, ")");
  }
  return data_->tokens[static_cast<std::size_t>(id)].text;
}

const std::vector<std::int64_t>& Tokenizer::special_ids() const { return data_->special_ids; }

bool Tokenizer::is_special(std::int64_t id) const {
  return id >= 0 && static_cast<std::size_t>(id) < data_->tokens.size() &&
         data_->tokens[static_cast<std::size_t>(id)].special;
}

std::optional<std::int64_t> Tokenizer::bos_id() const { return data_->bos; }
std::optional<std::int64_t> Tokenizer::eos_id() const {
  return data_->eos.empty() ? std::nullopt : std::optional(data_->eos.front());
}
std::optional<std::int64_t> Tokenizer::pad_id() const { return data_->pad; }
const std::vector<std::int64_t>& Tokenizer::eos_ids() const { return data_->eos; }
const std::string& Tokenizer::sha256() const { return data_->sha256; }
const std::filesystem::path& Tokenizer::path() const { return data_->path; }

}  // namespace palimpsest::model
