#include "experiment/supervisor_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/error.hpp"

namespace palimpsest::experiment {
namespace fs = std::filesystem;
namespace {

// Where a worker finds the write end of its progress pipe.
constexpr int kProgressDescriptor = 3;
// A worker that sends a line without an end is not read into memory for ever.
constexpr std::size_t kLongestLine = 64 * 1024;

// OpenMP threads without work sleep, unless the user says otherwise: as they spin by default, a worker beside other
// load is slowed five to ten times. It changes no number.
constexpr std::pair<const char*, const char*> kWaitPolicy = {"OMP_WAIT_POLICY", "passive"};

// The attributes of posix_spawn and its file actions, freed on every way out.
class SpawnSettings {
 public:
  SpawnSettings() {
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawn_file_actions_init(&actions_);
  }
  ~SpawnSettings() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  posix_spawnattr_t* attributes() { return &attributes_; }
  posix_spawn_file_actions_t* actions() { return &actions_; }

 private:
  posix_spawnattr_t attributes_{};
  posix_spawn_file_actions_t actions_{};
};

class Owned {
 public:
  explicit Owned(int descriptor) : descriptor_(descriptor) {}
  ~Owned() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  int get() const { return descriptor_; }
  int release() { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_;
};

std::vector<std::string> merged_environment(const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> merged;
  const auto replaced = [&](std::string_view entry) {
    return std::any_of(added.begin(), added.end(), [&](const auto& one) {
      return entry.size() > one.first.size() && entry[one.first.size()] == '=' && entry.starts_with(one.first);
    });
  };
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!replaced(*entry)) merged.emplace_back(*entry);
  }
  for (const auto& [name, value] : added) merged.push_back(cat(name, "=", value));
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (auto& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

std::int64_t resident_bytes(pid_t pid) {
  std::ifstream file(cat("/proc/", pid, "/statm"));
  std::int64_t total = 0;
  std::int64_t resident = 0;
  if (!(file >> total >> resident)) return 0;
  return resident * ::sysconf(_SC_PAGESIZE);
}

// Parent and process group of every process that can be seen, by id.
struct Relation {
  pid_t parent = 0;
  pid_t group = 0;
};
std::unordered_map<pid_t, Relation> processes() {
  std::unordered_map<pid_t, Relation> all;
  std::error_code error;
  for (const auto& item : fs::directory_iterator("/proc", fs::directory_options::skip_permission_denied, error)) {
    const auto name = item.path().filename().string();
    pid_t pid = 0;
    const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (problem != std::errc() || end != name.data() + name.size()) continue;
    std::ifstream file(item.path() / "stat");
    std::string text;
    std::getline(file, text);
    // The second field is the program's name in parentheses, which may hold spaces and parentheses.
    const auto close = text.rfind(')');
    if (close == std::string::npos) continue;
    std::istringstream rest(text.substr(close + 1));
    char state = 0;
    Relation relation;
    if (rest >> state >> relation.parent >> relation.group) all.emplace(pid, relation);
  }
  return all;
}

}  // namespace

WorkerProcess::WorkerProcess(const std::vector<std::string>& argv,
                             const std::vector<std::pair<std::string, std::string>>& environment, const fs::path& log) {
  if (argv.empty()) fail(ErrorCode::kInvalidArgument, "a worker's command is empty");
  const Owned output(::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (output.get() < 0) fail(ErrorCode::kIo, "cannot write ", log.string(), ": ", std::strerror(errno));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail(ErrorCode::kIo, "cannot make a pipe: ", std::strerror(errno));
  Owned reading(ends[0]);
  const Owned writing(ends[1]);
  ::fcntl(reading.get(), F_SETFL, O_NONBLOCK);

  SpawnSettings settings;
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(settings.attributes(), &none);
  ::posix_spawnattr_setsigdefault(settings.attributes(), &all);
  ::posix_spawnattr_setpgroup(settings.attributes(), 0);
  ::posix_spawnattr_setflags(settings.attributes(),
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  // The descriptors handed over are first moved out of the way of the numbers they get.
  const Owned log_copy(::fcntl(output.get(), F_DUPFD_CLOEXEC, 10));
  const Owned progress_copy(::fcntl(writing.get(), F_DUPFD_CLOEXEC, 10));
  if (log_copy.get() < 0 || progress_copy.get() < 0) fail(ErrorCode::kIo, "out of descriptors: ", std::strerror(errno));
  ::posix_spawn_file_actions_addopen(settings.actions(), 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(settings.actions(), log_copy.get(), 1);
  ::posix_spawn_file_actions_adddup2(settings.actions(), log_copy.get(), 2);
  ::posix_spawn_file_actions_adddup2(settings.actions(), progress_copy.get(), kProgressDescriptor);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  // Whatever a library of ours opened without O_CLOEXEC stays here.
  ::posix_spawn_file_actions_addclosefrom_np(settings.actions(), kProgressDescriptor + 1);
#endif

  auto additions = environment;
  additions.emplace_back(kProgressDescriptorVariable, std::to_string(kProgressDescriptor));
  additions.emplace_back(kSupervisorVariable, std::to_string(::getpid()));
  if (std::getenv(kWaitPolicy.first) == nullptr) additions.emplace_back(kWaitPolicy);
  auto variables = merged_environment(additions);
  auto words = argv;
  const int problem = ::posix_spawn(&pid_, words[0].c_str(), settings.actions(), settings.attributes(),
                                    pointers(words).data(), pointers(variables).data());
  if (problem != 0) {
    pid_ = -1;
    fail(problem == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, "cannot start the worker ", argv[0], ": ",
         std::strerror(problem));
  }
  progress_ = reading.release();
}

WorkerProcess::~WorkerProcess() {
  if (pid_ > 0 && !ending_) {
    send(SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (progress_ >= 0) ::close(progress_);
}

void WorkerProcess::read_progress(const std::function<void(const MachineLine&)>& sink) {
  while (progress_ >= 0) {
    char buffer[4096];
    const ssize_t got = ::read(progress_, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      ::close(std::exchange(progress_, -1));
      break;
    }
    unread_.append(buffer, static_cast<std::size_t>(got));
    std::size_t end = 0;
    while ((end = unread_.find('\n')) != std::string::npos) {
      if (const auto line = parse_machine_line(std::string_view(unread_).substr(0, end))) sink(*line);
      unread_.erase(0, end + 1);
    }
    if (unread_.size() > kLongestLine) unread_.clear();
  }
}

void WorkerProcess::send(int signal) const {
  if (pid_ > 0 && !ending_) ::kill(-pid_, signal);
}

std::optional<Ending> WorkerProcess::try_wait() {
  if (ending_ || pid_ <= 0) return ending_;
  siginfo_t info{};
  // Looked at first and reaped later: until it is reaped its number, and so its group's, cannot be another's.
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return {};
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  ending_ = WIFSIGNALED(status) ? Ending{0, WTERMSIG(status)} : Ending{WEXITSTATUS(status), 0};
  return ending_;
}

std::int64_t WorkerProcess::resident_mib(bool with_children) const {
  if (pid_ <= 0 || ending_) return 0;
  std::int64_t bytes = resident_bytes(pid_);
  if (with_children) {
    const auto all = processes();
    for (const auto& [pid, relation] : all) {
      if (pid == pid_) continue;
      // A member of the group, or below the worker by any number of steps.
      bool ours = relation.group == pid_;
      pid_t above = relation.parent;
      for (int steps = 0; !ours && steps < 64 && above > 1; ++steps) {
        ours = above == pid_;
        const auto found = all.find(above);
        above = found == all.end() ? 0 : found->second.parent;
      }
      if (ours) bytes += resident_bytes(pid);
    }
  }
  return bytes / (1024 * 1024);
}

std::int64_t WorkerProcess::peak_mib() const {
  if (pid_ <= 0 || ending_) return 0;
  // The kernel's own high-water mark: what comes and goes between two looks is in it. (ru_maxrss is not it: of a
  // spawned process that starts with its parent's.)
  constexpr std::string_view kName = "VmHWM:";
  std::ifstream file(cat("/proc/", pid_, "/status"));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kName)) return std::strtoll(line.c_str() + kName.size(), nullptr, 10) / 1024;
  }
  return 0;
}

std::string last_line(const fs::path& log) {
  std::ifstream file(log, std::ios::binary);
  file.seekg(0, std::ios::end);
  const auto size = static_cast<std::int64_t>(file.tellg());
  if (!file || size <= 0) return "";
  constexpr std::int64_t kTail = 8192;
  file.seekg(std::max<std::int64_t>(0, size - kTail));
  std::string tail((std::istreambuf_iterator<char>(file)), {});
  const auto last = tail.find_last_not_of(" \t\r\n");
  if (last == std::string::npos) return "";
  tail.resize(last + 1);
  const auto start = tail.find_last_of('\n');
  std::string line = start == std::string::npos ? tail : tail.substr(start + 1);
  constexpr std::string_view kPrefix = "error: ";
  if (line.starts_with(kPrefix)) line.erase(0, kPrefix.size());
  if (line.size() > 500) line.resize(500);
  return line;
}

}  // namespace palimpsest::experiment
