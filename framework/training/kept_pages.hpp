// Lets the process keep the memory that tensors free, for as long as a run goes on.
//
// Every step allocates and frees the same gigabytes. By default glibc gives large pieces back to the system at once,
// and the next step pays for every page again: 3 % of a float32 step, 7 % of a bfloat16 one. Process-wide, not nested;
// elsewhere than with glibc it does nothing. At the end of the scope unused memory goes back to the system.
#pragma once

namespace palimpsest::training {

class KeptPagesScope {
 public:
  KeptPagesScope();
  ~KeptPagesScope();
  KeptPagesScope(const KeptPagesScope&) = delete;
  KeptPagesScope& operator=(const KeptPagesScope&) = delete;
};

}  // namespace palimpsest::training
