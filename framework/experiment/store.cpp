#include "experiment/store.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/log.hpp"
#include "experiment/store_manifest.hpp"

namespace palimpsest::experiment {
namespace fs = std::filesystem;
namespace {

// The store's own folders begin with a dot, which no kind does.
constexpr const char* kBuilding = ".building";
constexpr const char* kDamaged = ".damaged";
constexpr const char* kLocks = ".locks";

void check_kind(std::string_view kind) {
  const bool good = !kind.empty() && std::all_of(kind.begin(), kind.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!good) fail(ErrorCode::kInvalidArgument, "store kind \"", kind, "\" is not made of a-z, 0-9 and _");
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ErrorCode::kIo, "cannot create folder ", folder.string(), ": ", error.message());
}

bool is_entry_name(const std::string& name) {
  return name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// The folders of one kind that look like entries, in the order of their keys.
std::vector<fs::path> entry_folders(const fs::path& kind_folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(kind_folder, error)) {
    if (is_entry_name(item.path().filename().string()) && item.is_directory(error)) found.push_back(item.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Short texts whole; of two long ones the neighbourhood of where they first differ.
std::pair<std::string, std::string> shown(const std::string& a, const std::string& b) {
  constexpr std::size_t kWidth = 72;
  if (a.size() <= kWidth && b.size() <= kWidth) return {cat('"', a, '"'), cat('"', b, '"')};
  const auto differ = static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size())), b.begin()).first -
      a.begin());
  const std::size_t from = differ > 24 ? differ - 24 : 0;
  const auto cut = [&](const std::string& text) {
    const auto start = std::min(from, text.size());
    return cat('"', start > 0 ? "..." : "", text.substr(start, kWidth), start + kWidth < text.size() ? "..." : "", '"');
  };
  return {cut(a), cut(b)};
}

std::vector<Difference> differences(const Key& stored, const Key& wanted) {
  const auto find = [](const Key& key, const std::string& name) {
    return std::find_if(key.ingredients.begin(), key.ingredients.end(), [&](const auto& i) { return i.first == name; });
  };
  std::vector<Difference> made;
  for (const auto& [name, text] : wanted.ingredients) {
    const auto other = find(stored, name);
    if (other == stored.ingredients.end()) {
      made.push_back({name, cat("stored without it, wanted ", shown(text, text).first)});
    } else if (other->second != text) {
      const auto [was, is] = shown(other->second, text);
      made.push_back({name, cat("stored ", was, ", wanted ", is)});
    }
  }
  for (const auto& [name, text] : stored.ingredients) {
    if (find(wanted, name) == wanted.ingredients.end()) {
      made.push_back({name, cat("stored ", shown(text, text).first, ", wanted without it")});
    }
  }
  if (made.empty()) made.push_back({"the order of the ingredients", ""});
  return made;
}

}  // namespace

KeyBuilder& KeyBuilder::add(std::string name, std::string text) {
  for (const auto& ingredient : ingredients_) {
    if (ingredient.first == name) fail(ErrorCode::kInvalidArgument, "the key has two ingredients named \"", name, "\"");
  }
  try {
    // The manifest is JSON, which holds nothing else.
    static_cast<void>(nlohmann::json(name).dump());
    static_cast<void>(nlohmann::json(text).dump());
  } catch (const nlohmann::json::exception&) {
    fail(ErrorCode::kInvalidArgument, "the key's ingredient \"", name, "\" is not UTF-8 text; give its sha256 instead");
  }
  ingredients_.emplace_back(std::move(name), std::move(text));
  return *this;
}

KeyBuilder& KeyBuilder::add(std::string name, std::int64_t number) {
  return add(std::move(name), std::to_string(number));
}

KeyBuilder& KeyBuilder::add(std::string name, double number) {
  char text[64];
  const auto written =
      std::to_chars(text, text + sizeof text, number);  // the shortest text that reads back as this number
  return add(std::move(name), std::string(text, written.ptr));
}

KeyBuilder& KeyBuilder::add(std::string name, bool flag) {
  return add(std::move(name), std::string(flag ? "true" : "false"));
}

Key KeyBuilder::build() const { return {hex_of(ingredients_), ingredients_}; }

Store::Store(fs::path folder) : folder_(std::move(folder)) {
  make_folder(folder_);
  for (const char* own : {kBuilding, kDamaged, kLocks}) make_folder(folder_ / own);
  remove_leftovers();
}

Store::~Store() {
  // What was begun and never ended goes with its owner.
  std::vector<fs::path> open;
  for (const auto& [path, lock] : owners_) open.push_back(path);
  for (const auto& path : open) {
    try {
      abandon(path);
    } catch (const std::exception& error) {
      log::warning(cat("cannot remove ", path.string(), ": ", error.what()));
    }
  }
}

fs::path Store::entry_folder(std::string_view kind, const Key& key) const {
  check_kind(kind);
  return folder_ / kind / key.hex;
}

FileLock Store::guard() const { return FileLock(folder_ / kLocks / "guard"); }

FileLock Store::lock(std::string_view kind, const Key& key) {
  check_kind(kind);
  return FileLock(folder_ / kLocks / cat(kind, ".", key.hex));
}

void Store::remove_leftovers() {
  const auto held = guard();
  std::error_code error;
  std::vector<fs::path> found;
  for (const auto& item : fs::directory_iterator(folder_ / kBuilding, error)) found.push_back(item.path());
  for (const auto& path : found) {
    const bool is_owner = path.extension() == ".owner";
    auto owner_path = path;
    if (!is_owner) owner_path += ".owner";
    const auto owner = FileLock::try_lock(owner_path);
    if (!owner.held()) continue;  // alive
    auto building = owner_path;
    building.replace_extension();
    fs::remove_all(building, error);
    fs::remove(owner_path, error);
  }
}

