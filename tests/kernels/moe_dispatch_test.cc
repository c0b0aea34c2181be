#include "kernels/moe_dispatch.h"

#include "support/kernel_case.h"

namespace hadal {
namespace {

using namespace testing;

/// A plan that owns its memory. Every seventh choice is dropped when `drops`.
struct Plan {
  std::vector<int> index, slot, token;
  std::vector<index_t> offsets;
  index_t tokens, chosen;

  Plan(Exec& ex, index_t num_tokens, index_t num_chosen, index_t num_experts, bool drops)
      : tokens(num_tokens), chosen(num_chosen) {
    const auto n = static_cast<std::size_t>(tokens * chosen);
    index.resize(n), slot.resize(n), token.resize(n);
    offsets.resize(static_cast<std::size_t>(num_experts) + 1);
    for (std::size_t i = 0; i < n; ++i)
      index[i] = drops && i % 7 == 3
                     ? -1
                     : static_cast<int>(random_below(5, Stream::kTest, i, static_cast<std::uint64_t>(num_experts)));
    kernels::dispatch_plan(ex, plan(), {index.data(), tokens, chosen, chosen}, num_experts);
  }
  kernels::DispatchPlan plan() { return {offsets, token, {slot.data(), tokens, chosen, chosen}}; }
};

TEST(DispatchPlan, SortsByExpertInTokenOrder) {
  ThreadPool pool(1);
  Exec ex(pool);
  Plan p(ex, 50, 4, 8, true);
  EXPECT_EQ(p.offsets.front(), 0);
  index_t kept = 0;
  for (std::size_t i = 0; i < p.index.size(); ++i) {
    if (p.index[i] < 0) {
      EXPECT_EQ(p.slot[i], -1);
      continue;
    }
    ++kept;
    const auto e = static_cast<std::size_t>(p.index[i]);
    EXPECT_GE(p.slot[i], p.offsets[e]);
    EXPECT_LT(p.slot[i], p.offsets[e + 1]);
    EXPECT_EQ(p.token[static_cast<std::size_t>(p.slot[i])], static_cast<int>(i / 4));
  }
  EXPECT_EQ(p.offsets.back(), kept);
  for (std::size_t e = 0; e + 1 < p.offsets.size(); ++e)
    EXPECT_TRUE(std::is_sorted(p.token.begin() + p.offsets[e], p.token.begin() + p.offsets[e + 1])) << "expert " << e;
}

TEST(DispatchPlan, NoTokensAndWrongArguments) {
  ThreadPool pool(1);
  Exec ex(pool);
  Plan none(ex, 0, 2, 4, false);
  EXPECT_EQ(none.offsets, (std::vector<index_t>(5, 0)));
  Plan p(ex, 3, 2, 4, false);
  p.index[1] = 4;
  EXPECT_THROW(kernels::dispatch_plan(ex, p.plan(), {p.index.data(), 3, 2, 2}, 4), Error);
  p.index[1] = -2;
  EXPECT_THROW(kernels::dispatch_plan(ex, p.plan(), {p.index.data(), 3, 2, 2}, 4), Error);
}

TEST(Dispatch, LikeReference) {
  for (const index_t cols : {1, 3, 15, 16, 17, 127}) {
    for (const auto& [in_type, out_type] :
         {std::pair{DType::kF32, DType::kF32}, {DType::kBF16, DType::kBF16}, {DType::kBF16, DType::kF32}}) {
      for (const index_t tokens : {1, 150}) {
        constexpr index_t kChosen = 3;
        const Matrix x = random_matrix(in_type, tokens, cols, 1),
                     slots = random_matrix(in_type, tokens * kChosen, cols, 2);
        const Matrix weight = random_matrix(DType::kF32, tokens, kChosen, 3);
        expect_like_reference(str_cat("dispatch ", tokens, " x ", cols), [&](Exec& ex) {
          Plan p(ex, tokens, kChosen, 8, true);
          std::vector<Output> out = {{"gathered", Matrix(in_type, tokens * kChosen, cols, 2), 0, 0},
                                     {"dx", random_matrix(out_type, tokens, cols, 4), 1e-6, rel_of(out_type)},
                                     {"combined", random_matrix(out_type, tokens, cols, 5), 1e-6, rel_of(out_type)},
                                     {"dslots", Matrix(out_type, tokens * kChosen, cols, 1), 1e-6, rel_of(out_type)},
                                     {"dweight", Matrix(DType::kF32, tokens, kChosen, 2), 2e-5, 1e-5}};
          kernels::dispatch_gather(ex, out[0].value, x, p.plan());
          kernels::dispatch_gather_backward(ex, out[1].value, slots, p.plan());
          kernels::combine(ex, out[2].value, slots, weight, p.plan());
          kernels::combine_backward(ex, out[3].value, out[4].value, x, slots, weight, p.plan());
          return out;
        });
      }
    }
  }
}

TEST(Dispatch, GradientsByDifferencesAndTwice) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  constexpr index_t kTokens = 5, kChosen = 2, kCols = 3;
  Plan p(ex, kTokens, kChosen, 4, true);
  Matrix x = random_matrix(DType::kF64, kTokens, kCols, 1), gathered(DType::kF64, kTokens * kChosen, kCols),
         dx(DType::kF64, kTokens, kCols);
  const Matrix dgathered = random_matrix(DType::kF64, kTokens * kChosen, kCols, 2);
  kernels::dispatch_gather_backward(ex, dx, dgathered, p.plan());
  expect_gradient("gather dx", x, dx, [&] {
    kernels::dispatch_gather(ex, gathered, x, p.plan());
    return dot(gathered, dgathered);
  });
  const Matrix once = dx;
  kernels::dispatch_gather_backward(ex, dx, dgathered, p.plan());
  EXPECT_DOUBLE_EQ(dx(2, 1), 2 * once(2, 1));

  Matrix slots = random_matrix(DType::kF64, kTokens * kChosen, kCols, 3),
         weight = random_matrix(DType::kF64, kTokens, kChosen, 4);
  const Matrix dy = random_matrix(DType::kF64, kTokens, kCols, 5);
  Matrix dslots(DType::kF64, kTokens * kChosen, kCols), dweight(DType::kF64, kTokens, kChosen);
  kernels::combine_backward(ex, dslots, dweight, dy, slots, weight, p.plan());
  const auto loss = [&] {
    Matrix y(DType::kF64, kTokens, kCols);
    kernels::combine(ex, y, slots, weight, p.plan());
    return dot(y, dy);
  };
  expect_gradient("combine dx", slots, dslots, loss);
  expect_gradient("combine dweight", weight, dweight, loss);
}

}  // namespace
}  // namespace hadal
