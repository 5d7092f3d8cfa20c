// Bytes of the tensors that a test makes, by torch's own account of its CPU allocator.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <cstdint>
#include <memory>

namespace palimpsest {

// Counts what its thread allocates and frees while it lives. Not nested.
class TensorMemory {
 public:
  TensorMemory() : guard_(c10::DebugInfoKind::PROFILER_STATE, account_) {}

  std::int64_t live() const { return account_->live; }
  std::int64_t most() const { return account_->most; }

 private:
  struct Account : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void*, std::int64_t bytes, std::size_t, std::size_t, c10::Device) override {
      live += bytes;
      most = std::max(most, live);
    }
    bool memoryProfilingEnabled() const override { return true; }
    std::int64_t live = 0, most = 0;
  };

  std::shared_ptr<Account> account_ = std::make_shared<Account>();
  c10::DebugInfoGuard guard_;
};

}  // namespace palimpsest
