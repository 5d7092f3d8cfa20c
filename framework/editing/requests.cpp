#include "editing/requests.hpp"

#include "editing/prompts.hpp"

namespace palimpsest::editing {

std::vector<Edit> edits_of(std::span<const sdk::EditRequest> requests, AugmentedAs unless_asked) {
  const auto is_context = [&](const sdk::EditRequest& request) {
    return request.origin == PALIMPSEST_PROMPT_AS_CONTEXT ||
           (request.origin == PALIMPSEST_PROMPT_AUGMENTED && unless_asked == AugmentedAs::kContexts);
  };
  std::vector<Edit> edits;
  for (std::size_t begin = 0, end = 0; begin < requests.size(); begin = end) {
    end = begin + 1;
    while (end < requests.size() && is_context(requests[end])) ++end;
    edits.push_back({requests.subspan(begin, end - begin), static_cast<std::int64_t>(begin)});
  }
  return edits;
}

std::vector<std::string> prompts_of(const Edit& edit, const std::vector<std::string>& contexts) {
  std::vector<std::string> prompts;
  for (const auto& context : contexts) prompts.push_back(in_context(context, edit.requests[0].prompt));
  for (const auto& augmented : edit.requests.subspan(1)) prompts.emplace_back(augmented.prompt);
  return prompts;
}

void record_steps(const OptimisedValue& value, std::int64_t request, const sdk::Updates& updates) {
  for (std::size_t i = 0; i < value.steps.size(); ++i) {
    const auto step = static_cast<std::int64_t>(i);
    updates.record(request, "loss", step, value.steps[i].loss);
    updates.record(request, "nll", step, value.steps[i].nll);
    updates.record(request, "kl", step, value.steps[i].kl);
    updates.record(request, "target_probability", step, value.steps[i].probability);
  }
}

}  // namespace palimpsest::editing
