#include "base/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "experiment/progress_view.hpp"

namespace palimpsest {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// What is written to a pipe while it lives.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe(ends_), 0); }
  ~Pipe() {
    ::close(ends_[0]);
    if (ends_[1] >= 0) ::close(ends_[1]);
  }
  int writing() const { return ends_[1]; }
  std::string text() {
    ::close(ends_[1]);
    ends_[1] = -1;
    std::string all;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(ends_[0], buffer, sizeof buffer)) > 0;)
      all.append(buffer, static_cast<std::size_t>(got));
    return all;
  }

 private:
  int ends_[2] = {-1, -1};
};

TEST(Progress, SaysDurationsAsPeopleDo) {
  EXPECT_EQ(duration_text(0.2), "0 s");
  EXPECT_EQ(duration_text(59.4), "59 s");
  EXPECT_EQ(duration_text(65), "1 min 05 s");
  EXPECT_EQ(duration_text(7380), "2 h 03 min");
  EXPECT_EQ(duration_text(-1), "?");
}

TEST(Progress, LineHasRateAndTimeLeft) {
  EXPECT_EQ(progress_line({"second moments", 45, 100, "texts", 15.0}),
            "second moments: 45 of 100 texts (45 %), 3.00 texts/s, 18 s left");
  EXPECT_EQ(progress_line({"reading", 7, 0, "rows", 0.0}), "reading: 7 rows");
  EXPECT_EQ(progress_line({"done", 100, 100, "texts", 10.0}), "done: 100 of 100 texts (100 %), 10.0 texts/s");
}

TEST(Progress, WhatAnEarlierRunDidIsNotInTheRate) {
  const ProgressState state{"resumed", 90, 100, "steps", 10.0, 80};
  EXPECT_DOUBLE_EQ(state.rate(), 1.0);
  EXPECT_DOUBLE_EQ(*state.seconds_left(), 10.0);
  EXPECT_FALSE((ProgressState{"resumed", 80, 100, "steps", 10.0, 80}.seconds_left()));
}

TEST(Progress, BarFitsItsWidth) {
  const ProgressState state{"edit", 50, 100, "facts", 10.0};
  EXPECT_EQ(progress_bar(state, 100), "edit [###############---------------] 50 % 50/100 facts 5.00/s 10 s left");
  for (const int columns : {0, 5, 20, 40, 79})
    EXPECT_LE(progress_bar(state, columns).size(), static_cast<std::size_t>(columns));
}

TEST(Progress, MachineLinesComeBack) {
  const auto line = parse_machine_line(machine_line({"a\tlabel\nof two", 5, 10, "facts", 1.5, 2}));
  ASSERT_TRUE(line && line->progress);
  EXPECT_EQ(line->progress->label, "a label of two");
  EXPECT_EQ(line->progress->done, 5);
  EXPECT_EQ(line->progress->total, 10);
  EXPECT_EQ(line->progress->unit, "facts");
  EXPECT_DOUBLE_EQ(line->progress->seconds, 1.5);
  EXPECT_EQ(line->progress->done_before, 2);
  const auto error = parse_machine_line("error\tno such layer");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->text, "no such layer");
  for (const char* bad : {"", "progress", "\ttext", "progress\ta\tx\t1\tu\t0\t0", "progress\ta\t1\t1\tu\t0"}) {
    EXPECT_FALSE(parse_machine_line(bad)) << bad;
  }
}

TEST(Progress, ShortWorkIsSilentInALog) {
  Pipe pipe;
  {
    Progress progress("quick", 3, "facts", 0, {ProgressStyle::kLines, pipe.writing()});
    progress.advance(3);
    progress.finish();
  }
  EXPECT_EQ(pipe.text(), "");
}

TEST(Progress, ABarEndsItsLineOnce) {
  Pipe pipe;
  {
    Progress progress("edit", 2, "facts", 0, {ProgressStyle::kBar, pipe.writing()});
    progress.set(2);
    progress.finish();
    progress.finish();
    progress.advance();
  }
  const auto text = pipe.text();
  EXPECT_THAT(text, HasSubstr("100 % 2/2 facts"));
  EXPECT_THAT(text, EndsWith("\x1b[K\n"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Progress, ThreadsLoseNoCount) {
  Pipe pipe;
  {
    Progress progress("count", 40000, "things", 0, {ProgressStyle::kMachine, pipe.writing()});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 10000; ++i) progress.advance();
      });
    }
    for (auto& thread : threads) thread.join();
    progress.finish();
  }
  const auto text = pipe.text();
  EXPECT_THAT(text, StartsWith("progress\tcount\t0\t40000\tthings\t"));
  EXPECT_THAT(text, HasSubstr("progress\tcount\t40000\t40000\tthings\t"));
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 20) << "at most five lines a second";
}

TEST(ProgressView, SaysWhatHappensInPlainLines) {
  Pipe pipe;
  {
    experiment::ProgressView view({ProgressStyle::kLines, pipe.writing()});
    const experiment::Node cell{"cell_1", "rome, plain", {}, true};
    view.planned(3, 2);
    view.started(cell);
    view.progressed(cell, {"editing", 1, 2, "facts", 1.0});
    experiment::NodeReport report;
    report.state = experiment::NodeState::kFailed;
    report.seconds = 65;
    report.peak_mib = 300;
    report.message = "failed with exit status 3: x";
    view.ended(cell, report);
    report = {};
    report.state = experiment::NodeState::kSkipped;
    report.message = "skipped: needs cell_1";
    view.ended({"summary", "", {"cell_1"}}, report);
  }
  EXPECT_EQ(pipe.text(),
            "2 nodes to run, 3 stored already\nstarted: rome, plain\n"
            "[1/2] rome, plain: failed in 1 min 05 s, 300 MiB: failed with exit status 3: x\n"
            "[2/2] summary: skipped: needs cell_1\n");
}

}  // namespace
}  // namespace palimpsest
