#include "experiment/devices.hpp"

#include <ATen/Context.h>
#include <c10/core/Device.h>

#include <algorithm>

#include "base/error.hpp"
#include "config/experiment.hpp"

namespace palimpsest::experiment {

void check_device(const std::string& device, std::string_view what) {
  const at::Device wanted(device);
  if (wanted.is_cpu()) return;
  const auto count = static_cast<int>(at::hasCUDA() ? at::getNumGPUs() : 0);
  if (count == 0) {
    fail(ErrorCode::kUnsupported, what, " is \"", device,
         "\", and this libtorch finds no CUDA device; expected \"cpu\"");
  }
  if (wanted.index() >= count) {
    fail(ErrorCode::kUnsupported, what, " is \"", device,
         "\", and this machine's CUDA devices are cuda:0 to cuda:", count - 1);
  }
}

std::vector<std::string> parse_devices(std::string_view list) {
  std::vector<std::string> devices;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    std::string device(list.substr(begin, end - begin));
    if (!config::is_device(device)) {
      fail(ErrorCode::kInvalidArgument, "--devices: found \"", device, "\", expected a list such as cuda:0,cuda:1 or ",
           "cpu,cpu");
    }
    if (!devices.empty() && config::device_type(device) != config::device_type(devices.front())) {
      fail(ErrorCode::kInvalidArgument, "--devices: found ", devices.front(), " and ", device,
           ", expected devices of one type: the results depend on it");
    }
    devices.push_back(std::move(device));
    begin = end + 1;
  }
  return devices;
}

}  // namespace palimpsest::experiment
