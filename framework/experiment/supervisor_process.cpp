#include "experiment/supervisor_process.hpp"

#include <fcntl.h>
#include <signal.h>
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
#include "base/process.hpp"

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
  const Descriptor output(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (!output.is_open()) fail(ErrorCode::kIo, "cannot write ", log.string(), ": ", std::strerror(errno));
  Pipe pipe = make_pipe();
  ::fcntl(pipe.reading.get(), F_SETFL, O_NONBLOCK);

  Command worker{.words = argv,
                 .environment = environment,
                 .no_input = true,
                 .descriptors = {{output.get(), 1}, {output.get(), 2}, {pipe.writing.get(), kProgressDescriptor}},
                 .apart = true};
  worker.environment.emplace_back(kProgressDescriptorVariable, std::to_string(kProgressDescriptor));
  worker.environment.emplace_back(kSupervisorVariable, std::to_string(::getpid()));
  if (std::getenv(kWaitPolicy.first) == nullptr) worker.environment.emplace_back(kWaitPolicy);
  pid_ = spawn(worker);
  progress_ = std::move(pipe.reading);
}

WorkerProcess::~WorkerProcess() {
  if (pid_ > 0 && !ending_) {
    send(SIGKILL);
    wait_for(pid_);
  }
}

void WorkerProcess::read_progress(const std::function<void(const MachineLine&)>& sink) {
  while (progress_.is_open()) {
    char buffer[4096];
    const ssize_t got = ::read(progress_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      progress_.close();
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
  const int status = wait_for(pid_);
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
