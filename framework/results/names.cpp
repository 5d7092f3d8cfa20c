#include "results/names.hpp"

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/utf8.hpp"

namespace palimpsest::results {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

void check_path(std::string_view path) {
  const auto refuse = [&](std::string_view why) {
    fail(ErrorCode::kInvalidArgument, "\"", path, "\" cannot be a path in a results file: ", why);
  };
  if (path.empty() || path.front() != '/') refuse("a path starts with \"/\"");
  const auto parts = parts_of(path);
  if (parts.size() > kMaxDepth) refuse(cat("it has ", parts.size(), " parts, at most ", kMaxDepth, " are possible"));
  for (const std::string& part : parts) {
    if (part.empty()) refuse("it has an empty part");
    if (part == "." || part == "..") refuse("\".\" and \"..\" are not names");
    if (!std::all_of(part.begin(), part.end(), [](char c) {
          return is_letter(c) || is_digit(c) || std::string_view(".-=+,").find(c) != std::string_view::npos;
        })) {
      refuse("its parts hold letters, digits and _ - . = + , only");
    }
  }
}

std::vector<std::string> parts_of(std::string_view path) {
  std::vector<std::string> parts;
  if (path.size() <= 1) return parts;
  std::size_t begin = 1;
  for (std::size_t end = 0; end != std::string_view::npos; begin = end + 1) {
    end = path.find('/', begin);
    parts.emplace_back(path.substr(begin, end == std::string_view::npos ? end : end - begin));
  }
  return parts;
}

std::string parent_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

std::string join(std::string_view path, std::string_view name) {
  return path == "/" ? cat("/", name) : cat(path, "/", name);
}

void check_identifier(std::string_view name, std::string_view where) {
  const bool valid = !name.empty() && is_letter(name.front()) &&
                     std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || is_digit(c); });
  if (!valid) {
    fail(ErrorCode::kInvalidArgument, where, " is named \"", name,
         "\"; expected letters, digits and \"_\", not starting with a digit");
  }
}

void check_text(std::string_view text, std::string_view where) {
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    if (!step.ok) fail(ErrorCode::kInvalidArgument, where, " is not UTF-8 at byte ", at);
    if (text[at] == '\0') fail(ErrorCode::kInvalidArgument, where, " holds a NUL character at byte ", at);
    at += step.size;
  }
}

bool is_reserved_attribute(std::string_view name) {
  constexpr std::array<std::string_view, 7> kReserved{
      "CLASS", "NAME", "DIMENSION_LIST", "DIMENSION_LABELS", "REFERENCE_LIST", "_FillValue", "_Netcdf4Dimid"};
  return std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

}  // namespace palimpsest::results
