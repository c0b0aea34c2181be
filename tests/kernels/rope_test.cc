#include "kernels/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/table.h"

namespace hadal {
namespace {

using kernels::RopeDirection;
using kernels::RopeStyle;

constexpr index_t kPositions = 64;

template <class T>
std::vector<T> table_of(index_t dim) {
  std::vector<T> table(static_cast<std::size_t>(kPositions * dim));
  for (index_t p = 0; p < kPositions; ++p) {
    for (index_t i = 0; i < dim / 2; ++i) {
      const double angle =
          static_cast<double>(p) * std::pow(10000.0, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
      table[static_cast<std::size_t>(p * dim + i)] = static_cast<T>(std::cos(angle));
      table[static_cast<std::size_t>(p * dim + dim / 2 + i)] = static_cast<T>(std::sin(angle));
    }
  }
  return table;
}

template <class T>
T make(double v) {
  if constexpr (std::is_same_v<T, bf16>)
    return to_bf16(static_cast<float>(v));
  else
    return static_cast<T>(v);
}

/// T rows of `heads` heads; rows and heads have gaps that must stay as they are.
template <class T>
struct Rows {
  index_t rows, heads, dim;
  std::vector<T> data;
  std::vector<int> positions;

  Rows(index_t r, index_t h, index_t d) : rows(r), heads(h), dim(d), data(static_cast<std::size_t>(r * row_stride())) {
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = make<T>(random_normal(1, Stream::kTest, i));
    for (index_t t = 0; t < r; ++t) positions.push_back(static_cast<int>((7 * t + 3) % kPositions));
  }
  index_t head_stride() const { return dim + 6; }
  index_t row_stride() const { return heads * head_stride() + 3; }
  Heads view() {
    return {
        reinterpret_cast<std::byte*>(data.data()), DTypeOf<T>::value, rows, heads, dim, row_stride(), head_stride()};
  }
};

class RopeIsa : public testing::TestWithParam<std::tuple<Isa, RopeStyle>> {};

template <class T>
void compare(Isa isa, RopeStyle style) {
  ThreadPool one_thread(1), two_threads(2);
  Exec ref(one_thread, Isa::kReference), one(one_thread, isa), two(two_threads, isa);
  for (const index_t dim : {2, 6, 16, 30, 32, 34, 64, 128}) {
    const std::vector<float> table = table_of<float>(dim);
    const ConstView view = view_of(Mat<const float>{table.data(), kPositions, dim, dim});
    for (const index_t heads : {1, 3, 17}) {
      for (const RopeDirection direction : {RopeDirection::kForward, RopeDirection::kBackward}) {
        Rows<T> want(37, heads, dim), a(37, heads, dim), b(37, heads, dim);
        kernels::rope(ref, want.view(), want.positions, view, style, direction);
        kernels::rope(one, a.view(), a.positions, view, style, direction);
        kernels::rope(two, b.view(), b.positions, view, style, direction);
        for (std::size_t i = 0; i < a.data.size(); ++i) {
          if constexpr (std::is_same_v<T, bf16>) {
            ASSERT_NEAR(to_f32(a.data[i]), to_f32(want.data[i]), 8e-3 * std::abs(to_f32(want.data[i])) + 1e-6)
                << dim << " " << heads << " " << i;
            ASSERT_EQ(a.data[i].bits, b.data[i].bits);
          } else {
            ASSERT_NEAR(a.data[i], want.data[i], 1e-6F) << dim << " " << heads << " " << i;
            ASSERT_EQ(a.data[i], b.data[i]);
          }
        }
      }
    }
  }
}

TEST_P(RopeIsa, MatchesTheReference) {
  compare<float>(std::get<0>(GetParam()), std::get<1>(GetParam()));
  compare<bf16>(std::get<0>(GetParam()), std::get<1>(GetParam()));
}

TEST_P(RopeIsa, BackwardUndoesForward) {
  const auto [isa, style] = GetParam();
  ThreadPool pool(1);
  Exec ex(pool, isa);
  const std::vector<float> table = table_of<float>(48);
  const ConstView view = view_of(Mat<const float>{table.data(), kPositions, 48, 48});
  Rows<float> x(9, 2, 48);
  const std::vector<float> before = x.data;
  kernels::rope(ex, x.view(), x.positions, view, style, RopeDirection::kForward);
  EXPECT_NE(x.data, before);
  kernels::rope(ex, x.view(), x.positions, view, style, RopeDirection::kBackward);
  for (std::size_t i = 0; i < before.size(); ++i) ASSERT_NEAR(x.data[i], before[i], 1e-6F);
}

// A score depends on the distance of the two positions only.
TEST_P(RopeIsa, ScoresDependOnDistance) {
  const auto [isa, style] = GetParam();
  ThreadPool pool(1);
  Exec ex(pool, isa);
  const std::vector<float> table = table_of<float>(32);
  const ConstView view = view_of(Mat<const float>{table.data(), kPositions, 32, 32});
  const auto score = [&](int q_position, int k_position) {
    Rows<float> x(2, 1, 32);
    x.positions = {q_position, k_position};
    kernels::rope(ex, x.view(), x.positions, view, style, RopeDirection::kForward);
    double sum = 0;
    for (index_t d = 0; d < 32; ++d) sum += x.view().at<float>(0, 0)[d] * x.view().at<float>(1, 0)[d];
    return sum;
  };
  EXPECT_NEAR(score(5, 2), score(58, 55), 1e-5);
  EXPECT_NEAR(score(40, 0), score(63, 23), 1e-5);
  EXPECT_GT(std::abs(score(5, 2) - score(5, 4)), 1e-3);
}

std::vector<Isa> isas() {
  std::vector<Isa> list = {Isa::kReference};
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512})
    if (isa <= best_isa()) list.push_back(isa);
  return list;
}

INSTANTIATE_TEST_SUITE_P(All, RopeIsa,
                         testing::Combine(testing::ValuesIn(isas()),
                                          testing::Values(RopeStyle::kInterleaved, RopeStyle::kHalfSplit)),
                         [](const auto& test) {
                           return std::string(isa_name(std::get<0>(test.param))) +
                                  (std::get<1>(test.param) == RopeStyle::kInterleaved ? "_interleaved" : "_halfsplit");
                         });

TEST(Rope, TurnsTheRightPairs) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  const std::vector<double> table = {0, 1, 1, 0};  // pair 0 by a quarter turn, pair 1 not at all
  const ConstView view = view_of(Mat<const double>{table.data(), 1, 4, 4});
  const std::vector<int> positions = {0};
  std::vector<double> x = {1, 2, 3, 4}, y = x;
  kernels::rope(ex, {reinterpret_cast<std::byte*>(x.data()), DType::kF64, 1, 1, 4, 4, 4}, positions, view,
                RopeStyle::kInterleaved, RopeDirection::kForward);
  EXPECT_EQ(x, (std::vector<double>{-2, 1, 3, 4}));
  kernels::rope(ex, {reinterpret_cast<std::byte*>(y.data()), DType::kF64, 1, 1, 4, 4, 4}, positions, view,
                RopeStyle::kHalfSplit, RopeDirection::kForward);
  EXPECT_EQ(y, (std::vector<double>{-3, 2, 1, 4}));
}

TEST(Rope, RefusesWhatDoesNotFit) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  const std::vector<float> table = table_of<float>(8);
  const ConstView view = view_of(Mat<const float>{table.data(), kPositions, 8, 8});
  const auto run = [&](Rows<float> x) {
    kernels::rope(ex, x.view(), x.positions, view, RopeStyle::kInterleaved, RopeDirection::kForward);
  };
  Rows<float> x(3, 1, 8);
  run(x);
  x.positions[1] = kPositions;
  EXPECT_THROW(run(x), Error);
  x.positions[1] = -1;
  EXPECT_THROW(run(x), Error);
  x.positions.pop_back();
  EXPECT_THROW(run(x), Error);
  EXPECT_THROW(run(Rows<float>(3, 1, 6)), Error);
}

}  // namespace
}  // namespace hadal
