#include "kernels/cross_entropy.h"

#include "kernels/gemm.h"
#include "support/kernel_case.h"

namespace hadal {
namespace {

using namespace testing;

/// Targets below vocab_size, every fourth masked.
std::vector<int> random_targets(index_t rows, index_t vocab_size) {
  std::vector<int> targets(static_cast<std::size_t>(rows));
  for (std::size_t t = 0; t < targets.size(); ++t)
    targets[t] =
        t % 4 == 3 ? -1 : static_cast<int>(random_below(9, Stream::kTest, t, static_cast<std::uint64_t>(vocab_size)));
  return targets;
}

TEST(CrossEntropy, LikeReference) {
  for (const index_t vocab_size : {1, 3, 15, 16, 17, 127, 1000}) {
    for (const auto& [in_type, out_type] :
         {std::pair{DType::kF32, DType::kF32}, {DType::kF32, DType::kBF16}, {DType::kBF16, DType::kBF16}}) {
      constexpr index_t kRows = 21;
      const Matrix logits = random_matrix(in_type, kRows, vocab_size, 1, 4);
      const std::vector<int> targets = random_targets(kRows, vocab_size);
      expect_like_reference(str_cat("cross_entropy ", vocab_size, " ", dtype_name(in_type)), [&](Exec& ex) {
        std::vector<Output> out = {{"loss", Matrix(DType::kF32, 1, kRows), 2e-6, 1e-5},
                                   {"dlogits", Matrix(out_type, kRows, vocab_size, 3), 1e-7, rel_of(out_type)},
                                   {"argmax", Matrix(DType::kF32, 1, kRows), 0, 0}};
        std::vector<int> argmax(kRows);
        kernels::cross_entropy(ex, out[0].value, out[1].value, logits, targets, 0.25, argmax);
        for (index_t t = 0; t < kRows; ++t) out[2].value.set(0, t, argmax[static_cast<std::size_t>(t)]);
        return out;
      });
    }
  }
}

TEST(CrossEntropy, FirstOfEqualsHugeLogitsAndNan) {
  ThreadPool pool(1);
  std::vector<Isa> all = isas();
  all.push_back(Isa::kReference);
  for (const Isa isa : all) {
    Exec ex(pool, isa);
    Matrix logits(DType::kF32, 3, 40), loss(DType::kF32, 1, 3);
    logits.set(0, 7, 2), logits.set(0, 30, 2), logits.set(1, 5, 1e30), logits.set(1, 6, -1e30),
        logits.set(2, 3, std::nan(""));
    const std::vector<int> targets = {7, 5, 0};
    std::vector<int> argmax(3);
    kernels::cross_entropy(ex, loss, logits, logits, targets, 1, argmax);
    EXPECT_EQ(argmax[0], 7);
    EXPECT_NEAR(loss(0, 0), std::log(38 + 2 * std::exp(2)) - 2, 1e-6);
    EXPECT_EQ(loss(0, 1), 0);
    EXPECT_EQ(logits(1, 5), 0);
    EXPECT_TRUE(std::isnan(loss(0, 2))) << "a NaN among the logits must show in the loss";
    EXPECT_TRUE(argmax[2] >= 0 && argmax[2] < 40);
  }
}

TEST(CrossEntropy, GradientByDifferences) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  Matrix logits = random_matrix(DType::kF64, 3, 7, 1), loss(DType::kF64, 1, 3), dlogits(DType::kF64, 3, 7);
  const std::vector<int> targets = {2, -1, 6};
  kernels::cross_entropy(ex, loss, dlogits, logits, targets, 0.5, {});
  expect_gradient("dlogits", logits, dlogits, [&] {
    kernels::cross_entropy(ex, loss, View{}, logits, targets, 0.5, {});
    return 0.5 * (loss(0, 0) + loss(0, 1) + loss(0, 2));
  });
}

TEST(LinearCrossEntropy, EqualsItsParts) {
  ThreadPool pool(2);
  for (const Isa isa : {Isa::kReference, isas().back()}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      Exec ex(pool, isa);
      constexpr index_t kRows = 19, kCols = 24, kVocab = 50;
      const Matrix x = random_matrix(dtype, kRows, kCols, 1), w = random_matrix(dtype, kVocab, kCols, 2);
      const std::vector<int> targets = random_targets(kRows, kVocab);
      Matrix logits(DType::kF32, kRows, kVocab), loss(DType::kF32, 1, kRows), dlogits(dtype, kRows, kVocab);
      Matrix dx(DType::kF32, kRows, kCols), dw(DType::kF32, kVocab, kCols);
      kernels::gemm_nt(ex, logits, x, w);
      kernels::cross_entropy(ex, loss, dlogits, logits, targets, 0.1, {});
      kernels::gemm_nn(ex, dx, dlogits, w);
      kernels::gemm_tn(ex, dw, dlogits, x, Write::kAdd);
      Matrix loss2(DType::kF32, 1, kRows), dx2(DType::kF32, kRows, kCols), dw2(DType::kF32, kVocab, kCols);
      kernels::linear_cross_entropy(ex, {loss2, dx2, dw2, {}}, x, w, targets, 0.1);
      for (index_t t = 0; t < kRows; ++t) EXPECT_EQ(loss(0, t), loss2(0, t));
      EXPECT_TRUE(dx.bytes() == dx2.bytes());
      EXPECT_TRUE(dw.bytes() == dw2.bytes());
      kernels::linear_cross_entropy(ex, {loss2, dx2, dw2, {}}, x, w, targets, 0.1, Write::kAdd);
      for (index_t c = 0; c < kCols; ++c) {
        EXPECT_FLOAT_EQ(static_cast<float>(dx2(1, c)), static_cast<float>(2 * dx(1, c)));
        EXPECT_FLOAT_EQ(static_cast<float>(dw2(1, c)), static_cast<float>(2 * dw(1, c)));
      }
    }
  }
}

