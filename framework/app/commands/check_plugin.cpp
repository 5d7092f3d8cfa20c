// Holds every plugin of one library to its promises (plugin/conformance), one line a check.
//
// The checks run in processes of their own: a library that crashes, leaves or never returns fails the check at hand,
// and the next one goes on. The hidden command `check-plugin-here` is such a process; it tells its parent line by line.
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/commands.hpp"
#include "app/program.hpp"
#include "base/descriptor.hpp"
#include "base/error.hpp"
#include "base/process.hpp"
#include "plugin/conformance/checks.hpp"

namespace palimpsest::app {
namespace {

// A check on the tiny model takes seconds; one that is silent for so long will not end.
constexpr std::chrono::seconds kLongest{300};

std::filesystem::path tiny_folder() { return program().locations.root / "tiny"; }

std::string label_of(const palimpsest_descriptor& descriptor) { return cat(descriptor.kind, " ", descriptor.id); }

struct Step {
  const palimpsest_descriptor* descriptor;
  const conformance::Check* check;
};

std::vector<Step> steps_of(const plugin::Library& library) {
  std::vector<Step> steps;
  for (const auto* descriptor : library.descriptors()) {
    for (const auto& check : conformance::checks()) steps.push_back({descriptor, &check});
  }
  return steps;
}

void print(bool passed, const Step& step, const std::vector<std::string>& findings) {
  std::cout << (passed ? "passed  " : "failed  ") << label_of(*step.descriptor) << ", " << step.check->name << ": "
            << step.check->promise << '\n';
  for (const auto& finding : findings) std::cout << "          found: " << finding << '\n';
  std::cout.flush();
}

// The process that checks, from one of the steps on.
class Child {
 public:
  Child(const std::filesystem::path& file, std::size_t first) {
    Pipe pipe = make_pipe();
    process_ =
        spawn({.words = {program().executable.string(), "check-plugin-here", file.string(), std::to_string(first)},
               .descriptors = {{pipe.writing.get(), 1}}});
    out_ = std::move(pipe.reading);
  }

  // The next line; false at the end of what it says, or, with `*late`, when it is silent for too long.
  bool line(std::string& text, bool& late) {
    for (;;) {
      const std::size_t end = rest_.find('\n');
      if (end != std::string::npos) {
        text = rest_.substr(0, end);
        rest_.erase(0, end + 1);
        return true;
      }
      pollfd waiting{out_.get(), POLLIN, 0};
      const int ready = ::poll(&waiting, 1, static_cast<int>(std::chrono::milliseconds(kLongest).count()));
      if (ready < 0 && errno == EINTR) continue;
      if (ready == 0) {
        late = true;
        return false;
      }
      char buffer[4096];
      const ssize_t got = ::read(out_.get(), buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      rest_.append(buffer, static_cast<std::size_t>(got));
    }
  }

  // Waits for its end, after a kill if `late`, and says how it came.
  std::string end(bool late) {
    if (late) ::kill(process_, SIGKILL);
    const int status = wait_for(process_);
    if (late) return cat("it was stopped after ", kLongest.count(), " s without a result");
    return cat(describe_end(status), " before the check was done");
  }

 private:
  pid_t process_ = 0;
  Descriptor out_;
  std::string rest_;
};

}  // namespace

int check_plugin_command(const Arguments& arguments) {
  const auto file = std::filesystem::absolute(arguments.positional.front()).lexically_normal();
  std::shared_ptr<const plugin::Library> library;
  try {
    library = plugin::Library::open(file, host_build());
  } catch (const Error& error) {
    std::cout << "failed  loading: The library is whole, was built for this program, and describes its plugins.\n"
              << "          found: " << error.what() << "\n\nThe library cannot be used.\n";
    return 1;
  }
  std::cout << "passed  loading: The library is whole, was built for this program, and describes its plugins.\n";
  const auto steps = steps_of(*library);
  std::size_t failures = 0;
  for (std::size_t next = 0; next < steps.size();) {
    Child child(file, next);
    std::vector<std::string> findings;
    bool late = false;
    // "!text" is a finding of the check at hand, "." its end; what the plugin itself prints is neither.
    for (std::string text; next < steps.size() && child.line(text, late);) {
      if (text.starts_with("palimpsest!")) {
        findings.push_back(text.substr(11));
      } else if (text == "palimpsest.") {
        print(findings.empty(), steps[next], findings);
        failures += findings.empty() ? 0 : 1;
        findings.clear();
        ++next;
      }
    }
    const std::string ending = child.end(late);
    if (next < steps.size()) {
      findings.push_back(ending);
      print(false, steps[next++], findings);
      ++failures;
    }
  }
  std::cout << '\n' << steps.size() + 1 << " checks, " << failures << " failed.\n";
  return failures == 0 ? 0 : 1;
}

int check_plugin_here_command(const Arguments& arguments) {
  plugin::HostBuild build = host_build();
  build.probe_command.clear();
  const auto library = plugin::Library::open(arguments.positional[0], build);
  const auto steps = steps_of(*library);
  for (std::size_t i = std::stoul(arguments.positional[1]); i < steps.size(); ++i) {
    const plugin::Plugin plugin{library, steps[i].descriptor};
    for (std::string finding : steps[i].check->run(plugin, tiny_folder())) {
      for (char& c : finding) c = c == '\n' ? ' ' : c;
      std::cout << "\npalimpsest!" << finding << '\n';
    }
    std::cout << "\npalimpsest." << std::endl;
  }
  return 0;
}

}  // namespace palimpsest::app
