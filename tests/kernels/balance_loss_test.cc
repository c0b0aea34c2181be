#include "kernels/balance_loss.h"

#include "formats/safetensors.h"
#include "support/kernel_case.h"
#include "support/shared.h"

namespace hadal {
namespace {

using namespace testing;
using kernels::balance_loss;
using kernels::BalanceLossConfig;

/// Positive scores and the indices of each row's best, some dropped.
struct Case {
  Matrix scores;
  std::vector<int> index;
  index_t chosen;
  Case(DType dtype, index_t tokens, index_t num_experts, index_t num_chosen)
      : scores(random_matrix(dtype, tokens, num_experts, 1)), chosen(num_chosen) {
    for (index_t t = 0; t < tokens; ++t)
      for (index_t e = 0; e < num_experts; ++e) scores.set(t, e, 1 / (1 + std::exp(-scores(t, e))));
    for (index_t t = 0; t < tokens; ++t)
      for (index_t a = 0; a < chosen; ++a)
        index.push_back(t % 5 == 4 && a == 0 ? -1 : static_cast<int>((3 * t + a) % num_experts));
  }
  Mat<const int> choices() const { return {index.data(), static_cast<index_t>(index.size()) / chosen, chosen, chosen}; }
};

TEST(BalanceLoss, FormulasByHand) {
  // Two tokens, four experts in two groups, one expert each: both tokens choose from group 0.
  ThreadPool pool(1);
  Exec ex(pool);
  std::vector<double> s = {0.4, 0.3, 0.2, 0.1, 0.1, 0.5, 0.2, 0.2};
  const ConstView scores = view_of(Mat<double>{s.data(), 2, 4, 4});
  const std::vector<int> index = {0, 1};
  const Mat<const int> choices{index.data(), 2, 1, 1};
  const std::vector<index_t> begins = {0, 2};
  // f = 4 / (1 * 2) * (1, 1, 0, 0), P = (0.25, 0.4, 0.2, 0.15).
  EXPECT_NEAR(balance_loss(ex, View{}, scores, choices, begins, {.expert_alpha = 1}, 1), 2 * 0.25 + 2 * 0.4, 1e-12);
  // f' = (2, 0), P' = (0.65, 0.35).
  EXPECT_NEAR(balance_loss(ex, View{}, scores, choices, begins, {.device_alpha = 1, .num_groups = 2}, 1), 2 * 0.65,
              1e-12);
  // f'' = 2 / (1 * 2) * (2, 0).
  EXPECT_NEAR(balance_loss(ex, View{}, scores, choices, begins,
                           {.communication_alpha = 1, .num_groups = 2, .topk_group = 1}, 1),
              2 * 0.65, 1e-12);
  // The scores sum to 1 already; the best of each row are experts 0 and 1.
  EXPECT_NEAR(balance_loss(ex, View{}, scores, choices, begins, {.sequence_alpha = 1}, 1), 2 * 0.25 + 2 * 0.4, 1e-12);
  // A token counts once for a group, however many of its experts it uses.
  const std::vector<int> both = {0, 1, 1, 2};
  EXPECT_NEAR(balance_loss(ex, View{}, scores, {both.data(), 2, 2, 2}, begins,
                           {.communication_alpha = 1, .num_groups = 2, .topk_group = 2}, 1),
              0.5 * 2 * 0.65 + 0.5 * 1 * 0.35, 1e-12);
}

TEST(BalanceLoss, PerfectBalanceGivesAlpha) {
  ThreadPool pool(1);
  Exec ex(pool);
  Matrix scores(DType::kF32, 8, 8);
  std::vector<int> index(8);
  for (int t = 0; t < 8; ++t) {
    index[static_cast<std::size_t>(t)] = t;
    for (int e = 0; e < 8; ++e) scores.set(t, e, t == e ? 0.3 : 0.1);
  }
  const std::vector<index_t> begins = {0, 8};
  EXPECT_NEAR(balance_loss(ex, View{}, scores, {index.data(), 8, 1, 1}, begins, {.expert_alpha = 0.001F}, 1), 0.001,
              1e-8);
  EXPECT_NEAR(balance_loss(ex, View{}, scores, {index.data(), 8, 1, 1}, begins, {.sequence_alpha = 0.001F}, 1), 0.001,
              1e-8);
}

TEST(BalanceLoss, GradientByDifferencesAndTwice) {
  ThreadPool pool(1);
  Exec ex(pool);
  const std::vector<index_t> begins = {0, 4, 4, 11};
  for (const BalanceLossConfig& config :
       {BalanceLossConfig{.expert_alpha = 0.7F}, BalanceLossConfig{.device_alpha = 0.5F, .num_groups = 4},
        BalanceLossConfig{.communication_alpha = 0.3F, .num_groups = 2, .topk_group = 2},
        BalanceLossConfig{.sequence_alpha = 0.9F},
        BalanceLossConfig{.expert_alpha = 0.7F,
                          .device_alpha = 0.5F,
                          .communication_alpha = 0.3F,
                          .sequence_alpha = 0.9F,
                          .num_groups = 4,
                          .topk_group = 2}}) {
    Case c(DType::kF64, 11, 8, 3);
    Matrix dscores(DType::kF64, 11, 8);
    balance_loss(ex, dscores, c.scores, c.choices(), begins, config, 2.0);
    expect_gradient("dscores", c.scores, dscores,
                    [&] { return 2.0 * balance_loss(ex, View{}, c.scores, c.choices(), begins, config, 1); });
    const Matrix once = dscores;
    balance_loss(ex, dscores, c.scores, c.choices(), begins, config, 2.0);
    for (index_t t = 0; t < 11; ++t)
      for (index_t e = 0; e < 8; ++e) EXPECT_NEAR(dscores(t, e), 2 * once(t, e), 1e-15);
  }
}

TEST(BalanceLoss, SequencesAreAveraged) {
  ThreadPool pool(1);
  Exec ex(pool);
  const Case c(DType::kF32, 12, 8, 3);
  const BalanceLossConfig config{.expert_alpha = 0.5F, .sequence_alpha = 0.5F};
  const auto loss = [&](index_t first, index_t num) {
    const std::vector<index_t> begins = {0, num};
    const Mat<const int> all = c.choices();
    return balance_loss(ex, View{}, c.scores.view().slice_rows(first, num), {all.data + first * 3, num, 3, 3}, begins,
                        config, 1);
  };
  const std::vector<index_t> begins = {0, 5, 12};
  EXPECT_NEAR(balance_loss(ex, View{}, c.scores, c.choices(), begins, config, 1), (loss(0, 5) + loss(5, 7)) / 2, 1e-12);
}

TEST(BalanceLoss, ThreadsChangeNothing) {
  const Case c(DType::kF32, 100, 16, 4);
  const std::vector<index_t> begins = {0, 10, 30, 31, 70, 100};
  const BalanceLossConfig config{.expert_alpha = 0.5F, .device_alpha = 0.1F, .sequence_alpha = 0.5F, .num_groups = 4};
  ThreadPool one(1), two(2);
  Exec a(one), b(two);
  Matrix da(DType::kF32, 100, 16), db(DType::kF32, 100, 16);
  EXPECT_EQ(balance_loss(a, da, c.scores, c.choices(), begins, config, 1),
            balance_loss(b, db, c.scores, c.choices(), begins, config, 1));
  EXPECT_TRUE(da.bytes() == db.bytes());
}

TEST(BalanceLoss, WrongArguments) {
  ThreadPool pool(1);
  Exec ex(pool);
  const Case c(DType::kF32, 12, 8, 3);
  const std::vector<index_t> good = {0, 12}, short_one = {0, 11}, unsorted = {0, 8, 5, 12};
  EXPECT_THROW(balance_loss(ex, View{}, c.scores, c.choices(), short_one, {}, 1), Error);
  EXPECT_THROW(balance_loss(ex, View{}, c.scores, c.choices(), unsorted, {}, 1), Error);
  EXPECT_THROW(balance_loss(ex, View{}, c.scores, c.choices(), good, {.num_groups = 3}, 1), Error);
  const std::vector<int> outside(36, 8);
  EXPECT_THROW(balance_loss(ex, View{}, c.scores, {outside.data(), 12, 3, 3}, good, {}, 1), Error);
}

// The fixture's model: by_affinity counts the best raw scores (V3 2.1.2 as written), by_selection what the router
// chose; both with normalised scores.
TEST(BalanceLossFixture, V3) {
  if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
  const SafetensorsFile model(shared_dir() / "fixtures/deepseek_v3/golden.safetensors");
  const SafetensorsFile golden(shared_dir() / "fixtures/deepseek_v3_grad/golden_grad.safetensors");
  ThreadPool pool(1);
  Exec ex(pool);
  for (const char* layer : {"1", "2"}) {
    const ConstView scores = model.tensors().at(str_cat("router.", layer, ".scores")).view();
    const ConstView index64 = model.tensors().at(str_cat("router.", layer, ".topk_index")).view();
    std::vector<int> index;
    for (index_t t = 0; t < index64.rows; ++t)
      for (const std::int64_t e : index64.as<std::int64_t>().row(t)) index.push_back(static_cast<int>(e));
    const Mat<const int> choices{index.data(), index64.rows, index64.cols, index64.cols};
    const std::vector<index_t> begins = {0, scores.rows};
    const auto want = [&](const char* kind) {
      return get(golden.tensors().at(str_cat("balance.", layer, ".", kind)).view(), 0, 0);
    };
    EXPECT_NEAR(balance_loss(ex, View{}, scores, choices, begins, {.sequence_alpha = 1}, 1), want("by_affinity"), 1e-7);
    Matrix normal(DType::kF64, scores.rows, scores.cols);
    for (index_t t = 0; t < scores.rows; ++t) {
      double total = 0;
      for (index_t e = 0; e < scores.cols; ++e) total += get(scores, t, e);
      for (index_t e = 0; e < scores.cols; ++e) normal.set(t, e, get(scores, t, e) / total);
    }
    EXPECT_NEAR(balance_loss(ex, View{}, normal, choices, begins, {.expert_alpha = 1}, 1), want("by_selection"), 1e-7);
  }
}

}  // namespace
}  // namespace hadal
