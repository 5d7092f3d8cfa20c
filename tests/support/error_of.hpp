// The error that something throws.
#pragma once

#include <gtest/gtest.h>

#include <string>

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

// Its message; fails the test when its code is another one, too.
template <typename Action>
std::string message_of(ErrorCode code, Action&& action) {
  const Error error = error_of(action);
  EXPECT_EQ(name_of(error.code()), name_of(code)) << error.what();
  return error.what();
}

}  // namespace palimpsest
