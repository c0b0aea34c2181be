#include "tensor/int_group.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace hadal {
namespace {

TEST(Int4, NibblesRoundTripAndLeaveNeighboursAlone) {
  std::array<std::uint8_t, 8> packed{};
  for (std::size_t i = 0; i < 16; ++i) set_i4(packed, i, static_cast<int>(i) - 8);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(get_i4(packed, i), static_cast<int>(i) - 8);
  EXPECT_EQ(packed[0], 0x98) << "-8 in the low half, -7 in the high half";
  set_i4(packed, 1, 3);
  EXPECT_EQ(get_i4(packed, 0), -8);
  EXPECT_EQ(get_i4(packed, 1), 3);
  EXPECT_EQ(get_i4(packed, 2), -6);
}

TEST(IntGroup, AllCodesAreTheirOwnQuantisation) {
  for (const float scale : {1.0F, 0.25F, 3.0F, 1e-30F, 1e30F}) {
    std::vector<float> x8, x4;
    for (int code = -kLargestI8; code <= kLargestI8; ++code) x8.push_back(static_cast<float>(code) * scale);
    for (int code = -kLargestI4; code <= kLargestI4; ++code) x4.push_back(static_cast<float>(code) * scale);
    std::vector<std::int8_t> codes(x8.size());
    EXPECT_FLOAT_EQ(quantize_i8(codes, x8), scale);
    for (std::size_t i = 0; i < x8.size(); ++i) EXPECT_EQ(codes[i], static_cast<int>(i) - kLargestI8);
    std::vector<std::uint8_t> packed((x4.size() + 1) / 2);
    EXPECT_FLOAT_EQ(quantize_i4(packed, x4), scale);
    for (std::size_t i = 0; i < x4.size(); ++i) EXPECT_EQ(get_i4(packed, i), static_cast<int>(i) - kLargestI4);
    EXPECT_EQ(get_i4(packed, x4.size()), 0) << "the unused half of the last byte";
  }
}

TEST(IntGroup, ErrorIsHalfAStep) {
  std::vector<float> x(77);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(random_normal(1, Stream::kTest, i));
  std::vector<std::int8_t> codes(x.size());
  std::vector<std::uint8_t> packed(39);
  const float s8 = quantize_i8(codes, x), s4 = quantize_i4(packed, x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_NEAR(static_cast<float>(codes[i]) * s8, x[i], s8 * 0.5001F);
    EXPECT_NEAR(static_cast<float>(get_i4(packed, i)) * s4, x[i], s4 * 0.5001F);
  }
}

TEST(IntGroup, ZerosTiniesAndNoNumbers) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  std::vector<std::int8_t> codes(3);
  EXPECT_EQ(quantize_i8(codes, std::vector<float>{0, -0.0F, 0}), 0);
  EXPECT_EQ(codes, (std::vector<std::int8_t>{0, 0, 0}));
  EXPECT_FLOAT_EQ(quantize_i8(codes, std::vector<float>{kInf, std::nanf(""), 127}), 1);
  EXPECT_EQ(codes, (std::vector<std::int8_t>{127, 0, 127}));
  const float tiny = std::numeric_limits<float>::denorm_min();
  const float scale = quantize_i8(codes, std::vector<float>{100 * tiny, -100 * tiny, tiny});
  EXPECT_LE(std::abs(codes[0]), kLargestI8);
  EXPECT_EQ(codes[1], -codes[0]);
  EXPECT_TRUE(std::isfinite(scale));
  EXPECT_EQ(quantize_i8({}, {}), 0);
  EXPECT_THROW(quantize_i8(codes, std::vector<float>{1}), Error);
}

}  // namespace
}  // namespace hadal
