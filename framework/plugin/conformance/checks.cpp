#include "plugin/conformance/checks.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <elf.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <regex>
#include <string_view>

#include "base/error.hpp"
#include "plugin/conformance/exercise.hpp"
#include "plugin/library.hpp"

namespace palimpsest::conformance {
namespace {

// Runs `body`, which may add violations; an Error is one.
template <typename Body>
Violations collect(Body&& body) {
  Violations found;
  try {
    body(found);
  } catch (const std::exception& error) {
    found.emplace_back(error.what());
  }
  return found;
}

// A sentence or more: enough words, and an end.
bool is_sentence(std::string_view text) {
  return text.size() >= 12 && text.find(' ') != std::string_view::npos && (text.back() == '.' || text.back() == '?');
}

// Names of the defined symbols of a file's dynamic symbol table.
std::vector<std::string> exported_symbols(const std::filesystem::path& library) {
  std::ifstream file(library, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  const auto at = [&](auto offset, auto& out) {
    if (offset + sizeof out > bytes.size()) fail(ErrorCode::kCorrupt, library.string(), " is cut short");
    std::memcpy(&out, bytes.data() + offset, sizeof out);
  };
  Elf64_Ehdr header{};
  at(std::size_t{0}, header);
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  for (std::size_t i = 0; i < sections.size(); ++i) at(header.e_shoff + i * sizeof(Elf64_Shdr), sections[i]);
  std::vector<std::string> names;
  for (const auto& section : sections) {
    if (section.sh_type != SHT_DYNSYM) continue;
    for (std::size_t offset = 0; offset < section.sh_size; offset += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol{};
      at(section.sh_offset + offset, symbol);
      if (symbol.st_shndx == SHN_UNDEF || ELF64_ST_BIND(symbol.st_info) == STB_LOCAL) continue;
      names.emplace_back(bytes.data() + sections.at(section.sh_link).sh_offset + symbol.st_name);
    }
  }
  return names;
}

}  // namespace

Violations check_exports(const std::filesystem::path& library) {
  return collect([&](Violations& found) {
    const auto names = exported_symbols(library);
    for (const auto& name : names) {
      if (name != PALIMPSEST_LIBRARY_SYMBOL) found.push_back(cat("it exports ", name));
    }
    if (names.size() == found.size()) found.push_back(cat("it does not export ", PALIMPSEST_LIBRARY_SYMBOL));
  });
}

Violations check_description(const palimpsest_descriptor& descriptor) {
  return collect([&](Violations& found) {
    plugin::check_descriptor(&descriptor, descriptor.id == nullptr ? "descriptor" : descriptor.id);
    if (!std::regex_match(descriptor.version, std::regex("[0-9]+\\.[0-9]+\\.[0-9]+"))) {
      found.push_back(cat("the version is \"", descriptor.version, "\"; expected three numbers"));
    }
    if (!is_sentence(descriptor.summary) || std::strchr(descriptor.summary, '\n') != nullptr) {
      found.push_back(cat("the summary \"", descriptor.summary, "\" is not one line with a sentence"));
    }
    for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
      const auto& p = descriptor.parameters[i];
      if (!is_sentence(p.doc)) found.push_back(cat("the doc of ", p.name, " is no sentence: \"", p.doc, "\""));
      if (!std::regex_match(p.name, std::regex("[a-z][a-z0-9_]*"))) {
        found.push_back(cat("the parameter ", p.name, " is not in lower_snake_case"));
      }
    }
    if (descriptor.get_interface("made-up/1") != nullptr) found.emplace_back("it offers the interface made-up/1");
  });
}

Violations check_creation(const plugin::Plugin& plugin, const std::filesystem::path& tiny) {
  return collect([&](Violations&) {
    TinyWorld world(tiny);
    const auto first = make_exercise(plugin, world);
    const auto second = make_exercise(plugin, world);
  });
}

Violations check_columns(const plugin::Plugin& plugin, const std::filesystem::path& tiny) {
  return collect([&](Violations& found) {
    TinyWorld world(tiny);
    for (const auto& column : make_exercise(plugin, world)->columns()) {
      const auto bad = [&](std::string_view what) { found.push_back(cat("column ", column.name, ": ", what)); };
      const bool number = column.dtype == PALIMPSEST_FLOAT64 || column.dtype == PALIMPSEST_INT64;
      if (!std::regex_match(column.name, std::regex("[a-z][a-z0-9_]*"))) bad("the name is not in lower_snake_case");
      if (!is_sentence(column.doc)) bad("the doc is no sentence");
      if (column.dtype == PALIMPSEST_FLOAT64 && column.unit.empty()) bad("a measured number has no unit (\"1\": pure)");
      if (column.aggregate == PALIMPSEST_AGGREGATE_RATE && column.dtype != PALIMPSEST_BOOL) bad("a RATE is not BOOL");
      if (column.aggregate == PALIMPSEST_AGGREGATE_MEAN && !number) bad("a MEAN is not a number");
      if (column.baseline != PALIMPSEST_BASELINE_NONE && column.aggregate != PALIMPSEST_AGGREGATE_RATE) {
        bad("a baseline without a RATE");
      }
    }
  });
}

Violations check_output(const plugin::Plugin& plugin, const std::filesystem::path& tiny) {
  return collect([&](Violations& found) {
    TinyWorld world(tiny);
    found = make_exercise(plugin, world)->violations();
  });
}

Violations check_repeatable(const plugin::Plugin& plugin, const std::filesystem::path& tiny) {
  return collect([&](Violations& found) {
    TinyWorld world(tiny);
    const auto exercise = make_exercise(plugin, world);
    if (exercise->run() != exercise->run()) found.emplace_back("a second run of one instance gives something else");
  });
}

Violations check_isolated(const plugin::Plugin& plugin, const std::filesystem::path& tiny) {
  return collect([&](Violations& found) {
    TinyWorld world(tiny), other_world(tiny, false);
    const std::string alone = make_exercise(plugin, world)->run();
    const auto first = make_exercise(plugin, other_world);
    const auto second = make_exercise(plugin, world);
    try {
      first->run();
    } catch (const Error&) {
      // An unedited model may be refused; what counts is what the other instance gives.
    }
    if (second->run() != alone) found.emplace_back("an instance gives something else after another one ran");
  });
}

Violations check_weights(const plugin::Plugin& plugin, const std::filesystem::path& tiny) {
  return collect([&](Violations& found) {
    TinyWorld world(tiny);
    const std::string before = world.weights();
    make_exercise(plugin, world)->run();
    if (world.weights() != before) found.emplace_back("a run changed the weights it was given");
  });
}

Violations check_failing_sink(const plugin::Plugin& plugin, const std::filesystem::path& tiny) {
  return collect([&](Violations& found) {
    TinyWorld world(tiny);
    const std::string before = world.weights();
    const auto exercise = make_exercise(plugin, world);
    try {
      const auto bare = exercise->run_bare(PALIMPSEST_CANCELLED);
      if (bare.sink_calls > 0 && bare.status == PALIMPSEST_OK) {
        found.emplace_back("the sink failed and the call gave OK");
      }
      if (bare.sink_calls > 1) found.push_back(cat("the sink was called ", bare.sink_calls, " times though it failed"));
    } catch (...) {
      found.emplace_back("an exception came through the C boundary");
    }
    if (world.weights() != before) found.emplace_back("a failed call changed the weights");
  });
}

Violations check_recovers(const plugin::Plugin& plugin, const std::filesystem::path& tiny) {
  return collect([&](Violations& found) {
    TinyWorld world(tiny);
    const auto exercise = make_exercise(plugin, world);
    const std::string before = exercise->run();
    // What does not repeat itself is another check's finding.
    if (exercise->run() != before) return;
    try {
      exercise->run_bare(PALIMPSEST_CANCELLED);
    } catch (...) {
      return;
    }
    if (exercise->run() != before) found.emplace_back("a run after a failed one gives something else");
  });
}

Violations check_order(const plugin::Plugin& plugin, const std::filesystem::path& tiny) {
  return collect([&](Violations& found) {
    TinyWorld world(tiny);
    const auto forwards = make_exercise(plugin, world), backwards = make_exercise(plugin, world);
    const std::string a = forwards->run_fact(0), b = forwards->run_fact(1);
    const std::string b_first = backwards->run_fact(1), a_second = backwards->run_fact(0);
    if (a != a_second || b != b_first) found.emplace_back("what it gives for a fact depends on the facts before it");
  });
}

Violations check_state(const plugin::Plugin& plugin, const std::filesystem::path& tiny) {
  return collect([&](Violations& found) {
    TinyWorld world(tiny);
    found = make_exercise(plugin, world)->state_violations();
  });
}

Violations check_failed_state(const plugin::Plugin& plugin, const std::filesystem::path& tiny) {
  return collect([&](Violations& found) {
    TinyWorld world(tiny);
    found = make_exercise(plugin, world)->failure_violations();
  });
}

Violations check_thread_state(const plugin::Plugin& plugin, const std::filesystem::path& tiny, bool guarded) {
  return collect([&](Violations& found) {
    TinyWorld world(tiny);
    const auto exercise = make_exercise(plugin, world);
    const bool former = c10::GradMode::is_enabled();
    const int threads = at::get_num_threads();
    const at::Tensor generator = at::detail::getDefaultCPUGenerator().get_state();
    for (const bool enabled : {true, false}) {
      c10::GradMode::set_enabled(enabled);
      if (guarded) {
        exercise->run();
      } else {
        exercise->run_bare(PALIMPSEST_OK);
      }
      if (c10::GradMode::is_enabled() != enabled) found.push_back(cat("grad mode was ", enabled, " and is no longer"));
    }
    c10::GradMode::set_enabled(former);
    if (at::get_num_threads() != threads) found.push_back(cat(threads, " threads became ", at::get_num_threads()));
    at::set_num_threads(threads);
    at::Generator after = at::detail::getDefaultCPUGenerator();
    if (!at::equal(after.get_state(), generator)) found.emplace_back("libtorch's default generator was drawn from");
    after.set_state(generator);
  });
}

std::span<const Check> checks() {
  static constexpr Check kChecks[] = {
      {"exports", "The library exports the symbol palimpsest_library and nothing else.",
       [](const plugin::Plugin& p, const std::filesystem::path&) { return check_exports(p.library->path()); }},
      {"description", "Descriptor and parameters are documented, with a version of three numbers.",
       [](const plugin::Plugin& p, const std::filesystem::path&) { return check_description(*p.descriptor); }},
      {"creation", "An instance is made from the defaults, and a second one beside it.", check_creation},
      {"columns", "Every declared column has a unit, a definition, and an aggregate that fits its type.",
       check_columns},
      {"output", "A run gives what the kind promises.", check_output},
      {"repeatable", "The same instance gives the same again.", check_repeatable},
      {"isolated", "An instance gives the same whatever other instances did before.", check_isolated},
      {"weights", "No weight changes but through the updates of an editor.", check_weights},
      {"failing sink",
       "When the host refuses a result the call fails, without an exception and without a changed weight.",
       check_failing_sink},
      {"recovers", "A run after a failed one gives what it gives alone.", check_recovers},
      {"order", "What an editor or augmenter gives for a fact does not depend on the facts before it.", check_order},
      {"state", "What lives from one edit to the next is in the state that an editor saves.", check_state},
      {"failed state", "An edit that fails leaves the editor's state as it was.", check_failed_state},
      {"thread state",
       "Grad mode, thread count and libtorch's default generator are after a call what they were before it.",
       [](const plugin::Plugin& p, const std::filesystem::path& tiny) { return check_thread_state(p, tiny, false); }},
  };
  return kChecks;
}

}  // namespace palimpsest::conformance
