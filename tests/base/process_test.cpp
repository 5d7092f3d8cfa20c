#include "base/process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "base/descriptor.hpp"
#include "base/error.hpp"

namespace palimpsest {
namespace {

// All that can be read until the other end is closed.
std::string read_all(const Descriptor& descriptor) {
  std::string text;
  char buffer[256];
  for (ssize_t got = 0; (got = ::read(descriptor.get(), buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

// What the script writes to its standard output.
std::string output_of(const std::string& script, Command command = {}) {
  Pipe pipe = make_pipe();
  command.words = {"/bin/sh", "-c", script};
  command.descriptors.emplace_back(pipe.writing.get(), 1);
  const pid_t process = spawn(command);
  pipe.writing.close();
  const std::string text = read_all(pipe.reading);
  wait_for(process);
  return text;
}

int status_of(const std::string& script) { return wait_for(spawn({.words = {"/bin/sh", "-c", script}})); }

TEST(Process, EndsByItselfOrByASignal) {
  EXPECT_EQ(shell_status(status_of("exit 3")), 3);
  EXPECT_EQ(describe_end(status_of("exit 3")), "the process ended with status 3");
  EXPECT_EQ(shell_status(status_of("kill -TERM $$")), 128 + SIGTERM);
  EXPECT_EQ(describe_end(status_of("kill -TERM $$")), "the process was ended by signal 15 (Terminated)");
}

TEST(Process, IsLookedForOnThePathUnlessItIsOne) {
  EXPECT_EQ(shell_status(wait_for(spawn({.words = {"true"}}))), 0);
  try {
    spawn({.words = {"/no/such/program", "argument"}});
    FAIL() << "started";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_STREQ(error.what(), "cannot start /no/such/program: No such file or directory");
  }
  EXPECT_THROW(spawn({}), Error);
}

TEST(Process, GetsTheEnvironmentAndTheFolderItIsGiven) {
  ASSERT_EQ(::setenv("PALIMPSEST_TEST_ONE", "ours", 1), 0);
  ASSERT_EQ(::setenv("PALIMPSEST_TEST_ONE_MORE", "ours", 1), 0);
  EXPECT_EQ(
      output_of("echo $PALIMPSEST_TEST_ONE $PALIMPSEST_TEST_ONE_MORE $PALIMPSEST_TEST_NEW",
                {.words = {}, .environment = {{"PALIMPSEST_TEST_ONE", "laid over"}, {"PALIMPSEST_TEST_NEW", "x=y"}}}),
      "laid over ours x=y\n");
  ::unsetenv("PALIMPSEST_TEST_ONE");
  ::unsetenv("PALIMPSEST_TEST_ONE_MORE");
  const auto folder = std::filesystem::canonical(std::filesystem::temp_directory_path());
  EXPECT_EQ(output_of("pwd -P", {.words = {}, .folder = folder}), folder.string() + "\n");
}

TEST(Process, HasNoInputWhereItIsToHaveNone) {
  const std::string script = "[ /dev/stdin -ef /dev/null ] && echo none || cat";
  EXPECT_EQ(output_of(script, {.words = {}, .no_input = true}), "none\n");
  Pipe pipe = make_pipe();
  ASSERT_EQ(::write(pipe.writing.get(), "some", 4), 4);
  pipe.writing.close();
  EXPECT_EQ(output_of(script, {.words = {}, .descriptors = {{pipe.reading.get(), 0}}}), "some");
}

// The number under which a descriptor is to be found may be that of another one of ours.
TEST(Process, FindsDescriptorsUnderTheirNumbers) {
  Pipe first = make_pipe();
  Pipe second = make_pipe();
  const int a = first.writing.get();
  const int b = second.writing.get();
  const std::string script = cat("echo to a > /dev/fd/", b, "; echo to b > /dev/fd/", a);
  const pid_t process = spawn({.words = {"/bin/sh", "-c", script}, .descriptors = {{a, b}, {b, a}}});
  first.writing.close();
  second.writing.close();
  EXPECT_EQ(read_all(first.reading), "to a\n");
  EXPECT_EQ(read_all(second.reading), "to b\n");
  EXPECT_EQ(shell_status(wait_for(process)), 0);
}

// Set apart, it inherits neither our group, nor ignored signals, nor a descriptor that was left open.
TEST(Process, IsSetApart) {
  const Command apart{.words = {}, .apart = true};
  const std::string leads = "read -r line < /proc/self/stat; set -- $line; echo $((${5} == $$))";
  EXPECT_EQ(output_of(leads), "0\n");
  EXPECT_EQ(output_of(leads, apart), "1\n");

  const Descriptor leaked(::fcntl(1, F_DUPFD, 50));
  ASSERT_TRUE(leaked.is_open());
  const std::string looks = cat("[ -e /proc/self/fd/", leaked.get(), " ] && echo leaked");
  EXPECT_EQ(output_of(looks), "leaked\n");
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  EXPECT_EQ(output_of(looks, apart), "");
#endif

  const auto former = ::signal(SIGUSR1, SIG_IGN);
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR2);
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  EXPECT_EQ(output_of("kill -USR1 $$; kill -USR2 $$; echo survived"), "survived\n");
  EXPECT_EQ(output_of("kill -USR1 $$; echo survived", apart), "");
  EXPECT_EQ(output_of("kill -USR2 $$; echo survived", apart), "");
  ::sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
  ::signal(SIGUSR1, former);
}

TEST(Descriptor, IsClosedOnce) {
  int number = -1;
  {
    Pipe pipe = make_pipe();
    Descriptor moved = std::move(pipe.reading);
    EXPECT_FALSE(pipe.reading.is_open());
    number = moved.get();
    EXPECT_GE(::fcntl(number, F_GETFD), 0);
    EXPECT_TRUE((::fcntl(number, F_GETFD) & FD_CLOEXEC) != 0);
    const int kept = pipe.writing.release();
    EXPECT_EQ(pipe.writing.get(), -1);
    pipe.writing = Descriptor(kept);
  }
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

}  // namespace
}  // namespace palimpsest
