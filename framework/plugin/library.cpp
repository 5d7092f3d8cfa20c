#include "plugin/library.hpp"

#include <unistd.h>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>
#include <cstdio>
#include <forward_list>
#include <mutex>
#include <system_error>
#include <tuple>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"
#include "plugin/child.hpp"

namespace palimpsest::plugin {
namespace {

// What a child says last when it found nothing wrong.
constexpr const char* kSound = "palimpsest: library is sound";

void check_abi(const Note& note, const std::string& name) {
  const bool same =
      note.abi_major == PALIMPSEST_ABI_MAJOR &&
      (PALIMPSEST_ABI_MAJOR == 0 ? note.abi_minor == PALIMPSEST_ABI_MINOR : note.abi_minor <= PALIMPSEST_ABI_MINOR);
  if (same) return;
  const bool newer =
      std::tie(note.abi_major, note.abi_minor) > std::make_tuple(PALIMPSEST_ABI_MAJOR, PALIMPSEST_ABI_MINOR);
  fail(ErrorCode::kUnsupported, name, " was built for plugin ABI ", note.abi_major, ".", note.abi_minor,
       "; this host has ", PALIMPSEST_ABI_MAJOR, ".", PALIMPSEST_ABI_MINOR, ": ",
       newer ? "update Palimpsest, or build the plugin against this version's headers"
             : "build the plugin again with this version's headers");
}

// "2.10.0" as numbers; the rest of the text is ignored.
std::tuple<int, int, int> version_numbers(const std::string& text) {
  int major = 0, minor = 0, patch = 0;
  std::sscanf(text.c_str(), "%d.%d.%d", &major, &minor, &patch);
  return {major, minor, patch};
}

void check_torch(const Note& note, const HostBuild& host, const std::string& name) {
  if (note.tier == "stable" && version_numbers(host.torch_version) < version_numbers(note.torch)) {
    fail(ErrorCode::kUnsupported, name, " needs libtorch ", note.torch, " or later; this host runs ",
         host.torch_version.empty() ? "none" : host.torch_version);
  }
  if (note.tier == "locked" && note.torch != host.torch_tag) {
    fail(ErrorCode::kUnsupported, name, " was built against ", note.torch, "; this host runs ",
         host.torch_tag.empty() ? "without libtorch" : host.torch_tag,
         ": build the plugin again with this libtorch (a plugin of tier `locked` fits one build only)");
  }
}

// Loads the library in a child process, so that static constructors that crash or exit cannot take the host with them.
void probe_in_child(const std::filesystem::path& path, const std::string& sha256, const HostBuild& host) {
  if (host.probe_command.empty()) return;
  const auto known = host.probe_cache.empty() ? std::filesystem::path()
                                              : host.probe_cache / Sha256().field(sha256).field(host.torch_tag).hex();
  if (!known.empty() && std::filesystem::exists(known)) return;

  std::vector<std::string> words = host.probe_command;
  words.push_back(path.string());
  const ChildEnd end = run_child(std::move(words), host.probe_seconds);
  const bool done = end.exited_with(0) && end.last_line() == kSound;
  if (done) {
    if (!known.empty()) write_file_atomically(known, path.string() + "\n");
    return;
  }
  const std::string said = end.last_line();
  if (end.exited_with(1) && !said.empty()) throw Error(ErrorCode::kInvalidArgument, said);
  fail(ErrorCode::kInvalidArgument, path.string(), " could not be loaded: ",
       end.exited_with(0) ? "it ended the process while it was being loaded" : end.how(host.probe_seconds),
       said.empty() ? "" : cat("; it said: ", said));
}

const palimpsest_library_v1& load(const std::filesystem::path& path) {
  // Never unloaded: instances, vtables and thread-local destructors may outlive any point at which that would be safe.
  static std::mutex mutex;
  static auto& loaded = *new std::forward_list<boost::dll::shared_library>;
  try {
    const std::lock_guard lock(mutex);
    const boost::dll::shared_library& library =
        loaded.emplace_front(path, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
    if (!library.has(PALIMPSEST_LIBRARY_SYMBOL)) {
      fail(ErrorCode::kInvalidArgument, path.string(), " has a plugin note but does not export the symbol ",
           PALIMPSEST_LIBRARY_SYMBOL, "; name its plugins with PALIMPSEST_LIBRARY(...)");
    }
    return library.get<const palimpsest_library_v1>(PALIMPSEST_LIBRARY_SYMBOL);
  } catch (const std::system_error& error) {
    fail(ErrorCode::kInvalidArgument, path.string(), " could not be loaded: ", error.what());
  }
}

std::string text_or_null(const char* text) { return text == nullptr ? "(null)" : std::string(text); }

void check_symbol(const palimpsest_library_v1& symbol, const Note& note, const std::string& name) {
  if (symbol.magic != PALIMPSEST_MAGIC) {
    fail(ErrorCode::kInvalidArgument, name, ": the symbol ", PALIMPSEST_LIBRARY_SYMBOL,
         " does not begin with Palimpsest's magic number; is it something else of that name?");
  }
  const auto differs = [&](std::string_view what, const std::string& in_symbol, const std::string& in_note) {
    if (in_symbol != in_note) {
      fail(ErrorCode::kInvalidArgument, name, ": note and symbol disagree on the ", what, " (note: ", in_note,
           "; symbol: ", in_symbol, "); build the library again from one build folder");
    }
  };
  differs("ABI version", cat(symbol.abi_major, ".", symbol.abi_minor), cat(note.abi_major, ".", note.abi_minor));
  differs("tier", text_or_null(symbol.tier), note.tier);
  differs("libtorch", text_or_null(symbol.torch), note.torch);
  differs("compiler", text_or_null(symbol.compiler), note.compiler);
  if (symbol.descriptors == nullptr) fail(ErrorCode::kInvalidArgument, name, ": the symbol has no list of descriptors");
}

std::vector<const palimpsest_descriptor*> check_descriptors(const palimpsest_library_v1& symbol, const Note& note,
                                                            const std::string& name) {
  std::vector<const palimpsest_descriptor*> all;
  std::vector<PluginName> names;
  for (const auto* const* next = symbol.descriptors; *next != nullptr; ++next) {
    check_descriptor(*next, cat(name, ", descriptor ", all.size()));
    const PluginName found{(*next)->kind, (*next)->id};
    for (const auto& other : names) {
      if (other == found) {
        fail(ErrorCode::kInvalidArgument, name, " has two plugins of kind ", found.kind, " with the id \"", found.id,
             "\"");
      }
    }
    names.push_back(found);
    all.push_back(*next);
  }
  if (names != note.plugins) {
    const auto list = [](const std::vector<PluginName>& plugins) {
      const auto named = [](const PluginName& plugin) { return cat(plugin.kind, ":", plugin.id); };
      return plugins.empty() ? "none" : list_text(plugins, named);
    };
    fail(ErrorCode::kInvalidArgument, name, ": note and symbol disagree on the plugins (note: ", list(note.plugins),
         "; symbol: ", list(names), "); give palimpsest_add_plugin() the KIND and ID of each descriptor, in order");
  }
  return all;
}

}  // namespace

std::shared_ptr<const Library> Library::open(const std::filesystem::path& path, const HostBuild& host) {
  auto library = std::make_shared<Library>();
  library->path_ = path;
  library->note_ = read_note(path);
  const std::string name = path.string();
  check_abi(library->note_, name);
  check_torch(library->note_, host, name);
  library->sha256_ = sha256_file(path);
  probe_in_child(path, library->sha256_, host);
  const palimpsest_library_v1& symbol = load(path);
  check_symbol(symbol, library->note_, name);
  library->descriptors_ = check_descriptors(symbol, library->note_, name);
  return library;
}

int probe_library(const std::filesystem::path& path, const HostBuild& host) {
  try {
    HostBuild here = host;
    here.probe_command.clear();
    Library::open(path, here);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  // _exit skips static destructors: only loading is being tried here.
  std::puts(kSound);
  std::fflush(stdout);
  ::_exit(0);
}

}  // namespace palimpsest::plugin
