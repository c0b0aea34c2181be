// Blocks built by hand from the layouts that llama.cpp documents.
#include "formats/ggml_dequantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "formats/ggml_quantize.h"
#include "tensor/dtype.h"

namespace hadal {
namespace {

/// Appends the pieces of a block.
struct Block {
  std::vector<std::byte> bytes;
  void half(float v) {
    const f16 h = to_f16(v);
    const auto* p = reinterpret_cast<const std::byte*>(&h);
    bytes.insert(bytes.end(), p, p + 2);
  }
  void byte(int v) { bytes.push_back(static_cast<std::byte>(v & 0xFF)); }
};

std::vector<float> values_of(GgmlType type, const Block& b, index_t count) {
  EXPECT_EQ(ggml_bytes(type, count), static_cast<index_t>(b.bytes.size()));
  std::vector<float> v(static_cast<std::size_t>(count));
  ggml_dequantize(v.data(), type, b.bytes.data(), count);
  return v;
}

TEST(GgmlDequantize, SmallBlocks) {
  Block q4_0, q4_1, q5_0, q5_1, q8_0;
  q4_0.half(0.5F), q4_1.half(0.5F), q4_1.half(-1), q5_0.half(0.5F), q5_1.half(0.5F), q5_1.half(2), q8_0.half(0.25F);
  // Bit j of the fifth bits is set for odd values.
  for (Block* b : {&q5_0, &q5_1})
    for (int i = 0; i < 4; ++i) b->byte(0xAA);
  for (int j = 0; j < 16; ++j)
    for (Block* b : {&q4_0, &q4_1, &q5_0, &q5_1}) b->byte(j | ((15 - j) << 4));
  for (int j = 0; j < 32; ++j) q8_0.byte(j * 8 - 128);
  const auto v4_0 = values_of(GgmlType::kQ4_0, q4_0, 32), v4_1 = values_of(GgmlType::kQ4_1, q4_1, 32),
             v5_0 = values_of(GgmlType::kQ5_0, q5_0, 32), v5_1 = values_of(GgmlType::kQ5_1, q5_1, 32),
             v8_0 = values_of(GgmlType::kQ8_0, q8_0, 32);
  for (int j = 0; j < 32; ++j) {
    const auto i = static_cast<std::size_t>(j);
    const int code = j < 16 ? j : 31 - j, fifth = j % 2 * 16;
    EXPECT_EQ(v4_0[i], 0.5F * static_cast<float>(code - 8)) << j;
    EXPECT_EQ(v4_1[i], 0.5F * static_cast<float>(code) - 1) << j;
    EXPECT_EQ(v5_0[i], 0.5F * static_cast<float>(code + fifth - 16)) << j;
    EXPECT_EQ(v5_1[i], 0.5F * static_cast<float>(code + fifth) + 2) << j;
    EXPECT_EQ(v8_0[i], 0.25F * static_cast<float>(j * 8 - 128)) << j;
  }
}

TEST(GgmlDequantize, BlocksOf256) {
  // Scale of sub-block s is 5 s + 1 (6 bits), its minimum 3 s; code of value i is i % 16, with a fifth bit for i % 3 ==
  // 0.
  const auto scale_of = [](int s) { return 5 * s + 1; };
  const auto minimum_of = [](int s) { return 3 * s; };
  int scales[12] = {};
  for (int s = 0; s < 4; ++s) scales[s] = scale_of(s), scales[s + 4] = minimum_of(s);
  for (int s = 4; s < 8; ++s) {
    scales[s + 4] = (scale_of(s) & 0xF) | ((minimum_of(s) & 0xF) << 4);
    scales[s - 4] |= (scale_of(s) >> 4) << 6;
    scales[s] |= (minimum_of(s) >> 4) << 6;
  }
  const auto code_of = [](int i) { return i * 7 % 16; };
  for (const bool fifth : {false, true}) {
    Block b;
    b.half(0.5F), b.half(0.25F);
    for (const int s : scales) b.byte(s);
    if (fifth)
      for (int l = 0; l < 32; ++l) {
        int bits = 0;
        for (int part = 0; part < 8; ++part) bits |= ((part * 32 + l) % 3 == 0 ? 1 : 0) << part;
        b.byte(bits);
      }
    for (int pair = 0; pair < 4; ++pair)
      for (int l = 0; l < 32; ++l) b.byte(code_of(pair * 64 + l) | (code_of(pair * 64 + 32 + l) << 4));
    const auto v = values_of(fifth ? GgmlType::kQ5_K : GgmlType::kQ4_K, b, 256);
    for (int i = 0; i < 256; ++i) {
      const int code = code_of(i) + (fifth && i % 3 == 0 ? 16 : 0);
      EXPECT_EQ(v[static_cast<std::size_t>(i)],
                0.5F * static_cast<float>(scale_of(i / 32) * code) - 0.25F * static_cast<float>(minimum_of(i / 32)))
          << i;
    }
  }
}

TEST(GgmlDequantize, SixBits) {
  const auto code_of = [](int i) { return i * 11 % 64; };
  Block b;
  // In each half of 128 values: the low halves of values l and l + 64 share byte l, for l below 64.
  for (int half = 0; half < 2; ++half)
    for (int l = 0; l < 64; ++l) b.byte((code_of(half * 128 + l) & 0xF) | ((code_of(half * 128 + 64 + l) & 0xF) << 4));
  for (int half = 0; half < 2; ++half)
    for (int l = 0; l < 32; ++l) {
      int bits = 0;
      for (int quarter = 0; quarter < 4; ++quarter)
        bits |= (code_of(half * 128 + quarter * 32 + l) >> 4) << (2 * quarter);
      b.byte(bits);
    }
  for (int s = 0; s < 16; ++s) b.byte(s - 8);
  b.half(0.125F);
  const auto v = values_of(GgmlType::kQ6_K, b, 256);
  for (int i = 0; i < 256; ++i)
    EXPECT_EQ(v[static_cast<std::size_t>(i)], 0.125F * static_cast<float>((i / 16 - 8) * (code_of(i) - 32))) << i;
}

TEST(GgmlDequantize, EightBitsThereAndBack) {
  std::vector<float> x(64), y(64);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i)) * (i < 32 ? 1.0F : 100.0F);
  std::vector<std::byte> bytes(68);
  ggml_quantize(bytes.data(), GgmlType::kQ8_0, x.data(), 64);
  ggml_dequantize(y.data(), GgmlType::kQ8_0, bytes.data(), 64);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(y[i], x[i], (i < 32 ? 1.0F : 100.0F) / 127 * 0.51F);
  EXPECT_FALSE(can_dequantize(GgmlType::kIQ2_XS));
  EXPECT_THROW(ggml_dequantize(y.data(), GgmlType::kQ4_0, bytes.data(), 31), Error);
}

