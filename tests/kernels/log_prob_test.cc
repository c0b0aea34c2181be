#include "kernels/log_prob.h"

#include "kernels/cross_entropy.h"
#include "kernels/logits_chunks.h"
#include "support/kernel_case.h"

namespace hadal {
namespace {

using namespace testing;

std::vector<int> random_targets(index_t rows, index_t vocab_size) {
  std::vector<int> targets(static_cast<std::size_t>(rows));
  for (std::size_t t = 0; t < targets.size(); ++t)
    targets[t] =
        t % 4 == 3 ? -1 : static_cast<int>(random_below(9, Stream::kTest, t, static_cast<std::uint64_t>(vocab_size)));
  return targets;
}

TEST(LogProb, LikeReference) {
  constexpr index_t kRows = 21;
  const Matrix dlogp = random_matrix(DType::kF32, 1, kRows, 5), dentropy = random_matrix(DType::kF32, 1, kRows, 6);
  for (const index_t vocab_size : {1, 3, 15, 16, 17, 127, 1000}) {
    for (const auto& [in_type, out_type] :
         {std::pair{DType::kF32, DType::kF32}, {DType::kF32, DType::kBF16}, {DType::kBF16, DType::kBF16}}) {
      const Matrix logits = random_matrix(in_type, kRows, vocab_size, 1, 4);
      const std::vector<int> targets = random_targets(kRows, vocab_size);
      for (const bool with_entropy : {false, true})
        expect_like_reference(
            str_cat("log_prob ", vocab_size, " ", dtype_name(in_type), " ", with_entropy), [&](Exec& ex) {
              std::vector<Output> out = {{"entropy", Matrix(DType::kF32, 1, kRows), 4e-6, 1e-5},
                                         {"dlogits", Matrix(out_type, kRows, vocab_size, 3), 4e-6, rel_of(out_type)}};
              kernels::entropy(ex, out[0].value, logits, targets);
              kernels::log_prob_backward(ex, out[1].value, logits, targets, dlogp,
                                         with_entropy ? dentropy.view() : ConstView{});
              return out;
            });
    }
  }
}

TEST(LogProb, GradientByDifferences) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  Matrix logits = random_matrix(DType::kF64, 3, 7, 1), nll(DType::kF64, 1, 3), entropy(DType::kF64, 1, 3);
  Matrix dlogits(DType::kF64, 3, 7);
  const Matrix dlogp = random_matrix(DType::kF64, 1, 3, 5), dentropy = random_matrix(DType::kF64, 1, 3, 6);
  const std::vector<int> targets = {2, -1, 6};
  kernels::log_prob_backward(ex, dlogits, logits, targets, dlogp, dentropy);
  expect_gradient("dlogits", logits, dlogits, [&] {
    kernels::cross_entropy(ex, nll, View{}, logits, targets, 1, {});
    kernels::entropy(ex, entropy, logits, targets);
    return dot(entropy, dentropy) - dot(nll, dlogp);
  });
}

TEST(LogProb, InPlaceIsTheSameAndNanAndInfinityShow) {
  ThreadPool pool(1);
  for (const Isa isa : isas()) {
    Exec ex(pool, isa);
    Matrix logits = random_matrix(DType::kF32, 3, 40, 1, 1, 0), dlogits(DType::kF32, 3, 40), entropy(DType::kF32, 1, 3);
    const Matrix ones = [] {
      Matrix m(DType::kF32, 1, 3);
      for (index_t t = 0; t < 3; ++t) m.set(0, t, 1);
      return m;
    }();
    // A token that cannot be: e^-infinity adds nothing to the entropy.
    logits.set(1, 4, -std::numeric_limits<double>::infinity());
    logits.set(2, 3, std::nan(""));
    const std::vector<int> targets = {7, 5, 0};
    kernels::entropy(ex, entropy, logits, targets);
    EXPECT_TRUE(std::isfinite(entropy(0, 1)));
    EXPECT_TRUE(std::isnan(entropy(0, 2)));
    kernels::log_prob_backward(ex, dlogits, logits, targets, ones, ones);
    EXPECT_EQ(dlogits(1, 4), 0);
    EXPECT_TRUE(std::isnan(dlogits(2, 3)));
    kernels::log_prob_backward(ex, logits, logits, targets, ones, ones);
    for (index_t r = 0; r < 2; ++r)
      for (index_t c = 0; c < 40; ++c) EXPECT_EQ(logits(r, c), dlogits(r, c));
  }
}

TEST(LogitsChunks, CoverAllRowsOnce) {
  ThreadPool pool(2);
  Exec ex(pool);
  constexpr index_t kRows = 300, kCols = 4, kVocab = 70000;  // three chunks
  const Matrix x = random_matrix(DType::kF32, kRows, kCols, 1, 1, 0),
               w = random_matrix(DType::kF32, kVocab, kCols, 2, 1, 0);
  std::vector<int> seen(kRows);
  int chunks = 0;
  kernels::for_logits_chunks(ex, x, w, {}, [&](const kernels::LogitsChunk& chunk) {
    ++chunks;
    EXPECT_TRUE(chunk.dlogits_RV.empty());
    for (index_t r = 0; r < chunk.logits_RV.rows; ++r) ++seen[static_cast<std::size_t>(chunk.begin + r)];
  });
  EXPECT_EQ(chunks, 3);
  EXPECT_EQ(seen, std::vector<int>(kRows, 1));
}

}  // namespace
}  // namespace hadal
