#include "model/tokenizer.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/hash.hpp"
#include "model/tokenizer_added.hpp"
#include "model/tokenizer_bpe.hpp"
#include "model/tokenizer_bytes.hpp"
#include "model/tokenizer_classes.hpp"
#include "model/tokenizer_json.hpp"
#include "model/tokenizer_pattern.hpp"

namespace palimpsest::model {
namespace {

// What "ByteLevel" with use_regex splits by: GPT-2's pattern.
constexpr std::string_view kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::size_t kLargestFile = std::size_t{1} << 28;

struct Step {
  PreTokenizerStep description;
  std::unique_ptr<const SplitPattern> pattern;  // null: the step splits by no pattern
};

// A token's text in the vocabulary, and the bytes it decodes to.
struct Token {
  bool exists = false;
  bool special = false;
  std::string text;
  std::string bytes;
};

void split_digits(const CodePoints& text, const PieceRange& piece, bool individual, std::vector<PieceRange>& out) {
  const auto digit = [&](std::size_t i) {
    const char32_t c = text.points[i];
    return c < 0x80 ? c >= U'0' && c <= U'9' : contains(numeric_set(), c);
  };
  for (std::size_t begin = piece.begin; begin < piece.end;) {
    const bool is_digit = digit(begin);
    std::size_t end = begin + 1;
    while (end < piece.end && digit(end) == is_digit && !(is_digit && individual)) ++end;
    out.push_back({begin, end});
    begin = end;
  }
}

}  // namespace

struct Tokenizer::Data {
  std::filesystem::path path;
  std::string sha256;
  std::vector<Step> steps;
  AddedTokenMatcher added;
  BytePairEncoder bpe;
  std::vector<Token> tokens;  // by id
  std::vector<std::pair<std::string, std::int64_t>> added_ids;
  std::vector<std::int32_t> prefix_ids;
  std::vector<std::int32_t> suffix_ids;
  std::vector<std::int64_t> special_ids;
  std::optional<std::int64_t> bos;
  std::optional<std::int64_t> pad;
  std::vector<std::int64_t> eos;

  explicit Data(const TokenizerDescription& description)
      : added(description.added),
        bpe(description.bpe),
        prefix_ids(description.prefix_ids),
        suffix_ids(description.suffix_ids) {
    for (const PreTokenizerStep& step : description.steps) {
      const bool byte_level = step.kind == PreTokenizerStep::Kind::kByteLevel;
      std::unique_ptr<const SplitPattern> pattern;
      if (step.kind == PreTokenizerStep::Kind::kSplit) {
        pattern = std::make_unique<SplitPattern>(step.pattern, step.literal);
      } else if (byte_level && step.use_regex) {
        pattern = std::make_unique<SplitPattern>(kByteLevelPattern);
      }
      steps.push_back({step, std::move(pattern)});
    }
    const auto put = [&](std::int64_t id, const std::string& text, bool is_special) {
      if (static_cast<std::size_t>(id) >= tokens.size()) tokens.resize(static_cast<std::size_t>(id) + 1);
      tokens[static_cast<std::size_t>(id)] = {true, is_special, text, from_byte_characters(text).value_or(text)};
    };
    tokens.reserve(description.bpe.vocabulary.size() + description.added.size());
    for (const auto& [text, id] : description.bpe.vocabulary) put(id, text, false);
    for (const AddedToken& token : description.added) {
      put(token.id, token.content, token.special);
      added_ids.emplace_back(token.content, token.id);
      if (token.special) special_ids.push_back(token.id);
    }
    std::sort(special_ids.begin(), special_ids.end());
  }

  std::optional<std::int64_t> id_of(std::string_view text) const {
    if (const auto id = bpe.token_id(text)) return *id;
    const auto found =
        std::find_if(added_ids.begin(), added_ids.end(), [&](const auto& pair) { return pair.first == text; });
    if (found == added_ids.end()) return std::nullopt;
    return found->second;
  }

