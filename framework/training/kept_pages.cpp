#include "training/kept_pages.hpp"

#include <limits>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace palimpsest::training {

#ifdef __GLIBC__

KeptPagesScope::KeptPagesScope() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
}

KeptPagesScope::~KeptPagesScope() {
  // The limits that glibc's own adjustment reaches once a large piece was freed, which mallopt() has switched off.
  constexpr int kLargest = 32 << 20;
  mallopt(M_MMAP_MAX, 65536);
  mallopt(M_MMAP_THRESHOLD, kLargest);
  mallopt(M_TRIM_THRESHOLD, 2 * kLargest);
  malloc_trim(0);
}

#else

KeptPagesScope::KeptPagesScope() = default;
KeptPagesScope::~KeptPagesScope() = default;

#endif

}  // namespace palimpsest::training
