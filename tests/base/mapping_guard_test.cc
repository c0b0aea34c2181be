#include "base/mapping_guard.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

/// The exit status of a child that runs f; a signal that ends it gives 128 and its number.
template <class F>
int status_of_child(F f) {
  const pid_t child = fork();
  if (child == 0) _exit(f());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(MappingGuard, AFileThatIsCutShortDoesNotEndTheProcess) {
  const TempDir dir;
  const auto path = dir / "weights";
  write_file_atomically(path, std::string(5 * 4096, 'x'));
  EXPECT_EQ(status_of_child([&] {
              const MappedFile whole(path), moved = MappedFile(path);
              if (moved.bytes()[4 * 4096] != std::byte{'x'} || !cut_short().empty()) return 1;
              std::filesystem::resize_file(path, 4096);
              if (moved.bytes()[100] != std::byte{'x'}) return 2;  // what is still there
              check_mapped_files();
              if (moved.bytes()[2 * 4096 + 5] != std::byte{0} || moved.bytes()[5 * 4096 - 1] != std::byte{0}) return 3;
              if (moved.bytes()[4096] != std::byte{0} || whole.bytes()[4096] != std::byte{0}) return 4;
              try {
                check_mapped_files();
              } catch (const Error& e) {
                return std::string(e.what()).find(path.string()) != std::string::npos ? 0 : 5;
              }
              return 6;
            }),
            0);
}

// By the signal, or as a sanitizer that looked for it before does.
TEST(MappingGuard, OtherBusErrorsEndTheProcessAsEver) {
  const TempDir dir;
  write_file_atomically(dir / "file", "x");
  EXPECT_NE(status_of_child([&] {
              const MappedFile file(dir / "file");
              raise(SIGBUS);
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace hadal
