// Errors of a file's rows, gathered so that a user repairs a file in one go.
//
// Each reads `file:line: field: found, expected`. At most kMostRowErrors are kept: then add() throws what there is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace palimpsest::data {

inline constexpr std::size_t kMostRowErrors = 20;

class RowErrors {
 public:
  explicit RowErrors(std::string file) : file_(std::move(file)) {}

  // `field` may be empty: the row as a whole. Throws when the list is full.
  template <typename... Parts>
  void add(std::int64_t line, std::string_view field, const Parts&... parts) {
    add_text(line, field, cat(parts...));
  }
  std::size_t count() const { return errors_.size(); }
  const std::string& file() const { return file_; }
  // Throws one Error(kInvalidArgument) with all of them, one a line, if there are any.
  void throw_if_any() const;

 private:
  void add_text(std::int64_t line, std::string_view field, const std::string& message);

  std::string file_;
  std::vector<std::string> errors_;
};

}  // namespace palimpsest::data
