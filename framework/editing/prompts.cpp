#include "editing/prompts.hpp"

#include <algorithm>
#include <array>

#include "palimpsest/sdk/facts.hpp"

namespace palimpsest::editing {
namespace {

// Sampled contexts begin with one of these in turn, so that they differ although the seed is one.
constexpr std::array<const char*, 5> kOpenings = {"The", "Therefore", "Because", "I", "You"};

std::size_t count_places(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = text.find("{}"); at != std::string_view::npos; at = text.find("{}", at + 2)) ++count;
  return count;
}

}  // namespace

LookupRow lookup_row(const sdk::Host& host, std::string_view prompt, std::string_view subject) {
  return {host.encode_prompt(sdk::fill(prompt, subject)), host.subject_last_token(prompt, subject), 0};
}

LookupRow kl_row(const sdk::Host& host, std::string_view subject) {
  LookupRow row = lookup_row(host, "{} is a", subject);
  row.ids.resize(static_cast<std::size_t>(row.lookup) + 1);
  return row;
}

std::string in_context(std::string_view context, std::string_view prompt) { return sdk::fill(context, prompt); }

std::vector<std::string> context_templates(const sdk::Model& model, const sdk::List<sdk::Text>& given,
                                           const sdk::List<std::int64_t>& length_params) {
  std::vector<std::string> contexts = {"{}"};
  for (std::size_t i = 0; i < given.size(); ++i) {
    const std::string context = given[i].str();
    if (count_places(context) != 1) {
      sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "context_templates: \"", context,
                "\" must have exactly one {} where the prompt stands");
    }
    if (context != "{}") contexts.push_back(context);
  }
  if (!given.empty()) return contexts;
  if (length_params.size() % 2 != 0) {
    sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "context_template_length_params has ", length_params.size(),
              " entries; expected pairs of length and number");
  }
  for (std::size_t i = 0; i < length_params.size(); i += 2) {
    const std::int64_t length = length_params[i], number = length_params[i + 1];
    if (length < 1 || number < 0) {
      sdk::fail(PALIMPSEST_OUT_OF_RANGE, "context_template_length_params asks for ", number, " texts of ", length,
                " tokens");
    }
    std::vector<std::string> openings;
    for (std::int64_t k = 0; k < number; ++k)
      openings.emplace_back(kOpenings[static_cast<std::size_t>(k) % kOpenings.size()]);
    sdk::GenerationOptions options;
    options.stage = sdk::Stage::kBase;
    options.max_new_tokens = static_cast<std::int32_t>(length);
    options.temperature = 1;
    options.top_p = 0.95;
    options.stream = "context templates " + std::to_string(i / 2);
    const auto continuations = model.generate(openings, options);
    for (std::size_t k = 0; k < continuations.size(); ++k) {
      std::string text = openings[k] + continuations[k].text;
      std::replace(text.begin(), text.end(), '{', ' ');
      std::replace(text.begin(), text.end(), '}', ' ');
      contexts.push_back(text + ". {}");
    }
  }
  return contexts;
}

}  // namespace palimpsest::editing