void Store::move_aside(std::string_view kind, const Key& key, const std::string& reason) {
  const auto held = guard();
  const auto entry = entry_folder(kind, key);
  // Another process may have put a good one here since.
  if (!fs::exists(entry) || damage_of(entry, kind, key).empty()) return;
  const auto aside = folder_ / kDamaged / cat(kind, ".", key.hex);
  std::error_code error;
  fs::remove_all(aside, error);
  fs::rename(entry, aside, error);
  if (error) {
    fail(ErrorCode::kIo, "stored ", kind, " ", entry.string(), " is damaged (", reason,
         ") and cannot be moved aside: ", error.message());
  }
  log::warning(cat("stored ", kind, " ", key.hex.substr(0, 12), " is damaged: ", reason, "; it was moved to ",
                   aside.string(), " and will be computed again"));
}

std::optional<fs::path> Store::find(std::string_view kind, const Key& key) {
  auto entry = entry_folder(kind, key);
  if (!fs::exists(entry)) return std::nullopt;
  const auto damage = damage_of(entry, kind, key);
  if (damage.empty()) return entry;
  move_aside(kind, key, damage);
  // Present again only when another process replaced it in the meantime.
  if (fs::exists(entry) && damage_of(entry, kind, key).empty()) return entry;
  return std::nullopt;
}

bool Store::contains(std::string_view kind, const Key& key) const {
  return fs::exists(entry_folder(kind, key) / kManifest);
}

fs::path Store::begin(std::string_view kind, const Key& key) {
  check_kind(kind);
  remove_leftovers();
  static std::atomic<unsigned> counter{0};
  const auto held = guard();
  for (;;) {
    // Two machines may share the folder and a process id: the name is free only if its folder could be made.
    const auto name = cat(kind, "_", key.hex.substr(0, 16), "_", ::getpid(), "_", counter.fetch_add(1));
    const auto building = folder_ / kBuilding / name;
    auto owner_path = building;
    owner_path += ".owner";
    auto owner = FileLock::try_lock(owner_path);
    if (!owner.held()) continue;
    std::error_code error;
    if (!fs::create_directory(building, error)) {
      if (error) fail(ErrorCode::kIo, "cannot create folder ", building.string(), ": ", error.message());
      continue;
    }
    const std::lock_guard own(mutex_);
    owners_.emplace(building, std::move(owner));
    return building;
  }
}

void Store::release_owner(const fs::path& temporary) {
  auto owner_path = temporary;
  owner_path += ".owner";
  std::error_code error;
  fs::remove(owner_path, error);
  const std::lock_guard own(mutex_);
  owners_.erase(temporary);
}

void Store::abandon(const fs::path& temporary) {
  const auto held = guard();
  std::error_code error;
  fs::remove_all(temporary, error);
  if (error) fail(ErrorCode::kIo, "cannot remove ", temporary.string(), ": ", error.message());
  release_owner(temporary);
}

fs::path Store::commit(std::string_view kind, const Key& key, const fs::path& temporary) {
  const auto entry = entry_folder(kind, key);
  {
    const std::lock_guard own(mutex_);
    if (!owners_.contains(temporary)) {
      fail(ErrorCode::kInvalidArgument, "cannot store ", temporary.string(),
           ": it was not given by begin() of this store");
    }
  }
  if (hex_of(key.ingredients) != key.hex) {
    fail(ErrorCode::kInvalidArgument, "cannot store a ", kind, ": the key is not the hash of its ingredients");
  }
  const auto files = seal_files(temporary);
  write_file_atomically(temporary / kManifest, manifest_text(kind, key, files));
  sync_folder(temporary);
  make_folder(entry.parent_path());
  for (;;) {
    {
      const auto held = guard();
      if (::rename(temporary.c_str(), entry.c_str()) == 0) {
        sync_folder(entry.parent_path());
        sync_folder(folder_);
        release_owner(temporary);
        return entry;
      }
      const int number = errno;
      if (number != EEXIST && number != ENOTEMPTY) {
        std::error_code error;
        fs::remove(temporary / kManifest, error);
        fail(ErrorCode::kIo, "cannot store ", entry.string(), ": ", std::strerror(number));
      }
    }
    // Somebody was first. Theirs stays if it is whole; find() moves it away if it is not, and ours gets the name.
    if (find(kind, key)) {
      abandon(temporary);
      return entry;
    }
  }
}

fs::path Store::put(std::string_view kind, const Key& key, const std::function<void(const fs::path& folder)>& build) {
  const auto temporary = begin(kind, key);
  try {
    build(temporary);
    return commit(kind, key, temporary);
  } catch (...) {
    abandon(temporary);
    throw;
  }
}

fs::path Store::get_or_compute(std::string_view kind, const Key& key,
                               const std::function<void(const fs::path& folder)>& compute) {
  if (auto stored = find(kind, key)) return *stored;
  const auto held = lock(kind, key);
  if (auto stored = find(kind, key)) return *stored;
  return put(kind, key, compute);
}

std::vector<Difference> Store::explain_miss(std::string_view kind, const Key& key) const {
  if (contains(kind, key)) return {};
  std::vector<Difference> fewest;
  for (const auto& entry : entry_folders(folder_ / kind)) {
    try {
      auto found = differences(read_manifest(entry, kind, entry.filename().string()).key, key);
      if (fewest.empty() || found.size() < fewest.size()) fewest = std::move(found);
    } catch (const Error&) {
      // A damaged entry explains nothing; find() reports it when it is asked for.
    }
  }
  return fewest;
}

}  // namespace palimpsest::experiment
