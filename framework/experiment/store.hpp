// The stage store: folders of files under a key of everything that determined them.
//
// Layout: <folder>/<kind>/<key hex>/ holds an entry's files and `manifest.json` (kind, key, ingredients, SHA-256 and
// size of every file). An entry is whole or absent: it is built in a folder of its own, synced, and renamed into place.
// Entries are checked when read; a damaged one is moved to <folder>/.damaged and is a miss. Any number of threads and
// processes may use one folder at once; one Store object may be used from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/files.hpp"

namespace palimpsest::experiment {

struct Key {
  std::string hex;  // SHA-256 over the ingredients' names and texts, in order
  std::vector<std::pair<std::string, std::string>> ingredients;
};

// An ingredient that two keys do not share.
struct Difference {
  std::string ingredient;
  std::string values;  // "stored "a", wanted "b"", cut to where they differ; "" where the order alone differs
};

// Collects what determines an entry. Order counts; give long texts (files, lists) as their SHA-256.
class KeyBuilder {
 public:
  // Throws Error(kInvalidArgument) for a name given twice, or text that is not UTF-8.
  KeyBuilder& add(std::string name, std::string text);
  KeyBuilder& add(std::string name, std::int64_t number);
  // Every bit of the number, so that 0.1 and the next double are two keys.
  KeyBuilder& add(std::string name, double number);
  KeyBuilder& add(std::string name, bool flag);
  // Without this overload a string literal would be taken for a bool.
  KeyBuilder& add(std::string name, const char* text) { return add(std::move(name), std::string(text)); }
  // Another entry that this one is made from: its key.
  KeyBuilder& add(std::string name, const Key& below) { return add(std::move(name), below.hex); }
  Key build() const;

 private:
  std::vector<std::pair<std::string, std::string>> ingredients_;
};

class Store {
 public:
  // Creates the folder; removes what killed processes left half built. Throws Error(kIo).
  explicit Store(std::filesystem::path folder);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // A `kind` is made of a-z, 0-9 and `_` everywhere below; Error(kInvalidArgument) otherwise.

  // The entry's folder, every file read and compared with the manifest. A damaged entry is named in a warning, moved
  // aside and reported as absent.
  std::optional<std::filesystem::path> find(std::string_view kind, const Key& key);
  // The entry is there; its files are not read. For plans.
  bool contains(std::string_view kind, const Key& key) const;

  // An empty folder to build an entry in. It ends by commit() or abandon(), or is removed once this process is gone.
  std::filesystem::path begin(std::string_view kind, const Key& key);
  // Makes `temporary` (from begin()) the entry, durably, and gives the entry's folder. When another thread or process
  // committed the key first, theirs stays and ours is dropped. Throws Error(kIo), Error(kInvalidArgument) for links and
  // other things that are not plain files, or for a file named manifest.json; `temporary` is then still there.
  std::filesystem::path commit(std::string_view kind, const Key& key, const std::filesystem::path& temporary);
  void abandon(const std::filesystem::path& temporary);

  // Stores what `build` writes into the folder it is given, whole or not at all: begin() and commit(), or abandon() and
  // what `build` threw.
  std::filesystem::path put(std::string_view kind, const Key& key,
                            const std::function<void(const std::filesystem::path& folder)>& build);

  // Waits for the key's own lock: its holder alone computes the entry.
  FileLock lock(std::string_view kind, const Key& key);

  // The stored entry; or what `compute` writes into the folder it is given, committed. Under lock(), so that of several
  // callers one computes. What `compute` throws goes to the caller and nothing is stored.
  std::filesystem::path get_or_compute(std::string_view kind, const Key& key,
                                       const std::function<void(const std::filesystem::path& folder)>& compute);

  // Why find() misses: the ingredients that differ from those of the nearest stored entry of this kind. Empty when the
  // entry is there, and when none of its kind is.
  std::vector<Difference> explain_miss(std::string_view kind, const Key& key) const;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path entry_folder(std::string_view kind, const Key& key) const;
  // Serialises the short steps that make, rename and remove folders, between processes too.
  FileLock guard() const;
  void remove_leftovers();
  void move_aside(std::string_view kind, const Key& key, const std::string& reason);
  void release_owner(const std::filesystem::path& temporary);

  std::filesystem::path folder_;
  std::mutex mutex_;
  // The locks that say "this half-built folder has a living owner", by folder.
  std::map<std::filesystem::path, FileLock> owners_;
};

}  // namespace palimpsest::experiment
