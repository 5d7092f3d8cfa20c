#include "tokenizer/support.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>

#include "base/error.hpp"
#include "base/files.hpp"

namespace palimpsest::model {

std::filesystem::path data_folder() { return std::filesystem::path(PALIMPSEST_TEST_DATA) / "tokenizer" / "data"; }

nlohmann::json base_document() { return nlohmann::json::parse(read_file(data_folder() / "tokenizer.json")); }

TemporaryFolder::TemporaryFolder() {
  static std::atomic<int> next = 0;
  path_ = std::filesystem::temp_directory_path() / cat("palimpsest_tokenizer_", getpid(), "_", next++);
  std::filesystem::create_directories(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void TemporaryFolder::write(const std::string& name, const std::string& text) const {
  write_file_atomically(path_ / name, text);
}

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
