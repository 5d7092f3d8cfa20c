// What tuning may do to one parameter: a freeze policy's answer, as the loop reads it. Plain data.
#pragma once

#include <vector>

#include "training/projection.hpp"

namespace palimpsest::training {

struct Decision {
  bool frozen = false;
  std::vector<Projection> projections;  // kept out of the displacement; none for a frozen parameter
};

}  // namespace palimpsest::training
