// The error that something throws.
#pragma once

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace palimpsest {

// Fails the test when `action` throws none.
template <typename Action>
Error error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(ErrorCode::kInternal, "no error was thrown");
}

}  // namespace palimpsest
