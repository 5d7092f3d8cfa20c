// A program for the tests of the experiment engine. Its first argument says what it is:
//   worker FOLDER ID BEHAVIOUR [NUMBER]   a supervisor's worker
//   front FOLDER JOBS                     a supervisor over a small graph of hashing workers
//   writer FOLDER                         begins a store entry, writes half of it, says so, waits to be killed
//   committer FOLDER                      commits entries to a store for ever
//   computer FOLDER                       get_or_compute of one key, counting computations in a file
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/hash.hpp"
#include "base/progress.hpp"
#include "experiment/graph.hpp"
#include "experiment/store.hpp"
#include "experiment/supervisor.hpp"
#include "experiment/supervisor_worker.hpp"

namespace fs = std::filesystem;
using namespace palimpsest;              // NOLINT: a program of one file
using namespace palimpsest::experiment;  // NOLINT

namespace {

fs::path result_of(const fs::path& folder, const std::string& id) { return folder / "results" / id; }

std::string variable(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? "" : text;
}

int work(const fs::path& folder, const std::string& id, const std::string& behaviour, long number) {
  enter_worker();
  const auto lock = node_lock(folder / "locks", id);
  const auto sleep = [](long milliseconds) { std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds)); };
  if (behaviour == "write") {
    if (fs::exists(result_of(folder, id))) return 0;
    // Every computation leaves a trace: two of one node would show.
    const int trace = ::open((folder / "trace").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const std::string line = id + "\n";
    if (trace < 0 || ::write(trace, line.data(), line.size()) < 0) return 7;
    sleep(number);
    write_file_atomically(result_of(folder, id), cat("result of ", id));
    return 0;
  }
  if (behaviour == "hash") {
    // Depends on the results below it, so that a wrong or half one would go on.
    Progress progress(id, 20, "rounds");
    std::string text = id;
    for (const char* below = std::strtok(std::getenv("HELPER_BELOW"), " "); below != nullptr;
         below = std::strtok(nullptr, " ")) {
      text += read_file(result_of(folder, below));
    }
    for (int round = 0; round < 20; ++round) {
      text += sha256_hex(text);
      sleep(number);
      progress.advance();
    }
    write_file_atomically(result_of(folder, id), text);
    return 0;
  }
  if (behaviour == "nothing") return 0;
  if (behaviour == "told") {
    tell_supervisor("error", "layer 7 is NaN");
    return 3;
  }
  if (behaviour == "logged") {
    std::cerr << "warming up\nerror: no such layer: 99\n\n";
    return 4;
  }
  if (behaviour == "late") {
    write_file_atomically(result_of(folder, id), "late");
    return 5;
  }
  if (behaviour == "crash") {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    std::cerr << "about to touch address 0" << std::endl;
    ::signal(SIGSEGV, SIG_DFL);  // a sanitizer has its own handler
    ::raise(SIGSEGV);
  }
  if (behaviour == "loop") {
    // A loop that touches a volatile may not be taken to end.
    volatile int never = 0;
    while (never == 0) {
    }
  }
  if (behaviour == "heedful") {
    heed_stop_requests();
    while (!stop_requested()) ::usleep(10000);  // ends early when the signal comes
    std::cerr << "error: work was stopped on request\n";
    return 130;
  }
  if (behaviour == "stubborn") {
    ::signal(SIGTERM, SIG_IGN);
    std::cout << "ready" << std::endl;
    for (;;) sleep(1000);
  }
  if (behaviour == "allocate") {
    std::vector<std::vector<char>> blocks;
    for (long i = 0; i < number; ++i) blocks.emplace_back(1024 * 1024, 'x');
    for (;;) sleep(1000);
  }
  if (behaviour == "peak") {
    // Gone before the supervisor looks, as likely as not.
    {
      const std::vector<char> block(static_cast<std::size_t>(number) * 1024 * 1024, 'x');
    }
    sleep(500);
    write_file_atomically(result_of(folder, id), "peak");
    return 0;
  }
  if (behaviour == "orphan") {
    // A child of the same group that outlives the worker, with the group's id in a file.
    pid_t child = 0;
    std::string words[] = {"/bin/sleep", "600"};
    char* argv[] = {words[0].data(), words[1].data(), nullptr};
    if (::posix_spawn(&child, argv[0], nullptr, nullptr, argv, environ) != 0) return 6;
    write_file_atomically(folder / "orphan", std::to_string(child));
    return 1;
  }
  if (behaviour == "sleep") {
    sleep(number);
    return 0;
  }
  if (behaviour == "surroundings") {
    std::string text;
    for (const char* name : {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "MKL_DYNAMIC", "OMP_WAIT_POLICY"}) {
      text += variable(name) + " ";
    }
    char byte = 0;
    text += cat("stdin ", ::read(0, &byte, 1), " group ", ::getpgrp() == ::getpid() ? "own" : "shared", " progress ",
                variable(kProgressDescriptorVariable), " inherited ",
                ::fcntl(200, F_GETFD) < 0 ? "nothing" : "a descriptor");
    write_file_atomically(result_of(folder, id), text);
    Progress progress("counting", 10, "things");
    progress.set(4);
    progress.finish();
    return 0;
  }
  std::cerr << "unknown behaviour " << behaviour << "\n";
  return 2;
}

