#include "plugin/note.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "base/error.hpp"
#include "base/files.hpp"
#include "palimpsest/entry.h"

namespace palimpsest::plugin {
namespace {

#if defined(__x86_64__)
constexpr int kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr int kMachine = EM_AARCH64;
#else
#error "this machine's ELF number is not known here"
#endif

// The file's bytes with every access checked.
class Elf {
 public:
  Elf(std::span<const std::byte> bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}

  template <typename T>
  T at(std::uint64_t offset, std::string_view what) const {
    T value{};
    std::memcpy(&value, range(offset, sizeof(T), what).data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> range(std::uint64_t offset, std::uint64_t size, std::string_view what) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) {
      fail(ErrorCode::kCorrupt, name_, " is cut short: its ", what, " ends at byte ", offset + size, ", the file has ",
           bytes_.size(), "; build or copy the library again");
    }
    return bytes_.subspan(offset, size);
  }

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
};

void check_regular(const std::filesystem::path& library) {
  struct stat status{};
  if (::stat(library.c_str(), &status) != 0) {
    const int number = errno;
    if (number == ENOENT) fail(ErrorCode::kNotFound, "plugin library ", library.string(), " does not exist");
    fail(ErrorCode::kIo, "plugin library ", library.string(), " cannot be looked at: ", std::strerror(number));
  }
  if (!S_ISREG(status.st_mode)) {
    fail(ErrorCode::kIo, library.string(), " is not a regular file; expected a plugin library");
  }
  if (::access(library.c_str(), R_OK) != 0) {
    fail(ErrorCode::kIo, library.string(), " is not readable; give yourself read permission or remove it");
  }
}

Elf64_Ehdr read_header(const Elf& elf, std::span<const std::byte> bytes, const std::string& name) {
  if (bytes.size() < SELFMAG || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) {
    fail(ErrorCode::kCorrupt, name, " is not a shared library (it does not begin as an ELF file)");
  }
  const auto header = elf.at<Elf64_Ehdr>(0, "ELF header");
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != kMachine) {
    fail(ErrorCode::kUnsupported, name, " was built for another machine (ELF class ", int{header.e_ident[EI_CLASS]},
         ", machine ", header.e_machine, "; this host is class 2, machine ", kMachine, ")");
  }
  if (header.e_type != ET_DYN) fail(ErrorCode::kCorrupt, name, " is an ELF file but not a shared library");
  if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum == 0) {
    fail(ErrorCode::kCorrupt, name, " has no readable program headers");
  }
  return header;
}

// The descriptor of our note in one PT_NOTE segment, if it is there.
std::optional<std::string> find_note(const Elf& elf, const Elf64_Phdr& segment) {
  const std::uint64_t align = segment.p_align == 8 ? 8 : 4;
  const auto up = [align](std::uint64_t n) { return (n + align - 1) / align * align; };
  std::uint64_t offset = segment.p_offset;
  const std::uint64_t end = segment.p_offset + segment.p_filesz;
  while (offset + sizeof(Elf64_Nhdr) <= end) {
    const auto note = elf.at<Elf64_Nhdr>(offset, "note");
    const std::uint64_t name_at = offset + sizeof(Elf64_Nhdr);
    const std::uint64_t text_at = name_at + up(note.n_namesz);
    if (text_at + note.n_descsz > end) return std::nullopt;
    const auto name = elf.range(name_at, note.n_namesz, "note");
    constexpr std::string_view kName(PALIMPSEST_NOTE_NAME, sizeof(PALIMPSEST_NOTE_NAME));  // with its terminator
    if (note.n_type == PALIMPSEST_NOTE_TYPE && name.size() == kName.size() &&
        std::memcmp(name.data(), kName.data(), kName.size()) == 0) {
      const auto text = elf.range(text_at, note.n_descsz, "note");
      return std::string(reinterpret_cast<const char*>(text.data()), text.size());
    }
    offset = text_at + up(note.n_descsz);
  }
  return std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    text = at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
  }
  return parts;
}

bool read_number(std::string_view text, int& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= 0;
}

bool is_plain(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

// What stands in messages is the file's own and may be anything.
bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

Note parse(std::string_view text, const std::string& name) {
  const auto bad = [&](std::string_view what) {
    fail(ErrorCode::kInvalidArgument, name, ": its plugin note cannot be read: ", what,
         "; build the library with palimpsest_add_plugin()");
  };
  Note note;
  bool abi = false, ids = false;
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) bad("a line without '='");
    const std::string_view key = line.substr(0, equals), value = line.substr(equals + 1);
    if (!is_printable(line)) bad("a line that is not plain text");
    if (key == "abi") {
      const std::size_t dot = value.find('.');
      abi = dot != std::string_view::npos && read_number(value.substr(0, dot), note.abi_major) &&
            read_number(value.substr(dot + 1), note.abi_minor);
    } else if (key == "tier") {
      note.tier = value;
    } else if (key == "torch") {
      note.torch = value;
    } else if (key == "compiler") {
      note.compiler = value;
    } else if (key == "ids") {
      ids = true;
      for (const std::string_view entry : split(value, ',')) {
        const std::size_t colon = entry.find(':');
        if (colon == std::string_view::npos) bad("an id without its kind");
        note.plugins.push_back({std::string(entry.substr(0, colon)), std::string(entry.substr(colon + 1))});
        if (!is_plain(note.plugins.back().kind) || !is_plain(note.plugins.back().id))
          bad("a kind or id that is not lower case letters, digits, '_' or '-'");
      }
    }
  }
  if (!abi) bad("no ABI version");
  if (note.tier != "none" && note.tier != "stable" && note.tier != "locked") bad("no tier");
  if (!ids || note.plugins.empty()) bad("no plugin ids");
  return note;
}

}  // namespace

Note read_note(const std::filesystem::path& library) {
  check_regular(library);
  const std::string name = library.string();
  if (std::filesystem::file_size(library) == 0) {
    fail(ErrorCode::kCorrupt, name, " is not a shared library (the file is empty)");
  }
  const MappedFile file(library);
  return read_note(file.bytes(), name);
}

Note read_note(std::span<const std::byte> bytes, const std::string& name) {
  const Elf elf(bytes, name);
  const Elf64_Ehdr header = read_header(elf, bytes, name);
  elf.range(header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(Elf64_Phdr), "table of program headers");
  if (header.e_shnum > 0) {
    elf.range(header.e_shoff, std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr), "table of section headers");
  }
  std::optional<std::string> text;
  for (int i = 0; i < header.e_phnum; ++i) {
    const auto segment =
        elf.at<Elf64_Phdr>(header.e_phoff + static_cast<std::uint64_t>(i) * sizeof(Elf64_Phdr), "header");
    elf.range(segment.p_offset, segment.p_filesz, cat("segment ", i));
    if (segment.p_type == PT_NOTE && !text) text = find_note(elf, segment);
  }
  if (!text) {
    fail(ErrorCode::kInvalidArgument, name, " is a shared library but not a Palimpsest plugin: it has no note ",
         PALIMPSEST_NOTE_SECTION, "; build it with palimpsest_add_plugin()");
  }
  return parse(*text, name);
}

}  // namespace palimpsest::plugin
