#include "experiment/supervisor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

#include "base/error.hpp"
#include "base/files.hpp"
#include "child.hpp"
#include "support/scratch.hpp"

namespace palimpsest::experiment {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Graph one_node() { return Graph(std::vector<Node>{{"node", "the node", {}, false}}); }

class Supervisor : public Scratch {
 protected:
  void SetUp() override {
    Scratch::SetUp();
    options_.jobs = 2;
    options_.grace_seconds = 5;
    options_.log_folder = folder_ / "logs";
    options_.lock_folder = folder_ / "locks";
    options_.is_done = [this](const Node& node) { return fs::exists(folder_ / "results" / node.id); };
    options_.command = [this](const Node& node, int) {
      std::vector<std::string> words{EXPERIMENT_HELPER, "worker", folder_.string(), node.id};
      const auto given = behaviour_.find(node.id);
      const auto behaviour = given == behaviour_.end() ? std::vector<std::string>{"write", "0"} : given->second;
      words.insert(words.end(), behaviour.begin(), behaviour.end());
      return words;
    };
  }
  // One node that behaves so.
  NodeReport run_one(std::vector<std::string> behaviour) {
    behaviour_["node"] = std::move(behaviour);
    return run_graph(one_node(), options_).nodes.at(0);
  }
  std::string log() const { return (options_.log_folder / "node.log").string(); }

  SupervisorOptions options_;
  std::map<std::string, std::vector<std::string>> behaviour_;
};

TEST_F(Supervisor, RunsEachNodeOnceAfterWhatItNeeds) {
  const Graph graph({{"a", "", {}}, {"b", "", {"a"}}, {"c", "", {"a"}}, {"d", "", {"b", "c"}}});
  auto report = run_graph(graph, options_);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.text(), "4 nodes: 4 ran");
  EXPECT_EQ(read_file(folder_ / "results" / "d"), "result of d");
  const auto trace = read_file(folder_ / "trace");
  EXPECT_THAT(trace, AllOf(StartsWith("a\n"), EndsWith("d\n")));
  EXPECT_EQ(trace.size(), 8u);
  EXPECT_EQ(run_graph(graph, options_).text(), "4 nodes: 4 stored");
  EXPECT_EQ(read_file(folder_ / "trace"), trace) << "nothing runs twice";
  fs::remove(folder_ / "results" / "b");
  fs::remove(folder_ / "results" / "d");
  EXPECT_EQ(run_graph(graph, options_).text(), "4 nodes: 2 stored, 2 ran");
}

TEST_F(Supervisor, TheLimitCountsCells) {
  const Graph graph({{"base", "", {}}, {"x", "", {"base"}, true}, {"y", "", {"base"}, true}, {"z", "", {}, true}});
  options_.limit = 1;
  auto report = run_graph(graph, options_);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.text(), "4 nodes: 2 ran, 2 not started");
  EXPECT_EQ(report.nodes[3].message, "past the limit of 1 cells");
  EXPECT_EQ(run_graph(graph, options_).text(), "4 nodes: 2 stored, 1 ran, 1 not started");
  EXPECT_EQ(run_graph(graph, options_).text(), "4 nodes: 3 stored, 1 ran");
}

TEST_F(Supervisor, WorkersAtTheSameTimeHaveSlotsOfTheirOwn) {
  // Two that run until their time is over, and one that ends: the third starts in the slot that is free.
  const Graph graph({{"a", "", {}}, {"b", "", {}}, {"c", "", {}}});
  behaviour_["a"] = {"loop"};
  options_.node_seconds = 4;
  std::map<std::string, int> slots;
  const auto command = options_.command;
  options_.command = [&](const Node& node, int slot) {
    slots[node.id] = slot;
    return command(node, slot);
  };
  const auto report = run_graph(graph, options_);
  EXPECT_EQ(report.nodes[0].state, NodeState::kFailed);
  EXPECT_EQ(slots, (std::map<std::string, int>{{"a", 0}, {"b", 1}, {"c", 1}}));
}

TEST_F(Supervisor, AWorkerMayHeedTheRequestToStop) {
  options_.node_seconds = 2;
  EXPECT_THAT(run_one({"heedful"}).message, HasSubstr("node_seconds is 2; log: ")) << "it was not killed";
  EXPECT_EQ(read_file(log()), "error: work was stopped on request\n");
}