// Three stages that are shared, then cells on one or two of them, and a summary of all.
std::vector<Node> small_graph() {
  std::vector<Node> nodes{
      {"base", "base", {}, false}, {"edit_a", "edit a", {"base"}, false}, {"edit_b", "edit b", {"base"}, false}};
  std::vector<std::string> cells;
  for (int i = 0; i < 8; ++i) {
    cells.push_back(cat("cell_", i));
    nodes.push_back({cells.back(), "", {i % 2 == 0 ? "edit_a" : "edit_b", i % 3 == 0 ? "edit_b" : "base"}, true});
  }
  nodes.push_back({"summary", "summary", cells, false});
  return nodes;
}

int front(const std::string& self, const fs::path& folder, int jobs) {
  const Graph graph(small_graph());
  SupervisorOptions options;
  options.jobs = jobs;
  options.grace_seconds = 2;
  options.log_folder = folder / "logs";
  options.lock_folder = folder / "locks";
  options.environment = thread_environment(1);
  options.is_done = [&](const Node& node) { return fs::exists(result_of(folder, node.id)); };
  options.command = [&](const Node& node, int) {
    std::string below;
    for (const auto& id : node.depends_on) below += id + " ";
    return std::vector<std::string>{
        "/usr/bin/env", "HELPER_BELOW=" + below, self, "worker", folder.string(), node.id, "hash", "1"};
  };
  const auto report = run_graph(graph, options);
  std::cout << report.text() << std::endl;
  if (report.stopped_by != 0) return 128 + report.stopped_by;
  return report.ok() ? 0 : 1;
}

int write_half(const fs::path& folder) {
  Store store(folder);
  const auto temporary = store.begin("stage", KeyBuilder().add("name", "half").build());
  write_file_atomically(temporary / "first", "whole");
  std::cout << temporary.string() << std::endl;
  for (;;) ::pause();
}

int commit_for_ever(const fs::path& folder) {
  Store store(folder);
  std::cout << "ready" << std::endl;
  for (std::int64_t i = 0;; ++i) {
    const auto key = KeyBuilder().add("i", i).build();
    const auto temporary = store.begin("stage", key);
    write_file_atomically(temporary / "sub" / "data", std::string(20000, static_cast<char>('a' + i % 26)));
    store.commit("stage", key, temporary);
  }
}

int compute(const fs::path& folder) {
  Store store(folder / "store");
  const auto entry = store.get_or_compute("stage", KeyBuilder().add("name", "one").build(), [&](const fs::path& into) {
    const int trace = ::open((folder / "computed").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (trace < 0 || ::write(trace, "x", 1) != 1) ::_exit(7);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    write_file_atomically(into / "data", "42");
  });
  return read_file(entry / "data") == "42" ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv, argv + argc);
  const auto number = [&](std::size_t i) { return i < words.size() ? std::stoi(words[i]) : 0; };
  try {
    if (words.size() >= 5 && words[1] == "worker") return work(words[2], words[3], words[4], number(5));
    if (words.size() == 4 && words[1] == "front") return front(words[0], words[2], number(3));
    if (words.size() == 3 && words[1] == "writer") return write_half(words[2]);
    if (words.size() == 3 && words[1] == "committer") return commit_for_ever(words[2]);
    if (words.size() == 3 && words[1] == "computer") return compute(words[2]);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
  std::cerr << "error: wrong arguments\n";
  return 2;
}
