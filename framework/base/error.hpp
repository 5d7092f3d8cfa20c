// What goes wrong, said once: a code that programs test and a sentence that people read.
//
// A message says what was found, what was expected, where (file, line, column or key) and what to do. Errors are thrown
// as `Error`; the app turns an error into one line on stderr and an exit status, a plugin boundary into a status of the
// ABI.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace palimpsest {

// The numbers equal `palimpsest_status` of the ABI (abi/palimpsest/types.h), whose 0 is success.
enum class ErrorCode : int {
  kInvalidArgument = 1,  // a value, key or combination that can never work
  kNotFound = 2,         // a file, name or plugin that does not exist
  kOutOfRange = 3,       // an index, layer or number outside its limits
  kUnsupported = 4,      // understood, and not offered
  kCorrupt = 5,          // a file whose bytes contradict themselves or their checksum
  kIo = 6,               // the system refused to read or write
  kNumeric = 7,          // NaN, infinity, a matrix that is not positive definite
  kCancelled = 8,        // the user asked to stop
  kOutOfMemory = 9,
  kInternal = 10,  // a broken promise of our own
};

// The code's name as it stands in results and logs, e.g. "not_found".
std::string_view name_of(ErrorCode code);

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

// The parts printed one after the other, as operator<< prints them.
template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

// Throws Error(code, cat(parts...)).
template <typename... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
  throw Error(code, cat(parts...));
}

// `context: message`, same code: for callers that know where the thing that failed stood.
[[noreturn]] void rethrow_with_context(const Error& error, std::string_view context);

// A text as messages quote it: in quotes, control characters escaped, cut after `most` code points.
std::string in_quotes(std::string_view text, std::size_t most = 60);

// Of `candidates`, the one nearest to `word` by edit distance, or "" when none is near (distance above a third of the
// length).
template <typename Range>
std::string nearest(std::string_view word, const Range& candidates);

std::size_t edit_distance(std::string_view a, std::string_view b);

// ` (did you mean "x"?)`, or "" when no candidate is near.
template <typename Range>
std::string did_you_mean(std::string_view word, const Range& candidates) {
  const std::string best = nearest(word, candidates);
  return best.empty() ? std::string() : cat(" (did you mean \"", best, "\"?)");
}

template <typename Range>
std::string nearest(std::string_view word, const Range& candidates) {
  std::string best;
  std::size_t best_distance = word.size() / 3 + 2;
  for (const auto& candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = std::string(candidate);
    }
  }
  return best;
}

}  // namespace palimpsest
