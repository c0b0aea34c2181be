#pragma once
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace hadal {

/// Calls run() in a child process and kills it after a while. That it ended well before then is fine.
template <class Run>
void run_and_kill(const Run& run, int milliseconds) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    try {
      run();
    } catch (...) {
      _exit(3);
    }
    _exit(0);
  }
  usleep(static_cast<useconds_t>(milliseconds) * 1000);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

}  // namespace hadal
