#include "experiment/store_manifest.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/descriptor.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/hash.hpp"

namespace palimpsest::experiment {
namespace fs = std::filesystem;
namespace {

constexpr int kManifestVersion = 1;

void sync_path(const fs::path& path, int flags) {
  const Descriptor file(path, flags);
  if (!file.is_open() || ::fsync(file.get()) != 0) {
    fail(ErrorCode::kIo, "cannot sync ", path.string(), ": ", std::strerror(errno));
  }
}

}  // namespace

std::string hex_of(const std::vector<std::pair<std::string, std::string>>& ingredients) {
  Sha256 digest;
  for (const auto& [name, text] : ingredients) digest.field(name).field(text);
  return digest.hex();
}

void sync_folder(const fs::path& folder) { sync_path(folder, O_RDONLY | O_DIRECTORY); }

std::vector<FileRecord> seal_files(const fs::path& folder) {
  std::vector<FileRecord> files;
  std::vector<fs::path> folders{folder};
  for (const auto& item : fs::recursive_directory_iterator(folder)) {
    const auto status = item.symlink_status();
    const auto name = item.path().lexically_relative(folder).generic_string();
    if (fs::is_directory(status)) {
      folders.push_back(item.path());
    } else if (!fs::is_regular_file(status)) {
      fail(ErrorCode::kInvalidArgument, "cannot store ", item.path().string(),
           ": only plain files and folders are stored");
    } else if (name == kManifest) {
      fail(ErrorCode::kInvalidArgument, "cannot store ", item.path().string(), ": the name is the store's own");
    } else {
      sync_path(item.path(), O_RDONLY);
      files.push_back({name, sha256_file(item.path()), static_cast<std::int64_t>(item.file_size())});
    }
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  for (const auto& one : folders) sync_folder(one);
  return files;
}

std::string manifest_text(std::string_view kind, const Key& key, const std::vector<FileRecord>& files) {
  auto ingredients = nlohmann::ordered_json::array();
  for (const auto& [name, text] : key.ingredients) ingredients.push_back({name, text});
  auto records = nlohmann::ordered_json::array();
  for (const auto& file : files)
    records.push_back({{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  const nlohmann::ordered_json manifest{{"version", kManifestVersion},
                                        {"kind", kind},
                                        {"key", key.hex},
                                        {"ingredients", ingredients},
                                        {"files", records}};
  return manifest.dump(1) + "\n";
}

Manifest read_manifest(const fs::path& folder, std::string_view kind, std::string_view hex) {
  std::string text;
  try {
    text = read_file(folder / kManifest);
  } catch (const Error& error) {
    fail(error.code() == ErrorCode::kNotFound ? ErrorCode::kCorrupt : error.code(), "its ", kManifest,
         error.code() == ErrorCode::kNotFound ? " is missing" : cat(" cannot be read: ", error.what()));
  }
  Manifest manifest;
  try {
    const auto json = nlohmann::json::parse(text);
    if (json.at("version").get<int>() != kManifestVersion) {
      fail(ErrorCode::kCorrupt, "its ", kManifest, " has version ", json.at("version").get<int>(), ", expected ",
           kManifestVersion);
    }
    if (json.at("kind").get<std::string>() != kind || json.at("key").get<std::string>() != hex) {
      fail(ErrorCode::kCorrupt, "its ", kManifest, " belongs to ", json.at("kind").get<std::string>(), "/",
           json.at("key").get<std::string>());
    }
    for (const auto& pair : json.at("ingredients")) {
      manifest.key.ingredients.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<std::string>());
    }
    for (const auto& file : json.at("files")) {
      manifest.files.push_back({file.at("path").get<std::string>(), file.at("sha256").get<std::string>(),
                                file.at("bytes").get<std::int64_t>()});
    }
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorCode::kCorrupt, "its ", kManifest, " is not readable: ", error.what());
  }
  manifest.key.hex = hex_of(manifest.key.ingredients);
  if (manifest.key.hex != hex) {
    fail(ErrorCode::kCorrupt, "the ingredients in its ", kManifest, " hash to ", manifest.key.hex,
         ", not to the entry's key");
  }
  return manifest;
}

std::string damage_of(const fs::path& folder, std::string_view kind, const Key& key) {
  try {
    for (const auto& file : read_manifest(folder, kind, key.hex).files) {
      const auto path = folder / file.path;
      std::error_code error;
      if (!fs::is_regular_file(fs::symlink_status(path, error))) return cat("its file ", file.path, " is missing");
      const auto bytes = static_cast<std::int64_t>(fs::file_size(path));
      if (bytes != file.bytes) return cat("its file ", file.path, " has ", bytes, " bytes, expected ", file.bytes);
      const auto found = sha256_file(path);
      if (found != file.sha256) return cat("its file ", file.path, " has sha256 ", found, ", expected ", file.sha256);
    }
  } catch (const Error& error) {
    return error.what();
  } catch (const fs::filesystem_error& error) {
    return error.what();
  }
  return "";
}

}  // namespace palimpsest::experiment