  void name_special_tokens(const SpecialTokenNames& names, const std::filesystem::path& folder);
  void encode_piece(std::string_view text, const CodePoints& points, const PieceRange& piece, const Step& byte_level,
                    Encoding& out) const;
  void encode_word(std::string_view word, std::size_t offset, bool has_prefix, Encoding& out) const;
  void encode_text(std::string_view text, Encoding& out) const;
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
  if (!pad && names.pad_id) pad = by_id("pad_token_id", *names.pad_id);
  if (const auto id = by_text("eos_token", names.eos)) eos.push_back(*id);
  for (const std::int64_t id : names.eos_ids) {
    by_id("eos_token_id", id);
    if (std::find(eos.begin(), eos.end(), id) == eos.end()) eos.push_back(id);
  }
}

// `offset`: where the word stands in the text. With `has_prefix` its first byte is a space that the text does not have.
void Tokenizer::Data::encode_word(std::string_view word, std::size_t offset, bool has_prefix, Encoding& out) const {
  thread_local std::vector<WordToken> word_tokens;
  word_tokens.clear();
  bpe.encode(word, word_tokens);
  const std::size_t added_bytes = has_prefix ? 1 : 0;
  for (const WordToken& token : word_tokens) {
    out.ids.push_back(token.id);
    out.offsets.emplace_back(offset + token.begin - std::min<std::size_t>(token.begin, added_bytes),
                             offset + token.end - std::min<std::size_t>(token.end, added_bytes));
  }
}

// The last step, "ByteLevel", on one piece of the text.
void Tokenizer::Data::encode_piece(std::string_view text, const CodePoints& points, const PieceRange& piece,
                                   const Step& byte_level, Encoding& out) const {
  const std::span<const char32_t> all(points.points);
  const auto range = all.subspan(piece.begin, piece.end - piece.begin);
  const bool prefix = byte_level.description.add_prefix_space && range.front() != U' ';
  thread_local std::vector<PieceRange> words;
  words.clear();
  if (byte_level.pattern == nullptr) {
    words.push_back({0, range.size() + (prefix ? 1 : 0)});
  } else if (prefix) {
    std::vector<char32_t> prefixed(1, U' ');
    prefixed.insert(prefixed.end(), range.begin(), range.end());
    byte_level.pattern->split(prefixed, 0, words);
  } else {
    byte_level.pattern->split(range, 0, words);
  }
  for (const PieceRange& word : words) {
    const bool has_prefix = prefix && word.begin == 0;
    const std::size_t shift = prefix ? 1 : 0;
    const std::size_t begin = points.starts[piece.begin + (has_prefix ? 0 : word.begin - shift)];
    const std::size_t end = points.starts[piece.begin + word.end - shift];
    const std::string_view bytes = text.substr(begin, end - begin);
    encode_word(has_prefix ? cat(' ', bytes) : bytes, begin, has_prefix, out);
  }
}

void Tokenizer::Data::encode_text(std::string_view text, Encoding& out) const {
  const CodePoints points = decode_utf8(text);
  std::vector<PieceRange> pieces;
  std::vector<PieceRange> next;
  for (const Segment& segment : added.split(text)) {
    if (segment.id >= 0) {
      out.ids.push_back(segment.id);
      out.offsets.emplace_back(segment.begin, segment.end);
      continue;
    }
    pieces.assign(1, {points.index_at(segment.begin), points.index_at(segment.end)});
    for (std::size_t s = 0; s + 1 < steps.size(); ++s) {
      next.clear();
      for (const PieceRange& piece : pieces) {
        if (steps[s].pattern != nullptr) {
          steps[s].pattern->split(std::span(points.points).subspan(piece.begin, piece.end - piece.begin), piece.begin,
                                  next);
        } else {
          split_digits(points, piece, steps[s].description.individual_digits, next);
        }
      }
      pieces.swap(next);
    }
    for (const PieceRange& piece : pieces) encode_piece(text, points, piece, steps.back(), out);
  }
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
  data_->encode_text(text, out);
  add(data_->suffix_ids);
  return out;
}

std::string Tokenizer::decode(std::span<const std::int64_t> ids, bool skip_special_tokens) const {
  std::string bytes;
  for (const std::int64_t id : ids) {
    if (id < 0) fail(ErrorCode::kOutOfRange, "the token id ", id, " is negative");
    if (static_cast<std::size_t>(id) >= data_->tokens.size()) continue;
    const Token& token = data_->tokens[static_cast<std::size_t>(id)];
    if (!(skip_special_tokens && token.special)) bytes += token.bytes;
  }
  return lossy_utf8(bytes);
}

Encoding Tokenizer::encode_prompt(std::string_view text) const {
  Encoding out;
  out.ids.assign(data_->prefix_ids.begin(), data_->prefix_ids.end());
  out.offsets.resize(out.ids.size());
  data_->encode_text(text, out);
  return out;
}

Encoding Tokenizer::encode_target(std::string_view text) const {
  std::size_t spaces = 0;
  while (spaces < text.size() && text[spaces] == ' ') ++spaces;
  if (spaces == text.size()) {
    fail(ErrorCode::kInvalidArgument, "a target is empty", spaces > 0 ? " (nothing but spaces)" : "");
  }
  decode_utf8(text);  // so that a refusal counts in the caller's text
  Encoding out;
  data_->encode_text(cat(' ', text.substr(spaces)), out);
  for (std::size_t i = 0; i < out.ids.size(); ++i) {
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
  std::string rule =
      "byte-level BPE: a target is encoded with exactly one leading space, whether or not its text begins with one, "
      "and "
      "never with a begin-of-text token; ";
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
       "\": the vocabulary does not have that byte");
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
