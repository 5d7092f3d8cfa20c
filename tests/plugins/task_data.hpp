// Rows of a test's own as the dataset that a task opens, and tokens with an end of text.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "plugins/support.hpp"

namespace palimpsest::plugin_tests {

struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> train, validation;
};

// The tiny tokenizer with "<|end|>" as its end of text, which its folder does not say.
inline std::shared_ptr<const model::Tokenizer> ending_tokenizer() {
  const auto folder = std::filesystem::temp_directory_path() / cat("palimpsest-test-", ::getpid());
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(conformance::data_folder() / "model" / "tokenizer.json", folder / "tokenizer.json",
                             std::filesystem::copy_options::overwrite_existing);
  std::ofstream(folder / "tokenizer_config.json") << R"({"eos_token": "<|end|>"})";
  auto tokenizer = model::Tokenizer::open(folder);
  std::filesystem::remove_all(folder);
  return tokenizer;
}

// The world's session, over the table in place of a file; the columns that a task asks for by name.
inline std::shared_ptr<plugin::Session> session_over(const conformance::World& world, Table table) {
  auto session = std::make_shared<plugin::Session>(*world.session());
  session->tokenizer = ending_tokenizer();
  session->open_dataset = [table = std::move(table)](const plugin::DatasetRequest& request) {
    auto dataset = std::make_shared<plugin::TextDataset>();
    const auto take = [&](const auto& from, auto& to) {
      for (const auto& row : from) {
        auto& texts = to.emplace_back();
        for (const auto& column : request.columns) {
          const auto at = std::find(table.columns.begin(), table.columns.end(), column);
          if (at == table.columns.end()) fail(ErrorCode::kInvalidArgument, "there is no column \"", column, "\"");
          texts.push_back(row.at(static_cast<std::size_t>(at - table.columns.begin())));
        }
      }
    };
    take(table.train, dataset->train);
    take(table.validation, dataset->validation);
    return dataset;
  };
  return session;
}

// `file` and the rest.
inline std::vector<plugin::ParameterValue> over_file(std::vector<plugin::ParameterValue> values = {}) {
  values.push_back(text("file", "rows.jsonl"));
  return values;
}

// What preparing the task says against it; "" when nothing.
inline std::string refusal(plugin::Task& task, palimpsest_model& model) {
  try {
    task.prepare(model);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace palimpsest::plugin_tests
