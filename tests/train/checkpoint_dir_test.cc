#include "train/checkpoint_dir.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

void fill(const fs::path& folder, const std::string& content) {
  std::ofstream(folder / "config.json") << "{}";
  fs::create_directory(folder / "ema");
  std::ofstream(folder / "ema" / "model.safetensors") << content;
}

auto filling(const std::string& content) {
  return [content](const fs::path& folder) { fill(folder, content); };
}

std::string content(const Checkpoint& checkpoint) {
  EXPECT_EQ(read_file(checkpoint.path / "config.json"), "{}");
  return read_file(checkpoint.path / "ema" / "model.safetensors");
}

std::vector<std::int64_t> steps(const fs::path& folder) {
  std::vector<std::int64_t> found;
  for (const Checkpoint& checkpoint : list_checkpoints(folder)) found.push_back(checkpoint.step);
  return found;
}

std::vector<std::string> hidden(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(".") && name != ".lock") names.push_back(name);
  }
  return names;
}

TEST(CheckpointDir, KeepsTheLastAndTheMultiples) {
  const TempDir temp;
  CheckpointDir dir(temp / "checkpoints", {.keep_last = 2, .keep_every = 40});
  EXPECT_FALSE(latest_checkpoint(temp / "checkpoints").has_value());
  for (int step = 10; step <= 90; step += 10)
    EXPECT_EQ(dir.write(step, 1000, filling(std::to_string(step))),
              temp / "checkpoints" / fs::path(str_cat("step-", step)));
  EXPECT_EQ(steps(temp / "checkpoints"), (std::vector<std::int64_t>{40, 80, 90}));
  EXPECT_EQ(content(*latest_checkpoint(temp / "checkpoints")), "90");
  dir.remove_after(40);
  EXPECT_EQ(steps(temp / "checkpoints"), (std::vector<std::int64_t>{40}));
  EXPECT_TRUE(hidden(temp / "checkpoints").empty());
}

TEST(CheckpointDir, OnlyCanonicalNamesCount) {
  const TempDir temp;
  for (const char* name : {"step-7", "step-08", "step--1", "step-", "step-9x", "Step-3", ".unfinished-step-9"})
    fs::create_directories(temp / name);
  std::ofstream(temp / "step-50") << "a file";
  EXPECT_EQ(steps(temp.path()), (std::vector<std::int64_t>{7}));
  EXPECT_EQ(steps(temp / "absent"), (std::vector<std::int64_t>{}));
}

TEST(CheckpointDir, AnErrorWhileFillingLeavesThePreviousOne) {
  const TempDir temp;
  CheckpointDir dir(temp.path(), {});
  dir.write(1, 0, filling("one"));
  for (const int step : {1, 2}) {
    EXPECT_THROW(dir.write(step, 0,
                           [](const fs::path& folder) {
                             fill(folder, "torn");
                             fail("disk full");
                           }),
                 Error);
    EXPECT_EQ(content(*latest_checkpoint(temp.path())), "one");
    EXPECT_TRUE(hidden(temp.path()).empty());
  }
}

TEST(CheckpointDir, ChecksTheDiskBeforeItWrites) {
  const TempDir temp;
  CheckpointDir dir(temp.path(), {});
  bool asked = false;
  const std::string message =
      error_of([&] { dir.write(1, std::int64_t{1} << 60, [&](const fs::path&) { asked = true; }); });
  EXPECT_NE(message.find("a checkpoint needs"), std::string::npos) << message;
  EXPECT_FALSE(asked);
  EXPECT_TRUE(hidden(temp.path()).empty());
}

// A child process ends at each moment of write() without any cleaning up, as SIGKILL would end it.
TEST(CheckpointDir, AKillAtAnyMomentLeavesWholeCheckpoints) {
  for (const int again : {0, 1}) {  // 1: the step exists already and is replaced
    for (const std::string moment : {"created", "filled", "synced", "renamed", "removing"}) {
      const TempDir temp;
      {
        CheckpointDir dir(temp.path(), {.keep_last = 2});
        dir.write(1, 0, filling("one"));
        dir.write(2, 0, filling("two"));
      }
      const int step = again ? 2 : 3;
      const pid_t child = fork();
      if (child == 0) {
        CheckpointDir dir(temp.path(), {.keep_last = again ? 1 : 2}, [&](std::string_view at) {
          if (at == moment) _exit(7);
        });
        dir.write(step, 0, filling("new"));
        _exit(0);
      }
      int status = 0;
      ASSERT_EQ(waitpid(child, &status, 0), child);
      EXPECT_EQ(WEXITSTATUS(status), 7) << moment;
      const bool renamed = moment == "renamed" || moment == "removing";
      const auto before = latest_checkpoint(temp.path());
      ASSERT_TRUE(before.has_value());
      EXPECT_EQ(content(*before), renamed ? "new" : "two") << moment << " " << again;
      for (const Checkpoint& checkpoint : list_checkpoints(temp.path())) content(checkpoint);
      CheckpointDir dir(temp.path(), {.keep_last = 2});
      EXPECT_TRUE(hidden(temp.path()).empty()) << moment;
      dir.write(4, 0, filling("four"));
      EXPECT_EQ(content(*latest_checkpoint(temp.path())), "four");
      EXPECT_EQ(list_checkpoints(temp.path()).size(), 2u);
    }
  }
}

TEST(CheckpointDir, OneProcessAtATime) {
  const TempDir temp;
  CheckpointDir dir(temp.path(), {});
  const std::string message = error_of([&] { CheckpointDir second(temp.path(), {}); });
  EXPECT_NE(message.find("another process writes checkpoints here"), std::string::npos) << message;
  EXPECT_THROW(CheckpointDir(temp / "x", {.every = -1}), Error);
}

}  // namespace
}  // namespace hadal