// Root mean square error of normal values over their own, and what the plain scale max |x| / largest code gives.
TEST(GgmlQuantize, ErrorsAreSmallAndScalesAreSearchedFor) {
  std::vector<float> x(256 * 32), y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.02F * static_cast<float>(random_normal(5, Stream::kTest, i));
  struct Case {
    GgmlType type;
    double least, most;
  };
  for (const Case c : {Case{GgmlType::kQ8_0, 0.004, 0.0065},
                       {GgmlType::kQ6_K, 0.012, 0.018},
                       {GgmlType::kQ5_K, 0.025, 0.036},
                       {GgmlType::kQ4_K, 0.05, 0.073},
                       {GgmlType::kQ4_0, 0.07, 0.09}}) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(ggml_bytes(c.type, std::ssize(x))));
    ggml_quantize(bytes.data(), c.type, x.data(), std::ssize(x));
    ggml_dequantize(y.data(), c.type, bytes.data(), std::ssize(x));
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < x.size(); ++i) error += std::pow(y[i] - x[i], 2), norm += std::pow(x[i], 2);
    EXPECT_GT(std::sqrt(error / norm), c.least) << ggml_type_info(c.type).name;
    EXPECT_LT(std::sqrt(error / norm), c.most) << ggml_type_info(c.type).name;
  }
}

TEST(GgmlQuantize, StrangeBlocks) {
  for (const GgmlType type : {GgmlType::kQ8_0, GgmlType::kQ4_0, GgmlType::kQ4_K, GgmlType::kQ5_K, GgmlType::kQ6_K}) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(ggml_bytes(type, 256)));
    const auto back = [&](const std::vector<float>& x) {
      std::vector<float> y(256);
      ggml_quantize(bytes.data(), type, x.data(), 256);
      ggml_dequantize(y.data(), type, bytes.data(), 256);
      return y;
    };
    EXPECT_EQ(back(std::vector<float>(256, 0.0F)), std::vector<float>(256, 0.0F));
    for (const float c : {3.0F, -3.0F, 1e-9F}) {
      for (const float v : back(std::vector<float>(256, c))) EXPECT_NEAR(v, c, std::fabs(c) * 0.02F + 1e-8F);
    }
    std::vector<float> one(256, 0.0F);
    one[77] = -2;
    const std::vector<float> y = back(one);
    EXPECT_NEAR(y[77], -2, 0.02F);
    for (std::size_t i = 0; i < 256; ++i) {
      if (i == 77) continue;
      EXPECT_NEAR(y[i], 0, 0.15F) << i;
    }
    std::vector<float> bad(256, 1.0F);
    bad[3] = NAN, bad[200] = INFINITY;
    back(bad);  // any values, but no undefined behaviour
    EXPECT_THROW(ggml_quantize(bytes.data(), type, one.data(), 31), Error);
  }
  EXPECT_FALSE(can_quantize(GgmlType::kIQ2_XS));
}

}  // namespace
}  // namespace hadal