// Before the first worker starts all are asked, so the second question is that before each one's own worker.
TEST_F(Supervisor, ANodeWhoseResultCannotBeLookedForCostsNoOther) {
  const Graph graph({{"a", "", {}}, {"b", "", {"a"}}, {"c", "", {}}});
  int questions = 0;
  const auto is_done = options_.is_done;
  options_.is_done = [&](const Node& node) {
    if (node.id == "a" && ++questions > 1) fail(ErrorCode::kIo, "the disk is gone");
    return is_done(node);
  };
  const auto report = run_graph(graph, options_);
  EXPECT_EQ(report.text(),
            "3 nodes: 1 ran, 1 failed, 1 skipped\n  a: it cannot be started: the disk is gone\n  b: skipped: needs a");
}

TEST_F(Supervisor, APeakBetweenTwoLooksIsSeen) {
  // 300 MiB for the blink of an eye, then a while of nothing.
  const auto node = run_one({"peak", "300"});
  EXPECT_EQ(node.state, NodeState::kRan) << node.message;
  EXPECT_GT(node.peak_mib, 300);
  EXPECT_LT(node.peak_mib, 500);
}

TEST_F(Supervisor, ExitZeroWithoutAResultIsAFailure) {
  const auto node = run_one({"nothing"});
  EXPECT_EQ(node.state, NodeState::kFailed);
  EXPECT_EQ(node.message, "ended without a result, though with exit status 0; log: " + log());
}

TEST_F(Supervisor, TheWorkersOwnWordsAreTheMessage) {
  EXPECT_EQ(run_one({"told"}).message, "failed with exit status 3: layer 7 is NaN; log: " + log());
  EXPECT_EQ(run_one({"logged"}).message, "failed with exit status 4: no such layer: 99; log: " + log());
}

TEST_F(Supervisor, AStoredResultCountsWhateverFollowsIt) {
  const auto node = run_one({"late"});
  EXPECT_EQ(node.state, NodeState::kRan);
  EXPECT_EQ(node.message, "its result is stored; the worker then ended with exit status 5");
}

TEST_F(Supervisor, ACrashNamesItsSignal) {
  const auto node = run_one({"crash"});
  EXPECT_EQ(node.state, NodeState::kFailed);
  EXPECT_EQ(node.message, "crashed by signal 11 (Segmentation fault): about to touch address 0; log: " + log());
}

TEST_F(Supervisor, AnEndlessLoopIsStoppedAtItsTime) {
  options_.node_seconds = 0.3;
  const auto node = run_one({"loop"});
  EXPECT_EQ(node.state, NodeState::kFailed);
  EXPECT_THAT(node.message, ::testing::MatchesRegex("stopped after [0-9.]+ s: node_seconds is 0\\.3; log: .*"));
  EXPECT_LT(node.seconds, 30);
}

TEST_F(Supervisor, WhoIgnoresSigtermIsKilled) {
  options_.node_seconds = 2;
  options_.grace_seconds = 0.3;
  const auto node = run_one({"stubborn"});
  EXPECT_THAT(node.message, HasSubstr("node_seconds is 2; it did not end on SIGTERM and was killed; log: "));
  EXPECT_EQ(read_file(log()), "ready\n") << "it was up when it was stopped";
  EXPECT_GE(node.seconds, 2.3);
  EXPECT_LT(node.seconds, 30);
}

TEST_F(Supervisor, MemoryIsBounded) {
  options_.node_memory_mib = 200;
  auto node = run_one({"allocate", "500"});
  EXPECT_EQ(node.state, NodeState::kFailed);
  EXPECT_THAT(node.message,
              AllOf(StartsWith("stopped at "), HasSubstr(" MiB: node_memory is 200 MiB"), HasSubstr("; log: ")));
  EXPECT_GT(node.peak_mib, 200);
  options_.node_seconds = 2;
  node = run_one({"allocate", "40"});
  EXPECT_THAT(node.message, HasSubstr("node_seconds"));
  EXPECT_GE(node.peak_mib, 40);
  EXPECT_LT(node.peak_mib, 200);
}