TEST(LinearCrossEntropy, ChunksGiveWhatOnePieceGives) {
  // A vocabulary so large that 300 rows take three chunks.
  ThreadPool pool(2);
  Exec ex(pool);
  constexpr index_t kRows = 300, kCols = 4, kVocab = 70000;
  const Matrix x = random_matrix(DType::kF32, kRows, kCols, 1, 1, 0),
               w = random_matrix(DType::kF32, kVocab, kCols, 2, 1, 0);
  const std::vector<int> targets = random_targets(kRows, kVocab);
  Matrix loss(DType::kF32, 1, kRows), dx(DType::kF32, kRows, kCols);
  kernels::linear_cross_entropy(ex, {loss, dx, {}, {}}, x, w, targets, 1);
  for (const index_t t : {index_t{0}, index_t{127}, index_t{128}, index_t{299}}) {
    const std::vector<int> target = {targets[static_cast<std::size_t>(t)]};
    Matrix one_loss(DType::kF32, 1, 1), one_dx(DType::kF32, 1, kCols);
    kernels::linear_cross_entropy(ex, {one_loss, one_dx, {}, {}}, x.view().slice_rows(t, 1), w, target, 1);
    EXPECT_NEAR(one_loss(0, 0), loss(0, t), 1e-5);
    for (index_t c = 0; c < kCols; ++c) EXPECT_NEAR(one_dx(0, c), dx(t, c), 1e-5);
  }
}

TEST(LinearCrossEntropy, GradientByDifferences) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  Matrix x = random_matrix(DType::kF64, 3, 4, 1), w = random_matrix(DType::kF64, 6, 4, 2);
  Matrix loss(DType::kF64, 1, 3), dx(DType::kF64, 3, 4), dw(DType::kF64, 6, 4);
  const std::vector<int> targets = {5, -1, 0};
  kernels::linear_cross_entropy(ex, {loss, dx, dw, {}}, x, w, targets, 0.5);
  const auto total = [&] {
    kernels::linear_cross_entropy(ex, {loss, {}, {}, {}}, x, w, targets, 0.5);
    return 0.5 * (loss(0, 0) + loss(0, 1) + loss(0, 2));
  };
  expect_gradient("dx", x, dx, total);
  expect_gradient("dw", w, dw, total);
}

TEST(CrossEntropy, WrongArguments) {
  ThreadPool pool(1);
  Exec ex(pool);
  Matrix logits(DType::kF32, 2, 4), loss(DType::kF32, 1, 2);
  const std::vector<int> outside = {0, 4}, few = {0};
  EXPECT_THROW(kernels::cross_entropy(ex, loss, View{}, logits, outside, 1, {}), Error);
  EXPECT_THROW(kernels::cross_entropy(ex, loss, View{}, logits, few, 1, {}), Error);
}

}  // namespace
}  // namespace hadal
