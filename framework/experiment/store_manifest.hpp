// The manifest of a stored entry: its key with the ingredients, and size and SHA-256 of every file.
//
// Used by the store alone. Free functions without state, safe from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiment/store.hpp"

namespace palimpsest::experiment {

inline constexpr const char* kManifest = "manifest.json";

struct FileRecord {
  std::string path;  // within the entry, with '/'
  std::string sha256;
  std::int64_t bytes = 0;
};

struct Manifest {
  Key key;
  std::vector<FileRecord> files;
};

// What Key::hex is.
std::string hex_of(const std::vector<std::pair<std::string, std::string>>& ingredients);

// Throws Error(kIo).
void sync_folder(const std::filesystem::path& folder);
// The entry's files in a fixed order, digested and synced, its folders synced. Throws Error(kInvalidArgument) for
// links, other things that are not plain files, and the manifest's own name; Error(kIo).
std::vector<FileRecord> seal_files(const std::filesystem::path& folder);

std::string manifest_text(std::string_view kind, const Key& key, const std::vector<FileRecord>& files);
// Throws Error(kCorrupt) with what is wrong, without the path.
Manifest read_manifest(const std::filesystem::path& folder, std::string_view kind, std::string_view hex);
// What is wrong with the entry; "" when every file is as the manifest says.
std::string damage_of(const std::filesystem::path& folder, std::string_view kind, const Key& key);

}  // namespace palimpsest::experiment
