#include "base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <set>

namespace hadal {
namespace {

constexpr std::uint64_t kSamples = 200000;

TEST(Random, AFunctionOfItsArguments) {
  EXPECT_EQ(random_bits(1, Stream::kInit, 2), random_bits(1, Stream::kInit, 2));
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    for (const Stream purpose : {Stream::kInit, Stream::kShuffle, Stream::kSample})
      for (std::uint64_t index = 0; index < 20; ++index) seen.insert(random_bits(seed, purpose, index));
  EXPECT_EQ(seen.size(), 20U * 3 * 20);
}

TEST(Random, EveryBitIsFair) {
  std::array<std::uint64_t, 64> ones{};
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    const std::uint64_t bits = random_bits(7, Stream::kTest, i);
    for (std::size_t b = 0; b < 64; ++b) ones[b] += (bits >> b) & 1U;
  }
  // Five standard deviations of a fair coin.
  for (const std::uint64_t count : ones)
    EXPECT_NEAR(static_cast<double>(count), kSamples / 2.0, 5 * std::sqrt(kSamples / 4.0));
}

TEST(Random, NeighboursDifferInHalfOfTheBits) {
  double flips = 0;
  for (std::uint64_t i = 0; i < 10000; ++i) {
    flips += std::popcount(random_bits(7, Stream::kTest, i) ^ random_bits(7, Stream::kTest, i + 1));
    flips += std::popcount(random_bits(i, Stream::kTest, 3) ^ random_bits(i + 1, Stream::kTest, 3));
  }
  EXPECT_NEAR(flips / 20000, 32, 0.2);
}

TEST(Random, UniformMoments) {
  double sum = 0, squares = 0, product = 0, last = 0.5;
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    const double u = random_uniform(3, Stream::kTest, i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u, squares += u * u, product += (u - 0.5) * (last - 0.5), last = u;
  }
  EXPECT_NEAR(sum / kSamples, 0.5, 0.004);
  EXPECT_NEAR(squares / kSamples, 1.0 / 3, 0.004);
  EXPECT_NEAR(product / kSamples, 0, 0.001);
}

TEST(Random, NormalMoments) {
  double sum = 0, squares = 0, fourth = 0;
  std::uint64_t beyond_two = 0;
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    const double z = random_normal(3, Stream::kTest, i);
    ASSERT_TRUE(std::isfinite(z));
    sum += z, squares += z * z, fourth += z * z * z * z;
    beyond_two += std::fabs(z) > 2 ? 1 : 0;
  }
  EXPECT_NEAR(sum / kSamples, 0, 0.012);
  EXPECT_NEAR(squares / kSamples, 1, 0.02);
  EXPECT_NEAR(fourth / kSamples, 3, 0.15);
  EXPECT_NEAR(static_cast<double>(beyond_two) / kSamples, 0.0455, 0.003);
}

TEST(Random, BelowIsUniform) {
  constexpr std::uint64_t kSides = 7;
  std::array<double, kSides> counts{};
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    const std::uint64_t side = random_below(11, Stream::kShuffle, i, kSides);
    ASSERT_LT(side, kSides);
    counts[side] += 1;
  }
  double chi_squared = 0;
  for (const double count : counts)
    chi_squared += (count - kSamples / 7.0) * (count - kSamples / 7.0) / (kSamples / 7.0);
  EXPECT_LT(chi_squared, 27.9);  // 6 degrees of freedom, probability 1e-4
  EXPECT_EQ(random_below(1, Stream::kTest, 0, 1), 0U);
  for (std::uint64_t i = 0; i < 100; ++i)
    EXPECT_LT(random_below(1, Stream::kTest, i, ~std::uint64_t{0}), ~std::uint64_t{0});
}

}  // namespace
}  // namespace hadal
