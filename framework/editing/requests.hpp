// Edit requests as the edits they ask for: which requests are one edit, its prompts, and what every v* optimisation
// records.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "editing/values.hpp"
#include "palimpsest/sdk/kinds.hpp"

namespace palimpsest::editing {

// What an editor makes of an augmenter's prompts when the experiment leaves it to the method.
enum class AugmentedAs { kContexts, kRequests };

// One edit: a request, and behind it the requests whose prompts are contexts of it.
struct Edit {
  std::span<const sdk::EditRequest> requests;
  std::int64_t first = 0;  // place of requests[0] in the call
};
std::vector<Edit> edits_of(std::span<const sdk::EditRequest> requests, AugmentedAs unless_asked);

// The edit's own prompt in every context, then the prompts that are contexts of it, as they are. The bare prompt comes
// first where `contexts` begin with "{}".
std::vector<std::string> prompts_of(const Edit& edit, const std::vector<std::string>& contexts);

// loss, nll, kl and target_probability of every step, for the edit's first request.
void record_steps(const OptimisedValue& value, std::int64_t request, const sdk::Updates& updates);

}  // namespace palimpsest::editing
