// A test with a folder of its own.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "support/temporary_folder.hpp"

namespace palimpsest {

class Scratch : public ::testing::Test {
 private:
  const TemporaryFolder made_;

 protected:
  const std::filesystem::path folder_ = made_.path();
};

}  // namespace palimpsest
