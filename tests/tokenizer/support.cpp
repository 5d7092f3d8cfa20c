#include "tokenizer/support.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"
#include "base/files.hpp"

namespace palimpsest::model {

std::filesystem::path data_folder() { return std::filesystem::path(PALIMPSEST_TEST_DATA) / "tokenizer" / "data"; }

nlohmann::json base_document(const char* name) { return nlohmann::json::parse(read_file(data_folder() / name)); }

std::shared_ptr<const Tokenizer> open_document(const nlohmann::json& document) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", document.dump());
  return Tokenizer::open(folder.path());
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return cat(name_of(error.code()), ": ", error.what());
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

}  // namespace palimpsest::model
