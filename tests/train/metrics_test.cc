#include "train/metrics.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <limits>

#include "base/file.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

void append(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::app | std::ios::binary) << text;
}

TEST(Metrics, KeysOfTheContract) {
  StepMetrics m{.step = 3, .tokens = 3072, .loss = 4.5, .grad_norm = std::numeric_limits<double>::quiet_NaN()};
  EXPECT_EQ(json_line(to_json(m)),
            "{\"step\":3,\"tokens\":3072,\"loss\":4.5,\"main_loss\":0.0,\"mtp_loss\":0.0,\"balance_loss\":0.0,"
            "\"lr\":0.0,\"grad_norm\":null,\"tokens_per_second\":0.0,\"max_violation\":0.0}");
}

TEST(Metrics, EachLineIsInTheFileAtOnce) {
  const TempDir folder;
  JsonLog log(folder / "m.jsonl");
  log.write({{"step", 1}, {"x", 0.5}});
  EXPECT_EQ(read_file(folder / "m.jsonl"), "{\"step\":1,\"x\":0.5}\n");
  log.write({{"step", 2}});
  EXPECT_EQ(read_json_log(folder / "m.jsonl").size(), 2u);
  EXPECT_THROW(log.write({{"x", 1}}), Error);
  EXPECT_THROW(JsonLog(folder / "no" / "folder"), Error);
}

TEST(Metrics, ResumeCutsLaterAndTornLines) {
  const TempDir folder;
  const auto path = folder / "m.jsonl";
  {
    JsonLog log(path);
    for (int step = 1; step <= 9; ++step) log.write({{"step", step}});
  }
  {
    JsonLog log(path, 7);
  }
  EXPECT_EQ(read_json_log(path).size(), 7u);
  append(path, "{\"step\":8");  // what a kill in the middle of a write could leave
  EXPECT_EQ(read_json_log(path).size(), 7u);
  {
    JsonLog log(path, 100);
    log.write({{"step", 8}});
  }
  EXPECT_EQ(read_json_log(path).size(), 8u);
  EXPECT_TRUE(read_file(path).ends_with("{\"step\":7}\n{\"step\":8}\n"));
  append(path, "not json\n{\"step\":9}\n");
  {
    JsonLog log(path, 100);
  }
  EXPECT_EQ(read_json_log(path).size(), 8u);
  {
    JsonLog log(path);
  }
  EXPECT_EQ(read_file(path), "");
  EXPECT_TRUE(read_json_log(folder / "absent").empty());
}

// A run that ended, or stopped before its first step, evaluates again when it is resumed.
TEST(Metrics, LinesOfStepsThatStayedAreNotWrittenTwice) {
  const TempDir folder;
  const auto path = folder / "eval.jsonl";
  const auto write = [&](std::optional<std::int64_t> resumed, std::initializer_list<int> steps) {
    JsonLog log(path, resumed);
    for (const int step : steps) log.write({{"step", step}});
    return read_json_log(path).size();
  };
  EXPECT_EQ(write({}, {0, 0}), 2U);    // several lines of one step
  EXPECT_EQ(write(0, {0, 4, 8}), 4U);  // 0 is there already
  EXPECT_EQ(write(4, {4, 8}), 4U);     // 8 was cut off
  EXPECT_EQ(write(9, {9}), 5U);        // 9 had no line yet
  EXPECT_EQ(write({}, {4}), 1U);
}

// A limit on the size of files stands for a full disk: the write that crosses it is cut short.
TEST(Metrics, FullDiskLeavesNoHalfLine) {
  const TempDir folder;
  JsonLog log(folder / "m.jsonl");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 100, .rlim_max = before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const JsonObject line = {{"step", 1}, {"text", std::string(60, 'x')}};
  log.write(line);
  const std::string message = error_of([&] { log.write(line); });
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("m.jsonl: cannot be written"), std::string::npos) << message;
  EXPECT_EQ(read_file(folder / "m.jsonl"), json_line(line) + "\n");
}

}  // namespace
}  // namespace hadal