TEST_F(Supervisor, AProgramThatCannotStartIsAnError) {
  options_.command = [](const Node&, int) { return std::vector<std::string>{"/no/such/program"}; };
  try {
    run_graph(one_node(), options_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_STREQ(error.what(), "cannot start /no/such/program: No such file or directory");
  }
}

TEST_F(Supervisor, BadOptionsAreRefused) {
  const Graph graph = one_node();
  for (const auto& spoil : std::vector<std::function<void(SupervisorOptions&)>>{
           [](auto& o) { o.jobs = 0; }, [](auto& o) { o.limit = -1; }, [](auto& o) { o.node_seconds = -1; },
           [](auto& o) { o.node_memory_mib = -1; }, [](auto& o) { o.is_done = nullptr; }}) {
    auto options = options_;
    spoil(options);
    EXPECT_THROW(run_graph(graph, options), Error);
  }
  EXPECT_THROW(thread_environment(0), Error);
}

TEST_F(Supervisor, AFailureCostsWhatNeedsItAndNothingElse) {
  behaviour_["bad"] = {"told"};
  const Graph graph({{"bad", "", {}},
                     {"user", "", {"bad"}},
                     {"last", "", {"user", "fine"}},
                     {"fine", "", {}},
                     {"other", "", {"fine"}}});
  const auto report = run_graph(graph, options_);
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(
      report.text(),
      cat("5 nodes: 2 ran, 1 failed, 2 skipped\n  bad: failed with exit status 3: layer 7 is NaN; log: ",
          (options_.log_folder / "bad.log").string(), "\n  user: skipped: needs bad\n  last: skipped: needs bad"));
  EXPECT_TRUE(fs::exists(folder_ / "results" / "other"));
}

TEST_F(Supervisor, NothingOfAWorkersGroupOutlivesIt) {
  const auto node = run_one({"orphan"});
  EXPECT_EQ(node.state, NodeState::kFailed);
  const auto child = static_cast<pid_t>(std::stoi(read_file(folder_ / "orphan")));
  bool gone = false;
  for (int i = 0; i < 200 && !gone; ++i) {
    // Whoever adopted it may be slow to reap it: a zombie is gone too.
    std::ifstream stat(cat("/proc/", child, "/stat"));
    std::string text;
    gone = !std::getline(stat, text) || text.find(") Z ") != std::string::npos;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(gone);
}

class Watcher : public RunObserver {
 public:
  void planned(int stored, int wanted) override { said += cat("planned ", stored, " ", wanted, "; "); }
  void started(const Node& node) override { said += cat("started ", node.id, "; "); }
  void progressed(const Node&, const ProgressState& state) override { last = state; }
  void ended(const Node& node, const NodeReport& report) override {
    said += cat("ended ", node.id, " ", name_of(report.state), "; ");
  }
  std::string said;
  ProgressState last;
};

TEST_F(Supervisor, WorkersHaveTheirSurroundingsAndAreHeard) {
  Watcher watcher;
  options_.observer = &watcher;
  options_.environment = thread_environment(3);
  // A descriptor that some library opened without O_CLOEXEC.
  ASSERT_EQ(::dup2(2, 200), 200);
  ::unsetenv("OMP_WAIT_POLICY");
  const auto node = run_one({"surroundings"});
  ::close(200);
  ASSERT_EQ(node.state, NodeState::kRan) << node.message;
  EXPECT_EQ(read_file(folder_ / "results" / "node"),
            "3 3 FALSE passive stdin 0 group own progress 3 inherited nothing");
  EXPECT_EQ(watcher.said, "planned 0 1; started node; ended node ran; ");
  EXPECT_EQ(watcher.last.label, "counting");
  EXPECT_EQ(watcher.last.done, 4);
  EXPECT_EQ(watcher.last.total, 10);
}

TEST_F(Supervisor, WorkersWaitAsTheUserWishes) {
  ::setenv("OMP_WAIT_POLICY", "active", 1);
  const auto node = run_one({"surroundings"});
  ::unsetenv("OMP_WAIT_POLICY");
  ASSERT_EQ(node.state, NodeState::kRan) << node.message;
  EXPECT_THAT(read_file(folder_ / "results" / "node"), HasSubstr(" active stdin"));
}

TEST_F(Supervisor, TwoRunsAtOnceComputeNothingTwice) {
  for (const char* id : {"a", "b", "c", "d"}) behaviour_[id] = {"write", "150"};
  const Graph graph({{"a", "", {}}, {"b", "", {"a"}}, {"c", "", {"a"}}, {"d", "", {"b", "c"}}});
  // The second front process is a worker here: a worker that runs by hand takes the node's lock as any other.
  ASSERT_EQ(::setenv("PALIMPSEST_SUPERVISOR_PID", std::to_string(::getpid()).c_str(), 1), 0);
  Child other({"worker", folder_.string(), "a", "write", "400"}, folder_ / "out");
  for (int i = 0; i < 500 && !fs::exists(folder_ / "trace"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const auto report = run_graph(graph, options_);
  ASSERT_EQ(::unsetenv("PALIMPSEST_SUPERVISOR_PID"), 0);
  EXPECT_EQ(other.wait(), 0);
  EXPECT_EQ(report.text(), "4 nodes: 1 stored, 3 ran");
  EXPECT_EQ(report.nodes[0].message, "done by another process meanwhile");
  EXPECT_EQ(read_file(folder_ / "trace").size(), 8u);
}

TEST_F(Supervisor, AWorkerByHandIsRefused) {
  Child child({"worker", folder_.string(), "a", "write"}, folder_ / "out");
  EXPECT_EQ(child.wait(), 1);
  EXPECT_EQ(read_file(folder_ / "out"),
            "error: `worker` is started by `run`, not by hand (PALIMPSEST_SUPERVISOR_PID is not set)\n");
}

// Sends `signals` to this process, 300 ms apart, once `ready` says so (after 30 s all the same).
class Sender {
 public:
  Sender(std::vector<int> signals, std::function<bool()> ready)
      : thread_([signals, ready] {
          for (int i = 0; i < 3000 && !ready(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
          for (const int signal : signals) {
            ::kill(::getpid(), signal);
            std::this_thread::sleep_for(std::chrono::milliseconds(300));
          }
        }) {}
  ~Sender() { thread_.join(); }

 private:
  std::thread thread_;
};

TEST_F(Supervisor, SigintStopsCleanlyAndGivesTheHandlersBack) {
  struct sigaction before{};
  ::sigaction(SIGINT, nullptr, &before);
  behaviour_["a"] = behaviour_["b"] = {"sleep", "60000"};
  const Graph graph({{"a", "", {}}, {"b", "", {}}, {"c", "", {}}, {"d", "", {"a"}}});
  RunReport report;
  {
    const Sender sender(
        {SIGINT}, [&] { return fs::exists(folder_ / "logs" / "a.log") && fs::exists(folder_ / "logs" / "b.log"); });
    report = run_graph(graph, options_);
  }
  EXPECT_EQ(report.stopped_by, SIGINT);
  EXPECT_FALSE(report.ok());
  EXPECT_LT(report.seconds, 40);
  EXPECT_EQ(report.text(),
            "4 nodes: 2 stopped, 2 not started\nstopped by signal 2 (Interrupt); the same command goes on from here");
  EXPECT_EQ(report.nodes[0].message, "stopped with the run");
  EXPECT_EQ(report.nodes[2].message, "not started: the run was stopped");
  struct sigaction after{};
  ::sigaction(SIGINT, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

TEST_F(Supervisor, ASecondSignalKills) {
  behaviour_["node"] = {"stubborn"};
  options_.grace_seconds = 60;
  RunReport report;
  {
    const Sender sender({SIGTERM, SIGINT}, [&] { return fs::exists(log()) && read_file(log()) == "ready\n"; });
    report = run_graph(one_node(), options_);
  }
  EXPECT_EQ(report.stopped_by, SIGTERM);
  EXPECT_LT(report.seconds, 40);
  EXPECT_EQ(report.nodes[0].state, NodeState::kStopped);
  EXPECT_EQ(report.nodes[0].message, "stopped with the run; it did not end on SIGTERM and was killed");
}

}  // namespace
}  // namespace palimpsest::experiment
