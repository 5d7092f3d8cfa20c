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

}  // namespace palimpsest::data
