#include "base/progress.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/log.h"

namespace hadal {
namespace {

TEST(Progress, Texts) {
  EXPECT_EQ(clock_text(75), "1:15");
  EXPECT_EQ(clock_text(3675.4), "1:01:15");
  EXPECT_EQ(clock_text(-1), "0:00");
  EXPECT_EQ(count_text(1234), "1234");
  EXPECT_EQ(count_text(12345), "12.3k");
  EXPECT_EQ(count_text(999960), "1.0M");
  EXPECT_EQ(count_text(2.5e9), "2.5G");
  EXPECT_EQ(count_text(14.8e12), "14.8T");
}

TEST(Progress, LineFitsTheTerminal) {
  const ProgressState state{.title = "pretrain",
                            .done = 450,
                            .total = 1000,
                            .unit = "step",
                            .rate = 3.2,
                            .elapsed = 140,
                            .note = "loss 3.21"};
  EXPECT_EQ(progress_bar(state, 90),
            "pretrain  45% [############---------------] 450/1000 step  3.2 step/s  ETA 2:52  loss 3.21");
  EXPECT_EQ(progress_text(state), "pretrain  450/1000 step (45%)  3.2 step/s  ETA 2:52  loss 3.21");
  for (int columns = 0; columns < 120; ++columns)
    EXPECT_LE(progress_bar(state, columns).size(), static_cast<std::size_t>(columns));
}

TEST(Progress, UnknownTotalAndSlowWork) {
  EXPECT_EQ(progress_text({.title = "read", .done = 5, .unit = "file", .rate = 0.02}), "read  5 file  50.0 s/file");
  EXPECT_EQ(progress_text({.title = "read", .done = 5, .total = 5, .unit = "file", .elapsed = 61}),
            "read  5/5 file (100%)  in 1:01");
}

TEST(Progress, PlainLinesWhenNotATerminal) {
  testing::internal::CaptureStderr();
  {
    Progress progress("work", 100, "item");
    for (int i = 1; i <= 100; ++i) progress.update(i, "fine");
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;  // the first and the last
  EXPECT_NE(text.find("work  100/100 item (100%)"), std::string::npos) << text;
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(Log, LevelsAndFormat) {
  testing::internal::CaptureStderr();
  set_log_level(parse_log_level("warning"));
  log_info("hidden");
  log_warning("disk ", 93, "% full");
  set_log_level(LogLevel::kInfo);
  log_info("shown");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  EXPECT_NE(text.find(" warning: disk 93% full\n"), std::string::npos) << text;
  EXPECT_NE(text.find(" shown\n"), std::string::npos) << text;
  EXPECT_THROW(parse_log_level("loud"), Error);
}

}  // namespace
}  // namespace hadal
