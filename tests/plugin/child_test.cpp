#include "plugin/child.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace palimpsest::plugin {
namespace {

ChildEnd shell(const std::string& script, int seconds = 60) { return run_child({"/bin/sh", "-c", script}, seconds); }

TEST(Child, GivesStatusAndLastLine) {
  const ChildEnd end = shell("echo first; echo second >&2; exit 3");
  EXPECT_TRUE(end.exited_with(3));
  EXPECT_EQ(end.last_line(), "second");
  EXPECT_EQ(end.how(60), "the process ended with status 3");
  EXPECT_EQ(shell("exit 0").last_line(), "");
}

TEST(Child, GivesTheSignal) {
  EXPECT_EQ(shell("kill -ABRT $$").how(60), "the process was ended by signal 6 (Aborted)");
}

TEST(Child, IsKilledWhenItDoesNotComeBack) {
  const ChildEnd end = shell("echo waiting; exec sleep 1000", 1);
  EXPECT_TRUE(end.too_slow);
  EXPECT_FALSE(end.exited_with(0));
  EXPECT_EQ(end.how(1), "it did not come back within 1 s");
  EXPECT_EQ(end.last_line(), "waiting");
  // Closing its output does not save it, nor does talking all the time.
  EXPECT_TRUE(shell("exec >&- 2>&-; exec sleep 1000", 1).too_slow);
  EXPECT_TRUE(shell("while :; do echo talking; done", 1).too_slow);
}

// A grandchild that holds the pipe open does not keep us.
TEST(Child, IsNotWaitedForBeyondItsEnd) {
  const ChildEnd end = shell("sleep 1000 & echo $!");
  EXPECT_TRUE(end.exited_with(0));
  shell("kill " + end.last_line());
}

TEST(Child, ThatSaysMuchIsCut) {
  const ChildEnd end =
      shell("i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890; i=$((i+1)); done; echo last");
  EXPECT_TRUE(end.exited_with(0));
  EXPECT_LT(end.said.size(), 40000U);
  EXPECT_EQ(end.last_line(), "last");
}

TEST(Child, ThatCannotBeStartedIsAnError) { EXPECT_THROW(run_child({"/no/such/program"}, 1), Error); }

}  // namespace
}  // namespace palimpsest::plugin
