#include "app/arguments.hpp"

#include <boost/program_options.hpp>
#include <charconv>
#include <cmath>

#include "base/error.hpp"

namespace palimpsest::app {
namespace po = boost::program_options;
namespace {

std::string pointer(std::string_view command) { return cat("; see palimpsest ", command, " --help"); }

std::vector<std::string> names_of(const std::vector<Option>& options) {
  std::vector<std::string> names = {"--help"};
  for (const Option& option : options) names.push_back("--" + option.name);
  return names;
}

[[noreturn]] void fail_unknown(std::string_view command, const std::string& word, const std::vector<Option>& options) {
  throw UsageError(cat(command, " has no option ", word, did_you_mean(word, names_of(options)), pointer(command)));
}

po::parsed_options parse(std::string_view command, const std::vector<Option>& options,
                         const std::vector<std::string>& words) {
  po::options_description description;
  for (const Option& option : options) {
    description.add_options()(option.name.c_str(), po::value<std::vector<std::string>>(), option.doc.c_str());
  }
  // Words that are no option are the positional ones; none of them is declared to the parser, which would count them.
  description.add_options()("(words)", po::value<std::vector<std::string>>());
  po::positional_options_description words_description;
  words_description.add("(words)", -1);
  using namespace po::command_line_style;
  constexpr int kStyle = allow_long | long_allow_adjacent | long_allow_next;
  try {
    return po::command_line_parser(words).options(description).positional(words_description).style(kStyle).run();
  } catch (const po::unknown_option& error) {
    fail_unknown(command, error.get_option_name(), options);
  } catch (const po::error_with_option_name& error) {
    throw UsageError(cat(command, ": the option ", error.get_option_name(), " wants a value", pointer(command)));
  } catch (const po::error& error) {
    throw UsageError(cat(command, ": ", error.what(), pointer(command)));
  }
}

}  // namespace

std::string Arguments::value(const std::string& option) const {
  const auto& all = values(option);
  return all.empty() ? std::string() : all.back();
}

const std::vector<std::string>& Arguments::values(const std::string& option) const {
  static const std::vector<std::string> none;
  const auto found = options.find(option);
  return found == options.end() ? none : found->second;
}

std::optional<int> Arguments::integer(const std::string& option, int least) const {
  if (!options.contains(option)) return std::nullopt;
  const std::string text = value(option);
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least) {
    throw UsageError(cat("--", option, " wants a whole number from ", least, ", found \"", text, "\""));
  }
  return number;
}

std::optional<double> Arguments::bytes(const std::string& option) const {
  if (!options.contains(option)) return std::nullopt;
  const std::string text = value(option);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  constexpr std::string_view kLetters = "KMGT";
  const std::size_t power = unit.empty() ? std::string_view::npos : kLetters.find(unit.front());
  const std::string ending = unit.empty() ? "" : unit.substr(1);
  const bool known = power != std::string_view::npos && (ending.empty() || ending == "B" || ending == "iB");
  if (error != std::errc() || !known || !(number > 0) || !std::isfinite(number)) {
    throw UsageError(cat("--", option, " wants a size such as 80G, 512M or 80GiB, found \"", text, "\""));
  }
  return number * std::pow(ending == "B" ? 1000.0 : 1024.0, static_cast<double>(power + 1));
}

Arguments parse_arguments(std::string_view command, const std::vector<Positional>& positional,
                          const std::vector<Option>& options, const std::vector<std::string>& words) {
  Arguments arguments;
  for (const auto& found : parse(command, options, words).options) {
    if (found.string_key == "(words)") {
      for (const std::string& word : found.value) {
        if (word.size() > 1 && word.front() == '-') fail_unknown(command, word, options);
      }
      arguments.positional.insert(arguments.positional.end(), found.value.begin(), found.value.end());
      continue;
    }
    auto& values = arguments.options[found.string_key];
    values.insert(values.end(), found.value.begin(), found.value.end());
  }
  for (const Option& option : options) {
    if (!option.repeated && arguments.values(option.name).size() > 1) {
      throw UsageError(cat(command, ": --", option.name, " was given more than once", pointer(command)));
    }
  }
  const bool any_number = !positional.empty() && positional.back().repeated;
  if (arguments.positional.size() > positional.size() && !any_number) {
    throw UsageError(
        cat(command, ": one word too many: \"", arguments.positional[positional.size()], "\"", pointer(command)));
  }
  if (arguments.positional.size() < positional.size() && positional[arguments.positional.size()].required) {
    throw UsageError(cat(command, " wants ", positional[arguments.positional.size()].placeholder, ", found nothing",
                         pointer(command)));
  }
  return arguments;
}

}  // namespace palimpsest::app
