// Which part of the recorded updates belongs to one fact (services/update_origin.h), and what it does to a key.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "palimpsest/sdk/model.hpp"

namespace palimpsest::editing {

// The part of an update of a matrix [out, in] that is one fact's alone: u [out, r] and v [in, r], or dense [out, in].
struct FactUpdate {
  std::string parameter;
  at::Tensor u, v, dense;
};

struct FactUpdates {
  std::vector<FactUpdate> own;
  std::vector<std::string> parameters;  // that the edit of the fact changed, whether alone or with other facts; sorted
  bool shared = false;                  // a part of it cannot be told from that of other facts
};

// Of the last stage that edited the fact; nothing for a fact that was not edited. Shares the updates' tensors.
FactUpdates updates_of_fact(std::span<const sdk::RecordedUpdate> updates, std::string_view fact);

// dW k in float64 [out], of k [in].
at::Tensor change_of(const FactUpdate& update, const at::Tensor& k);

}  // namespace palimpsest::editing
