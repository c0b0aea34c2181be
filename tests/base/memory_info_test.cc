#include "base/memory_info.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

/// A machine with 1,000 KB, of which 600 are available.
struct FakeSystem {
  TempDir root;
  FakeSystem() { write("proc/meminfo", "MemTotal:  1000 kB\nMemFree: 100 kB\nMemAvailable:    600 kB\n"); }
  void write(const std::string& name, const std::string& text) const {
    const fs::path path = root / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
};

TEST(MemoryInfo, OfAMachineWithoutLimits) {
  const FakeSystem system;
  const MemoryInfo info = memory_info(system.root.path());
  EXPECT_EQ(info.total, 1000 * 1024);
  EXPECT_EQ(info.available, 600 * 1024);
  system.write("proc/self/cgroup", "0::/user\n");
  system.write("sys/fs/cgroup/user/memory.max", "max\n");
  EXPECT_EQ(memory_info(system.root.path()).available, 600 * 1024);
}

TEST(MemoryInfo, TheTightestGroupCounts) {
  const FakeSystem system;
  system.write("proc/self/cgroup", "0::/outer/inner\n");
  system.write("sys/fs/cgroup/outer/inner/memory.max", "500000\n");
  system.write("sys/fs/cgroup/outer/inner/memory.current", "10000\n");
  system.write("sys/fs/cgroup/outer/memory.max", "300000\n");
  system.write("sys/fs/cgroup/outer/memory.current", "110000\n");
  system.write("sys/fs/cgroup/outer/memory.stat", "anon 5\ninactive_file 60000\n");
  const MemoryInfo info = memory_info(system.root.path());
  EXPECT_EQ(info.available, 250000);
  EXPECT_EQ(info.limited_by, "cgroup /outer");
}

TEST(MemoryInfo, GroupsOfTheFirstVersion) {
  const FakeSystem system;
  system.write("proc/self/cgroup", "5:cpu,memory:/docker/abc\n4:pids:/x\n");
  system.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "200000\n");
  system.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "250000\n");
  EXPECT_EQ(memory_info(system.root.path()).available, 0);
}

TEST(MemoryInfo, OfThisMachine) {
  const MemoryInfo info = memory_info();
  EXPECT_GT(info.available, 0);
  EXPECT_LE(info.available, info.total);
}

TEST(ParseBytes, TakesUnits) {
  EXPECT_EQ(parse_bytes("12345", "x"), 12345);
  EXPECT_EQ(parse_bytes("512M", "x"), std::int64_t{512} << 20);
  EXPECT_EQ(parse_bytes("7.5G", "x"), std::int64_t{7680} << 20);
  for (const char* wrong : {"", "G", "5X", "5GB", "-1", "nan", "1e30", "5 G"})
    EXPECT_THROW(parse_bytes(wrong, "x"), Error) << wrong;
  EXPECT_EQ(bytes_text(std::int64_t{7680} << 20), "7.50 GB");
  EXPECT_EQ(bytes_text(1536), "1.5 KB");
}

}  // namespace
}  // namespace hadal
