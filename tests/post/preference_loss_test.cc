#include "post/preference_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/json.h"
#include "support/central_difference.h"
#include "support/shared.h"

namespace hadal {
namespace {

TEST(PreferenceLoss, DpoVectors) {
  if (shared_dir().empty()) GTEST_SKIP();
  const Json json = read_json_file(shared_dir() / "fixtures/small/rl.json");
  for (const Json& entry : json.at("dpo").as_array()) {
    const auto number = [&](const char* key) { return entry.at(key).to_number<double>(); };
    const PairLoss loss = dpo_loss({.chosen = number("chosen"),
                                    .rejected = number("rejected"),
                                    .ref_chosen = number("ref_chosen"),
                                    .ref_rejected = number("ref_rejected")},
                                   {.beta = number("beta")});
    EXPECT_NEAR(loss.loss, number("loss"), 1e-14);
    EXPECT_NEAR(loss.reward_chosen, number("reward_chosen"), 1e-14);
    EXPECT_NEAR(loss.reward_rejected, number("reward_rejected"), 1e-14);
    EXPECT_NEAR(loss.dchosen, number("d_loss_d_chosen"), 1e-14);
    EXPECT_NEAR(loss.drejected, number("d_loss_d_rejected"), 1e-14);
  }
}

void expect_derivative(double x, const std::function<double(double)>& f, double want) {
  EXPECT_NEAR(central_difference(x, [&] { return f(x); }), want, 1e-8 * (1 + std::abs(want)));
}

TEST(PreferenceLoss, DpoGradients) {
  const PairLogProbs pair{.chosen = -12.3,
                          .rejected = -9.7,
                          .ref_chosen = -11.9,
                          .ref_rejected = -10.4,
                          .chosen_tokens = 7,
                          .rejected_tokens = 4};
  for (const char* name : {"sigmoid", "ipo", "hinge"})
    for (const bool normalised : {false, true})
      for (const double smoothing : {0.0, 0.2}) {
        const DpoLossOptions o{.loss = name,
                               .beta = 0.3,
                               .label_smoothing = smoothing,
                               .sft_weight = 0.7,
                               .length_normalised = normalised};
        const PairLoss loss = dpo_loss(pair, o);
        const auto with = [&](double PairLogProbs::* which) {
          return [&, which](double x) {
            PairLogProbs p = pair;
            p.*which = x;
            return dpo_loss(p, o).loss;
          };
        };
        expect_derivative(pair.chosen, with(&PairLogProbs::chosen), loss.dchosen);
        expect_derivative(pair.rejected, with(&PairLogProbs::rejected), loss.drejected);
      }
}

TEST(PreferenceLoss, RewardGradientsAndFarValues) {
  const PairLoss pair = bradley_terry_loss(0.4, 0.9, 0.3);
  expect_derivative(0.4, [](double x) { return bradley_terry_loss(x, 0.9, 0.3).loss; }, pair.dchosen);
  expect_derivative(0.9, [](double x) { return bradley_terry_loss(0.4, x, 0.3).loss; }, pair.drejected);
  for (const double label : {0.0, 0.3, 1.0})
    expect_derivative(
        -0.6, [&](double x) { return pointwise_loss(x, label).loss; }, pointwise_loss(-0.6, label).dscore);
  EXPECT_DOUBLE_EQ(bradley_terry_loss(-1000, 1000).loss, 2000);
  EXPECT_DOUBLE_EQ(bradley_terry_loss(1000, -1000).loss, 0);
  EXPECT_DOUBLE_EQ(pointwise_loss(-1e4, 1).loss, 1e4);
  EXPECT_DOUBLE_EQ(sigmoid(-1e4), 0);
}

}  // namespace
}  // namespace hadal
