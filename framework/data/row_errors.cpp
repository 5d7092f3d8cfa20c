#include "data/row_errors.hpp"

namespace palimpsest::data {

void RowErrors::add_text(std::int64_t line, std::string_view field, const std::string& message) {
  errors_.push_back(field.empty() ? cat(file_, ":", line, ": ", message)
                                  : cat(file_, ":", line, ": ", field, ": ", message));
  if (errors_.size() >= kMostRowErrors) {
    errors_.push_back(cat(file_, ": reading stopped after ", kMostRowErrors, " errors"));
    throw_if_any();
  }
}

void RowErrors::throw_if_any() const {
  if (errors_.empty()) return;
  std::string message;
  for (const auto& error : errors_) {
    if (!message.empty()) message += '\n';
    message += error;
  }
  throw Error(ErrorCode::kInvalidArgument, message);
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kMost = 60;
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  std::size_t count = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) != 0x80 && ++count > kMost) {
      out += "...";
      break;
    }
    if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace palimpsest::data
