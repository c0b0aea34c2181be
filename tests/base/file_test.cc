#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>

#include "base/error.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::size_t num_files(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// Runs `body` in a child process, so limits and mounts stay there. The exit code; body's own failures are 1.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 1;
    try {
      code = body();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(File, WritesReadsAndMaps) {
  const TempDir dir;
  const std::string bytes = std::string("a\0b\n", 4) + std::string(100'000, 'x');
  write_file_atomically(dir / "f", bytes);
  EXPECT_EQ(read_file(dir / "f"), bytes);
  MappedFile mapped(dir / "f");
  MappedFile moved = std::move(mapped);
  ASSERT_EQ(moved.bytes().size(), bytes.size());
  EXPECT_EQ(static_cast<char>(moved.bytes()[2]), 'b');
  write_file_atomically(dir / "f", "new");
  EXPECT_EQ(read_file(dir / "f"), "new");
  EXPECT_EQ(static_cast<char>(moved.bytes()[2]), 'b');  // the mapping keeps the old file alive
  write_file_atomically(dir / "empty", "");
  EXPECT_TRUE(MappedFile(dir / "empty").bytes().empty());
  EXPECT_EQ(num_files(dir.path()), 2U);
}

TEST(File, Refusals) {
  const TempDir dir;
  write_file_atomically(dir / "f", "12345");
  EXPECT_THAT(error_of([&] { read_file(dir / "f", 4); }), HasSubstr("got 5 bytes, want at most 4"));
  EXPECT_THAT(error_of([&] { read_file(dir / "none"); }), HasSubstr("cannot open: No such file"));
  EXPECT_THAT(error_of([&] { read_file(dir.path()); }), HasSubstr("not a regular file"));
  EXPECT_THAT(error_of([&] { MappedFile file(dir.path()); }), HasSubstr("not a regular file"));
  EXPECT_THAT(error_of([&] { write_file_atomically(dir / "no" / "f", "x"); }), HasSubstr("cannot create"));
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { read_file(dir / "pipe"); }), HasSubstr("not a regular file"));
}

TEST(File, WithoutCommitNothingChanges) {
  const TempDir dir;
  write_file_atomically(dir / "f", "old");
  {
    AtomicFile file(dir / "f");
    file.write("half of the new");
    EXPECT_EQ(num_files(dir.path()), 2U);
  }
  EXPECT_EQ(read_file(dir / "f"), "old");
  EXPECT_EQ(num_files(dir.path()), 1U);
  EXPECT_THROW(AtomicFile(dir.path() / "a" / "b"), Error);
}

TEST(File, RenameOntoAFolderLeavesItAndCleansUp) {
  const TempDir dir;
  fs::create_directories(dir / "f" / "inside");
  EXPECT_THAT(error_of([&] { write_file_atomically(dir / "f", "x"); }), HasSubstr("cannot rename"));
  EXPECT_TRUE(fs::exists(dir / "f" / "inside"));
  EXPECT_EQ(num_files(dir.path()), 1U);
}

/// 0: writing 1 MB over a small old file failed with `reason` and left the old file and nothing else.
int overwrite_fails(const fs::path& folder, std::string_view reason) {
  try {
    write_file_atomically(folder / "f", std::string(1 << 20, 'n'));
    return 2;
  } catch (const Error& e) {
    if (std::string_view(e.what()).find(reason) == std::string_view::npos) return 3;
  }
  if (read_file(folder / "f") != "old") return 4;
  return num_files(folder) == 1 ? 0 : 5;
}

TEST(File, AFullDiskLeavesTheOldFile) {
  const TempDir dir;
  if (::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=256k") != 0) GTEST_SKIP() << "no right to mount";
  write_file_atomically(dir / "f", "old");
  EXPECT_EQ(overwrite_fails(dir.path(), "No space left"), 0);
  EXPECT_LE(free_disk_bytes(dir / "not" / "yet"), 256 * 1024);
  EXPECT_GT(free_disk_bytes(dir / "f"), 0);
  EXPECT_EQ(::umount(dir.path().c_str()), 0);
}

TEST(File, AFileSizeLimitLeavesTheOldFile) {
  const TempDir dir;
  write_file_atomically(dir / "f", "old");
  EXPECT_EQ(in_child([&] {
              std::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit = {64 * 1024, 64 * 1024};
              if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 6;
              return overwrite_fails(dir.path(), "File too large");
            }),
            0);
}

TEST(File, AKillLeavesTheOldFile) {
  const TempDir dir;
  write_file_atomically(dir / "f", "old");
  in_child([&]() -> int {
    AtomicFile file(dir / "f");
    file.write(std::string(100'000, 'n'));
    std::raise(SIGKILL);
    return 0;
  });
  EXPECT_EQ(read_file(dir / "f"), "old");
}

TEST(File, FreeDisk) {
  EXPECT_GT(free_disk_bytes("."), 0);
  EXPECT_GT(free_disk_bytes("/does/not/exist"), 0);
}

}  // namespace
}  // namespace hadal
