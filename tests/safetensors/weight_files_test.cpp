#include "model/weight_files.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/files.hpp"
#include "model/safetensors_writer.hpp"
#include "support/error_of.hpp"
#include "support/temporary_folder.hpp"

namespace palimpsest::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class WeightFilesTest : public ::testing::Test {
 protected:
  // A file whose tensors each hold one float32, their own number of characters.
  void put(std::string_view file, const std::vector<std::string>& names) {
    std::vector<float> data;
    for (const auto& name : names) data.push_back(static_cast<float>(name.size()));
    std::vector<NamedTensor> tensors;
    for (std::size_t i = 0; i < names.size(); ++i) {
      tensors.push_back({names[i], DType::kFloat32, {1}, std::as_bytes(std::span(&data[i], 1))});
    }
    write_safetensors(folder_ / file, tensors);
  }
  void put_index(std::string_view weight_map) {
    write_file_atomically(folder_ / "model.safetensors.index.json",
                          cat("{\"metadata\":{\"total_size\":8},\"weight_map\":", weight_map, "}"));
  }
  Error refused() {
    return error_of([&] { WeightFiles::open(folder_.path()); });
  }
  TemporaryFolder folder_;
};

TEST_F(WeightFilesTest, SingleFile) {
  put("model.safetensors", {"b", "a"});
  const auto weights = WeightFiles::open(folder_.path());
  ASSERT_EQ(weights->tensors().size(), 2u);
  EXPECT_EQ(weights->tensors()[0]->name, "b");
  EXPECT_EQ(weights->find("a"), weights->tensors()[1]);
  EXPECT_EQ(weights->find("c"), nullptr);
  EXPECT_EQ(weights->files().size(), 1u);
}

TEST_F(WeightFilesTest, Sharded) {
  put("model-00001-of-00002.safetensors", {"embed", "norm"});
  put("model-00002-of-00002.safetensors", {"head", "unlisted"});
  put_index(R"({"head":"model-00002-of-00002.safetensors","embed":"model-00001-of-00002.safetensors",
               "norm":"model-00001-of-00002.safetensors"})");
  const auto weights = WeightFiles::open(folder_.path());
  ASSERT_EQ(weights->tensors().size(), 3u);
  EXPECT_EQ(weights->tensors()[0]->name, "embed");
  EXPECT_EQ(weights->tensors()[2]->name, "head");
  EXPECT_EQ(weights->find("unlisted"), nullptr);
  EXPECT_EQ(weights->files().size(), 2u);
  float value = 0;
  std::memcpy(&value, weights->find("embed")->bytes.data(), sizeof(value));
  EXPECT_EQ(value, 5.f);
}

TEST_F(WeightFilesTest, FolderWithoutAModel) {
  const Error error = refused();
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.what(), AllOf(HasSubstr(folder_.path().string()), HasSubstr("model.safetensors.index.json")));
  write_file_atomically(folder_ / "pytorch_model.bin", "pickle");
  EXPECT_NE(std::string(refused().what()).find("save them again with transformers' save_pretrained"),
            std::string::npos);
  EXPECT_EQ(error_of([&] { WeightFiles::open(folder_ / "absent"); }).code(), ErrorCode::kNotFound);
  put("file", {"a"});
  EXPECT_THAT(error_of([&] { WeightFiles::open(folder_ / "file"); }).what(), HasSubstr("not a folder"));
}

TEST_F(WeightFilesTest, FileNamesStayInTheFolder) {
  put("one", {"a"});
  for (const std::string name : {"../one", "/etc/passwd", "..", ".", "", "sub/one", "sub\\\\one", "one\\u0000"}) {
    put_index(cat("{\"a\":\"", name, "\"}"));
    const Error error = refused();
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << name;
    EXPECT_THAT(error.what(), AllOf(HasSubstr("\"a\""), HasSubstr("plain name"))) << name;
  }
  put_index(R"({"a":7})");
  EXPECT_THAT(refused().what(), HasSubstr("plain name"));
}

TEST_F(WeightFilesTest, IndexThatContradictsItsFiles) {
  put("one", {"a", "b"});
  put("two", {"b", "c"});
  put_index(R"({"a":"one","absent":"one"})");
  EXPECT_THAT(refused().what(), AllOf(HasSubstr("\"absent\""), HasSubstr("does not hold it")));
  put_index(R"({"a":"one","c":"two"})");
  EXPECT_THAT(refused().what(), AllOf(HasSubstr("\"b\""), HasSubstr("one file")));
  put_index(R"({"a":"one","a":"two"})");
  EXPECT_THAT(refused().what(), HasSubstr("\"a\" twice"));
  put_index(R"({"a":"three"})");
  EXPECT_THAT(refused().what(), HasSubstr("three"));
  put_index("[]");
  EXPECT_THAT(refused().what(), HasSubstr("weight_map"));
  write_file_atomically(folder_ / "model.safetensors.index.json", std::string_view("{}"));
  EXPECT_THAT(refused().what(), HasSubstr("has no \"weight_map\""));
  write_file_atomically(folder_ / "model.safetensors.index.json", std::string_view("{\"weight_map\":"));
  EXPECT_THAT(refused().what(), HasSubstr("not valid JSON"));
}

}  // namespace
}  // namespace palimpsest::model
