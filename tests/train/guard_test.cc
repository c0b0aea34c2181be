#include "train/guard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double noisy_loss(int step) {
  return 3.0 + 2.0 * std::exp(-step / 100.0) + 0.05 * random_normal(7, Stream::kTest, static_cast<std::uint64_t>(step));
}

StepGuard trained(const GuardOptions& options = {}, int steps = 200) {
  StepGuard guard(options);
  for (int step = 0; step < steps; ++step) EXPECT_EQ(guard.judge(noisy_loss(step), 1.0).verdict, Verdict::kOk) << step;
  return guard;
}

TEST(Guard, RobustZ) {
  // median 3, deviations {2,1,0,1,97} -> MAD 1.
  EXPECT_NEAR(robust_z({1, 2, 3, 4, 100}, 3 + 1.4826 * 5), 5.0, 1e-12);
  EXPECT_LT(robust_z({1, 2, 3, 4, 100}, 0), 0);
  EXPECT_EQ(robust_z({0, 0, 0}, 0), 0);
  EXPECT_EQ(robust_z({0, 0, 0}, 1), HUGE_VAL);
  EXPECT_NEAR(robust_z({2, 2, 2}, 2.002), 1 / 1.4826, 1e-9);  // a constant series: a thousandth is one deviation
}

TEST(Guard, AFallingNoisyLossIsFine) {
  trained();
}

TEST(Guard, NotANumberIsSkippedFromTheFirstStep) {
  StepGuard guard({});
  EXPECT_EQ(guard.judge(kNan, 1).verdict, Verdict::kSkip);
  EXPECT_EQ(guard.judge(1, std::numeric_limits<double>::infinity()).verdict, Verdict::kSkip);
  EXPECT_EQ(guard.judge(5, 1).verdict, Verdict::kOk);
  EXPECT_EQ(guard.skipped_in_a_row(), 0);
}

TEST(Guard, SpikesOfLossAndGradientAreSkipped) {
  StepGuard guard = trained({.grad_norm_threshold = 12});
  const Judgement loss = guard.judge(9.0, 1.0);
  EXPECT_EQ(loss.verdict, Verdict::kSkip);
  EXPECT_NE(loss.reason.find("loss 9: z = "), std::string::npos) << loss.reason;
  EXPECT_EQ(guard.judge(3.1, 1.0).verdict, Verdict::kOk);
  const Judgement norm = guard.judge(3.1, 50.0);
  EXPECT_EQ(norm.verdict, Verdict::kSkip);
  EXPECT_NE(norm.reason.find("gradient norm 50"), std::string::npos) << norm.reason;
  EXPECT_EQ(guard.judge(2.0, 0.5).verdict, Verdict::kOk);       // a sudden fall is welcome
  EXPECT_EQ(trained().judge(3.1, 50.0).verdict, Verdict::kOk);  // clipping takes care of it unless asked otherwise
}

TEST(Guard, WarnOnlyStillSkipsNotANumber) {
  StepGuard guard = trained({.on_spike = "warn"});
  const Judgement spike = guard.judge(9.0, 1.0);
  EXPECT_EQ(spike.verdict, Verdict::kOk);
  EXPECT_FALSE(spike.reason.empty());
  EXPECT_EQ(guard.judge(kNan, 1.0).verdict, Verdict::kSkip);
}

TEST(Guard, RollsBackAfterSkipsAndGivesUpAfterRollBacks) {
  StepGuard guard = trained({.max_skips = 2, .max_rollbacks = 1});
  const JsonObject checkpoint = guard.state();
  EXPECT_EQ(guard.judge(kNan, 1).verdict, Verdict::kSkip);
  EXPECT_EQ(guard.judge(kNan, 1).verdict, Verdict::kSkip);
  EXPECT_EQ(guard.judge(kNan, 1).verdict, Verdict::kRollBack);
  guard.restore_after_rollback(checkpoint);
  EXPECT_EQ(guard.rollbacks(), 1);
  EXPECT_EQ(guard.judge(kNan, 1).verdict, Verdict::kSkip);
  EXPECT_EQ(guard.judge(kNan, 1).verdict, Verdict::kSkip);
  const std::string message = error_of([&] { guard.judge(kNan, 1); });
  EXPECT_NE(message.find("cannot go on after 1 roll-backs"), std::string::npos) << message;
}

TEST(Guard, StateContinuesExactly) {
  const GuardOptions options{.window = 16, .min_history = 8, .loss_threshold = 3};
  StepGuard whole(options), first(options);
  std::vector<Verdict> expected;
  const auto loss = [](int step) { return step % 23 == 22 ? 4.0 : noisy_loss(step); };
  for (int step = 0; step < 200; ++step) expected.push_back(whole.judge(loss(step), 1.0 + step % 3).verdict);
  for (int step = 0; step < 77; ++step) first.judge(loss(step), 1.0 + step % 3);
  StepGuard second(options);
  second.restore(parse_json(json_line(first.state()), "state").get_object());
  for (int step = 77; step < 200; ++step)
    EXPECT_EQ(second.judge(loss(step), 1.0 + step % 3).verdict, expected[static_cast<std::size_t>(step)]) << step;
  EXPECT_GT(std::count(expected.begin(), expected.end(), Verdict::kSkip), 3);
  StepGuard smaller({.window = 4, .min_history = 2});
  smaller.restore(first.state());
  EXPECT_EQ(smaller.judge(3.0, 1.0).verdict, Verdict::kOk);
  EXPECT_THROW(second.restore({{"losses", 3}}), Error);
}

TEST(Guard, CanBeOff) {
  StepGuard guard({.enabled = false});
  EXPECT_EQ(guard.judge(kNan, kNan).verdict, Verdict::kOk);
  EXPECT_THROW(StepGuard({.window = 0}), Error);
  EXPECT_THROW(StepGuard({.on_spike = "panic"}), Error);
}

}  // namespace
}  // namespace hadal
