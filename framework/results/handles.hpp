// HDF5 identifiers that close themselves, and HDF5's error stack as our errors. Private to the module (and its tests):
// the public headers name no HDF5 type.
//
// Thread rule: the HDF5 library is used by one thread of a process at a time.
#pragma once

#include <hdf5.h>
#include <hdf5_hl.h>

#include <string_view>
#include <utility>

#include "base/error.hpp"

namespace palimpsest::results::hdf5 {

// Owns one identifier.
template <herr_t (*Close)(hid_t)>
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  ~Handle() {
    if (id_ >= 0) Close(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  operator hid_t() const { return id_; }

 private:
  hid_t id_ = -1;
};

using File = Handle<H5Fclose>;
using Group = Handle<H5Gclose>;
using Dataset = Handle<H5Dclose>;
using Object = Handle<H5Oclose>;
using AttributeHandle = Handle<H5Aclose>;
using Space = Handle<H5Sclose>;
using Type = Handle<H5Tclose>;
using Properties = Handle<H5Pclose>;

// Stops HDF5 from printing its error stack; called by everything that opens a file. Idempotent.
void silence();

// Throws Error(code, "what: reason; reason ...") with the reasons of HDF5's error stack, outermost first, and clears
// it.
[[noreturn]] void fail_hdf5(ErrorCode code, std::string_view what);

// `result`, unless HDF5 says by a negative number that the call failed.
template <typename T, typename... Parts>
T checked(T result, ErrorCode code, const Parts&... what) {
  if (result < 0) fail_hdf5(code, cat(what...));
  return result;
}

// Variable-length UTF-8.
Type string_type(ErrorCode code);

}  // namespace palimpsest::results::hdf5
