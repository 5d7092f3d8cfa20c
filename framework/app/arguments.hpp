// A command's arguments, parsed from the words that follow its name.
//
// The grammar is data (Option, Positional), so that parsing and help say the same. Plain values; thread-safe.
#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace palimpsest::app {

// What the user typed cannot be understood: exit status 2.
class UsageError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Option {
  std::string name;         // without the dashes
  std::string placeholder;  // of its value; every option has one
  std::string doc;
  bool repeated = false;
};

struct Positional {
  std::string placeholder;  // "FILE"
  bool required = true;
  bool repeated = false;  // only the last one of a command
};

struct Arguments {
  std::vector<std::string> positional;
  std::map<std::string, std::vector<std::string>> options;

  // "" when the option was not given.
  std::string value(const std::string& option) const;
  const std::vector<std::string>& values(const std::string& option) const;
  // Throws UsageError unless the value is a whole number of at least `least`.
  std::optional<int> integer(const std::string& option, int least) const;
  // Bytes: "80G" and "80GiB" are 80 * 2^30, "80GB" is 80 * 10^9; K, M, G, T, fractions allowed. Throws UsageError for
  // anything else.
  std::optional<double> bytes(const std::string& option) const;
};

// Throws UsageError, whose message ends in a pointer to `palimpsest COMMAND --help`.
Arguments parse_arguments(std::string_view command, const std::vector<Positional>& positional,
                          const std::vector<Option>& options, const std::vector<std::string>& words);

}  // namespace palimpsest::app
