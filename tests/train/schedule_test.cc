#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "base/options.h"

namespace hadal {
namespace {

constexpr std::int64_t kT = 1'000'000'000'000;
constexpr RunPosition kV3{.step = 240'000, .tokens = 148 * (kT / 10)};

LrSchedule v3() {
  return LrSchedule({.kind = "v3", .lr = 2.2e-4, .warmup_steps = 2000}, kV3);
}

// Far past the warm-up.
double lr_at(const LrSchedule& schedule, double trillions) {
  return schedule.at({.step = 100'000, .tokens = static_cast<std::int64_t>(std::llround(trillions * 1e12))});
}

// The anchors of the V3 schedule (self-test T7) and its formula between them.
TEST(Schedule, V3) {
  const LrSchedule schedule = v3();
  EXPECT_DOUBLE_EQ(lr_at(schedule, 1.0), 2.2e-4);
  EXPECT_DOUBLE_EQ(lr_at(schedule, 10.0), 2.2e-4);
  EXPECT_NEAR(lr_at(schedule, 12.15), 1.21e-4, 1e-10);
  EXPECT_NEAR(lr_at(schedule, 14.3), 2.2e-5, 1e-12);
  EXPECT_NEAR(lr_at(schedule, 14.5), 2.2e-5, 1e-12);
  EXPECT_NEAR(lr_at(schedule, 14.7), 7.3e-6, 1e-12);
  EXPECT_NEAR(lr_at(schedule, 14.8), 7.3e-6, 1e-12);
  for (double t = 10.0; t < 14.3; t += 0.1) {
    const double want = 2.2e-5 + 0.5 * (2.2e-4 - 2.2e-5) * (1 + std::cos(M_PI * (t - 10.0) / 4.3));
    EXPECT_NEAR(lr_at(schedule, t), want, 1e-12) << t;
  }
  EXPECT_DOUBLE_EQ(schedule.at({.step = 0, .tokens = 0}), 2.2e-4 / 2000);
  EXPECT_DOUBLE_EQ(schedule.at({.step = 999, .tokens = 12'582'912'000}), 1.1e-4);
  EXPECT_DOUBLE_EQ(schedule.at({.step = 1999, .tokens = 25'165'824'000}), 2.2e-4);
}

TEST(Schedule, V3ScalesToASmallRun) {
  const LrSchedule small({.kind = "v3", .lr = 2.2e-4, .warmup_steps = 10}, {.step = 1480, .tokens = 1'480'000});
  for (const double t : {1.0, 9.0, 12.15, 13.5, 14.4, 14.7})
    EXPECT_NEAR(small.at({.step = 700, .tokens = std::llround(t * 1e5)}), lr_at(v3(), t), 1e-12) << t;
}

TEST(Schedule, MultiStepByTokens) {
  const LrSchedule llm({.lr = 4.2e-4}, {.step = 1000, .tokens = 1000});
  EXPECT_DOUBLE_EQ(llm.at({.step = 5000, .tokens = 799}), 4.2e-4);
  EXPECT_DOUBLE_EQ(llm.at({.step = 5000, .tokens = 800}), 0.316 * 4.2e-4);
  EXPECT_DOUBLE_EQ(llm.at({.step = 5000, .tokens = 899}), 0.316 * 4.2e-4);
  EXPECT_DOUBLE_EQ(llm.at({.step = 5000, .tokens = 900}), 0.1 * 4.2e-4);
  EXPECT_DOUBLE_EQ(llm.at({.step = 5000, .tokens = 1000}), 0.1 * 4.2e-4);
}

TEST(Schedule, MultiStepBySteps) {
  const LrSchedule moe(
      {.lr = 1.08e-3, .warmup_steps = 2000, .progress = "steps", .milestone_factors = {0.316, 0.316 * 0.316}},
      {.step = 25'000, .tokens = 25'000});
  EXPECT_DOUBLE_EQ(moe.at({.step = 19'999}), 1.08e-3);
  EXPECT_DOUBLE_EQ(moe.at({.step = 20'000}), 0.316 * 1.08e-3);
  EXPECT_DOUBLE_EQ(moe.at({.step = 22'500}), 0.316 * 0.316 * 1.08e-3);
}

TEST(Schedule, CosineLinearConstant) {
  const RunPosition total{.step = 100, .tokens = 100};
  const LrOptions base{.lr = 1.0, .warmup_steps = 0, .progress = "steps", .final_factor = 0.2};
  LrOptions o = base;
  o.kind = "cosine";
  EXPECT_DOUBLE_EQ(LrSchedule(o, total).at({.step = 0}), 1.0);
  EXPECT_NEAR(LrSchedule(o, total).at({.step = 50}), 0.6, 1e-12);
  EXPECT_NEAR(LrSchedule(o, total).at({.step = 25}), 0.2 + 0.8 * 0.5 * (1 + std::sqrt(0.5)), 1e-12);
  EXPECT_DOUBLE_EQ(LrSchedule(o, total).at({.step = 100}), 0.2);
  o.kind = "linear";
  EXPECT_NEAR(LrSchedule(o, total).at({.step = 75}), 0.4, 1e-12);
  o.kind = "constant";
  EXPECT_DOUBLE_EQ(LrSchedule(o, total).at({.step = 99}), 1.0);
  EXPECT_DOUBLE_EQ(LrSchedule(o, total).at({.step = 1000}), 1.0);
}

TEST(Schedule, WarmupStableDecay) {
  LrOptions o{.kind = "wsd",
              .lr = 1.0,
              .warmup_steps = 10,
              .progress = "steps",
              .final_factor = 0.0,
              .decay_fraction = 0.25,
              .decay_shape = "linear"};
  const RunPosition total{.step = 100, .tokens = 100};
  EXPECT_DOUBLE_EQ(LrSchedule(o, total).at({.step = 4}), 0.5);
  EXPECT_DOUBLE_EQ(LrSchedule(o, total).at({.step = 74}), 1.0);
  EXPECT_NEAR(LrSchedule(o, total).at({.step = 80}), 0.8, 1e-12);
  EXPECT_NEAR(LrSchedule(o, total).at({.step = 100}), 0.0, 1e-12);
  o.decay_shape = "sqrt";
  EXPECT_NEAR(LrSchedule(o, total).at({.step = 80}), 1 - std::sqrt(0.2), 1e-12);
}

TEST(Schedule, PartsFromJson) {
  LrOptions o;
  OptionTable(o).read_json(parse_json(R"({"kind": "parts", "lr": 2, "warmup_steps": 0, "progress": "steps",
                     "parts": [{"until": 0.5, "from": 0.5, "to": 1}, {"until": 0.8}, {"from": 1, "to": 0}]})",
                                      "test"),
                           "test");
  const LrSchedule schedule(o, {.step = 10, .tokens = 10});
  EXPECT_DOUBLE_EQ(schedule.at({.step = 0}), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at({.step = 5}), 2.0);
  EXPECT_DOUBLE_EQ(schedule.at({.step = 9}), 1.0);
}

TEST(Schedule, WrongOptionsAreErrors) {
  const RunPosition total{.step = 10, .tokens = 10};
  EXPECT_THROW(LrSchedule({.kind = "exponential"}, total), Error);
  EXPECT_THROW(LrSchedule({.lr = 0}, total), Error);
  EXPECT_THROW(LrSchedule({.warmup_steps = -1}, total), Error);
  EXPECT_THROW(LrSchedule({.progress = "hours"}, total), Error);
  EXPECT_THROW(LrSchedule({.milestones = {0.5}}, total), Error);
  EXPECT_THROW(LrSchedule({.milestones = {0.9, 0.8}}, total), Error);
  EXPECT_THROW(LrSchedule({.kind = "parts"}, total), Error);
  EXPECT_THROW(LrSchedule({.kind = "wsd", .decay_fraction = 0}, total), Error);
  EXPECT_THROW(LrSchedule({}, {}), Error);
}

// V3: 3072 -> 15360 over 469B of 14.8T tokens.
TEST(Schedule, BatchRamp) {
  const BatchOptions o{.sequences = 15360, .ramp_from = 3072, .ramp_fraction = 0.469 / 14.8, .multiple = 512};
  const std::int64_t total = 148 * (kT / 10);
  EXPECT_EQ(batch_sequences(o, 0, total), 3072);
  EXPECT_EQ(batch_sequences(o, 234'500'000'000, total), 9216);
  EXPECT_EQ(batch_sequences(o, 469'000'000'000, total), 15360);
  EXPECT_EQ(batch_sequences(o, total, total), 15360);
  std::int64_t before = 0;
  for (std::int64_t t = 0; t < 480'000'000'000; t += 1'000'000'000) {
    const std::int64_t now = batch_sequences(o, t, total);
    EXPECT_GE(now, before);
    EXPECT_EQ(now % 512, 0);
    before = now;
  }
  EXPECT_NEAR(static_cast<double>(steps_of_run(o, total, 4096)), 240e3, 4e3);  // spec 3.2: about 240K steps
  EXPECT_THROW(batch_sequences({.sequences = 10, .multiple = 3}, 0, 1), Error);
  EXPECT_THROW(batch_sequences({.sequences = 10, .ramp_from = 11}, 0, 1), Error);
}

TEST(Schedule, PlanRun) {
  const BatchOptions plain{.sequences = 8};
  EXPECT_EQ(plan_run(plain, 128, 100, 0).tokens, 102'400);
  EXPECT_EQ(plan_run(plain, 128, 0, 102'400).step, 100);
  EXPECT_EQ(plan_run(plain, 128, 0, 102'401).step, 101);
  EXPECT_THROW(plan_run(plain, 128, 0, 0), Error);
  EXPECT_THROW(plan_run(plain, 128, 1, 1), Error);
  const BatchOptions ramp{.sequences = 64, .ramp_from = 8, .ramp_fraction = 0.3, .multiple = 4};
  for (const std::int64_t steps : {1, 2, 7, 50, 333}) {
    const RunPosition run = plan_run(ramp, 16, steps, 0);
    EXPECT_EQ(run.step, steps);
    EXPECT_EQ(steps_of_run(ramp, run.tokens, 16), steps);
    EXPECT_GT(steps_of_run(ramp, run.tokens + 1, 16), steps);
  }
}

TEST(Schedule, MtpWeightAndBiasSpeed) {
  const std::int64_t total = 148 * (kT / 10);
  EXPECT_EQ(v3_mtp_weight().value(0, total), 0.3);
  EXPECT_EQ(v3_mtp_weight().value(10 * kT - 1'000'000, total), 0.3);
  EXPECT_EQ(v3_mtp_weight().value(10 * kT + 1'000'000, total), 0.1);
  EXPECT_EQ(v3_bias_speed().value(14 * kT, total), 0.001);
  EXPECT_EQ(v3_bias_speed().value(144 * (kT / 10), total), 0.0);
}

}  // namespace
}  // namespace hadal
