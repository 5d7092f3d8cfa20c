// Writes a project for a new plugin: the template of its kind, with the name in place of "my-method".
#include <algorithm>
#include <array>
#include <filesystem>
#include <iostream>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "app/commands.hpp"
#include "app/program.hpp"
#include "app/setup.hpp"
#include "base/error.hpp"
#include "base/files.hpp"
#include "base/text.hpp"
#include "experiment/catalog.hpp"

namespace palimpsest::app {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 5> kKinds = {PALIMPSEST_KIND_EDITOR, PALIMPSEST_KIND_FINETUNE_TASK,
                                                    PALIMPSEST_KIND_AUGMENTER, PALIMPSEST_KIND_FREEZE_POLICY,
                                                    PALIMPSEST_KIND_METRIC};

// Words that cannot be the namespace of a plugin's code: C++'s own, and those of the libraries it includes.
constexpr std::string_view kTaken[] = {
    "alignas",  "alignof",  "and",       "asm",      "at",       "aten",       "auto",    "bitand",    "bitor",
    "bool",     "boost",    "break",     "c10",      "case",     "catch",      "char",    "class",     "compl",
    "concept",  "const",    "constexpr", "continue", "decltype", "default",    "delete",  "do",        "double",
    "else",     "enum",     "explicit",  "export",   "extern",   "false",      "float",   "for",       "friend",
    "goto",     "if",       "inline",    "int",      "library",  "long",       "mutable", "namespace", "new",
    "noexcept", "not",      "nullptr",   "operator", "or",       "palimpsest", "private", "protected", "public",
    "register", "requires", "return",    "sdk",      "short",    "signed",     "sizeof",  "static",    "std",
    "struct",   "switch",   "template",  "test",     "testing",  "this",       "throw",   "torch",     "true",
    "try",      "typedef",  "typeid",    "typename", "union",    "unsigned",   "using",   "virtual",   "void",
    "volatile", "while",    "xor",       "plugins"};

struct Spelling {
  std::string id;     // my-method, as in a TOML file
  std::string snake;  // my_method, for files and the namespace
  std::string camel;  // MyMethod, the class
};

std::string checked_kind(const std::string& given) {
  const std::string kind(experiment::abi_kind(given));
  if (std::find(kKinds.begin(), kKinds.end(), kind) == kKinds.end()) {
    throw UsageError(cat("new: there is no kind of plugin \"", given, "\"", did_you_mean(given, kKinds),
                         "; expected one of ", list_text(kKinds)));
  }
  return kind;
}

Spelling checked_name(const std::string& id) {
  static const std::regex form("[a-z][a-z0-9]*([_-][a-z0-9]+)*");
  if (id.size() > 64 || !std::regex_match(id, form) || (id.find('_') != id.npos && id.find('-') != id.npos)) {
    throw UsageError(cat("new: \"", id,
                         "\" is no name for a plugin; expected at most 64 lower-case letters and digits, in words "
                         "joined by - or by _, that begin with a letter: my-method"));
  }
  Spelling name{id, id, ""};
  std::replace(name.snake.begin(), name.snake.end(), '-', '_');
  bool begins = true;
  for (const char c : name.snake) {
    if (c == '_') {
      begins = true;
    } else {
      name.camel += begins && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      begins = false;
    }
  }
  if (std::find(std::begin(kTaken), std::end(kTaken), name.snake) != std::end(kTaken)) {
    throw UsageError(cat("new: \"", id,
                         "\" cannot name the namespace of the plugin's code, it means something in C++ or in a "
                         "library; take two words, e.g. ",
                         id, "-method"));
  }
  return name;
}

void refuse_taken_id(const std::string& kind, const std::string& id) {
  const plugin::Registry registry(plugin_folders({}), host_build());
  const auto ids = registry.ids(kind);
  if (std::find(ids.begin(), ids.end(), id) != ids.end()) {
    fail(ErrorCode::kInvalidArgument, "there is a plugin of kind ", kind, " with the id \"", id,
         "\" already, and two of one name cannot be loaded together; take another name");
  }
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string spelled(std::string text, const Spelling& name) {
  text = replaced(std::move(text), "my-method", name.id);
  text = replaced(std::move(text), "my_method", name.snake);
  return replaced(std::move(text), "MyMethod", name.camel);
}

}  // namespace

int new_command(const Arguments& arguments) {
  const std::string kind = checked_kind(arguments.positional[0]);
  const Spelling name = checked_name(arguments.positional[1]);
  const std::string given = arguments.value("output");
  const fs::path folder = fs::absolute(given.empty() ? fs::path(name.id) : fs::path(given)).lexically_normal();
  refuse_taken_id(kind, name.id);
  if (fs::exists(folder) && (!fs::is_directory(folder) || !fs::is_empty(folder))) {
    fail(ErrorCode::kInvalidArgument, folder.string(),
         " exists and is not an empty folder; nothing was written. Take another place with --output");
  }
  const fs::path source = program().locations.root / "plugins" / "template" / kind;
  if (!fs::is_directory(source)) {
    fail(ErrorCode::kNotFound, "the template ", source.string(), " is not there; the installation is not whole");
  }
  std::vector<std::string> written;
  for (const auto& entry : fs::directory_iterator(source)) {
    const std::string file = spelled(entry.path().filename().string(), name);
    write_file_atomically(folder / file, spelled(read_file(entry.path()), name));
    written.push_back(file);
  }
  std::sort(written.begin(), written.end());
  std::cout << "Wrote " << folder.string() << ":\n";
  for (const auto& file : written) std::cout << "  " << file << '\n';
  const fs::path prefix = program().executable.parent_path().parent_path();
  std::cout << "\nNext, in that folder:\n  cmake -B build -DCMAKE_PREFIX_PATH=";
  if (program().installed) {
    std::cout << prefix.string();
  } else {
    std::cout << "PREFIX   # after: cmake --install " << prefix.string() << " --prefix PREFIX";
  }
  std::cout << "\n  cmake --build build\n  ctest --test-dir build --output-on-failure\n  "
            << (program().installed ? program().executable.string() : "PREFIX/bin/palimpsest")
            << " run experiment.toml\n";
  return 0;
}

}  // namespace palimpsest::app
