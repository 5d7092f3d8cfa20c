// torch's autocast of one type of device, a setting of the thread.
#pragma once

#include <ATen/autocast_mode.h>

namespace palimpsest::model {

struct Autocast {
  at::DeviceType device = at::kCPU;
  bool enabled = false;
  at::ScalarType dtype = at::kBFloat16;

  static Autocast of(at::DeviceType device) {
    return {device, at::autocast::is_autocast_enabled(device), at::autocast::get_autocast_dtype(device)};
  }
  void set() const {
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_dtype(device, dtype);
  }
};

}  // namespace palimpsest::model
