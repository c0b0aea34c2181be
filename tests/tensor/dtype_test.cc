#include "tensor/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "formats/safetensors.h"
#include "support/shared.h"

namespace hadal {
namespace {

/// Equal bits, or both NaN.
bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

TEST(SplitF32, GivesEveryFloatBack) {
  for (std::uint64_t bits = 0; bits <= 0xFFFFFFFF; bits += 9973) {
    const float v = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    const SplitF32 parts = split_f32(v);
    ASSERT_EQ(std::bit_cast<std::uint32_t>(join_f32(parts.value, parts.rest)), bits);
    if (std::isfinite(v) && (bits & 0xFFFF) != 0x8000) {
      ASSERT_EQ(parts.value.bits, to_bf16(v).bits) << v;
    }
  }
}

TEST(DType, NamesSizesAndBytes) {
  for (int i = 0; i <= static_cast<int>(DType::kI4); ++i) {
    const auto dtype = static_cast<DType>(i);
    EXPECT_EQ(parse_dtype(dtype_name(dtype)), dtype);
    EXPECT_GT(bits_of(dtype), 0);
  }
  EXPECT_EQ(bytes_of(DType::kE5M6, 2), 3);
  EXPECT_EQ(bytes_of(DType::kI4, 3), 2);
  EXPECT_EQ(bytes_of(DType::kBF16, 5), 10);
  EXPECT_THROW(parse_dtype("f33"), Error);
  EXPECT_THROW(bits_of(static_cast<DType>(99)), Error);
}

/// Every code decodes and encodes back to itself; NaN codes to a NaN. Finite codes grow with their value.
template <class Decode, class Encode>
void round_trip(unsigned num_codes, Decode decode, Encode encode, bool infinities_saturate) {
  float last = -1;
  for (unsigned code = 0; code < num_codes; ++code) {
    const float v = decode(code);
    if (std::isnan(v)) {
      EXPECT_TRUE(std::isnan(decode(encode(v)))) << code;
    } else if (std::isinf(v) && infinities_saturate) {
      EXPECT_TRUE(std::isfinite(decode(encode(v)))) << code;
    } else {
      EXPECT_EQ(encode(v), code);
      EXPECT_TRUE(same(-v, decode(code ^ (num_codes / 2)))) << code;
      if (code < num_codes / 2) {
        EXPECT_GT(v, last) << code;
        last = v;
      }
    }
  }
}

TEST(SmallFloats, AllCodesRoundTrip) {
  const auto byte = [](unsigned c) { return static_cast<std::uint8_t>(c); };
  const auto word = [](unsigned c) { return static_cast<std::uint16_t>(c); };
  round_trip(
      256, [&](unsigned c) { return to_f32(e4m3{byte(c)}); }, [](float v) { return unsigned{to_e4m3(v).bits}; }, true);
  round_trip(
      256, [&](unsigned c) { return to_f32(e5m2{byte(c)}); }, [](float v) { return unsigned{to_e5m2(v).bits}; }, true);
  round_trip(
      4096, [&](unsigned c) { return e5m6_to_f32(word(c)); }, [](float v) { return unsigned{to_e5m6(v)}; }, true);
  round_trip(
      65536, [&](unsigned c) { return to_f32(f16{word(c)}); }, [](float v) { return unsigned{to_f16(v).bits}; }, false);
  round_trip(
      65536, [&](unsigned c) { return to_f32(bf16{word(c)}); }, [](float v) { return unsigned{to_bf16(v).bits}; },
      false);
}

/// Between neighbouring codes a < b: below the middle gives a, above it b, the middle the even one.
template <class Decode, class Encode>
void rounds_to_nearest_even(unsigned largest, Decode decode, Encode encode) {
  for (unsigned code = 0; code < largest; ++code) {
    const float a = decode(code), b = decode(code + 1), middle = a + (b - a) / 2;  // exact in f32
    EXPECT_EQ(encode(middle), code % 2 == 0 ? code : code + 1);
    EXPECT_EQ(encode(std::nextafter(middle, 0.0F)), code);
    EXPECT_EQ(encode(std::nextafter(middle, std::numeric_limits<float>::infinity())), code + 1);
  }
}

TEST(SmallFloats, NearestEven) {
  const auto byte = [](unsigned c) { return static_cast<std::uint8_t>(c); };
  const auto word = [](unsigned c) { return static_cast<std::uint16_t>(c); };
  rounds_to_nearest_even(
      0x7E, [&](unsigned c) { return to_f32(e4m3{byte(c)}); }, [](float v) { return unsigned{to_e4m3(v).bits}; });
  rounds_to_nearest_even(
      0x7B, [&](unsigned c) { return to_f32(e5m2{byte(c)}); }, [](float v) { return unsigned{to_e5m2(v).bits}; });
  rounds_to_nearest_even(
      0x7BF, [&](unsigned c) { return e5m6_to_f32(word(c)); }, [](float v) { return unsigned{to_e5m6(v)}; });
  rounds_to_nearest_even(
      0x7BFF, [&](unsigned c) { return to_f32(f16{word(c)}); }, [](float v) { return unsigned{to_f16(v).bits}; });
  rounds_to_nearest_even(
      0x7F7F, [&](unsigned c) { return to_f32(bf16{word(c)}); }, [](float v) { return unsigned{to_bf16(v).bits}; });
}

TEST(SmallFloats, LimitsAndSpecials) {
  constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(to_f32(to_e4m3(1e9F)), 448);
  EXPECT_EQ(to_f32(to_e4m3(-kInf)), -448);
  EXPECT_EQ(to_f32(to_e5m2(1e9F)), 57344);
  EXPECT_EQ(e5m6_to_f32(to_e5m6(kInf)), 65024);
  EXPECT_EQ(to_f32(to_f16(65520.0F)), kInf) << "half way beyond the largest value";
  EXPECT_EQ(to_f32(to_f16(65519.0F)), 65504);
  EXPECT_EQ(to_f32(to_f16(1e30F)), kInf);
  EXPECT_EQ(to_f32(to_bf16(std::numeric_limits<float>::max())), kInf);
  EXPECT_TRUE(std::isnan(to_f32(to_e4m3(kNan))));
  EXPECT_TRUE(std::isnan(to_f32(to_e5m2(kNan))));
  EXPECT_TRUE(std::isnan(to_f32(to_f16(kNan))));
  EXPECT_TRUE(std::isnan(to_f32(to_bf16(std::bit_cast<float>(0x7F800001U)))))
      << "a NaN whose payload is in the lower half";
  EXPECT_TRUE(std::isnan(e5m6_to_f32(to_e5m6(kNan))));
}

TEST(Ue8m0, AllCodesAndCeiling) {
  for (unsigned code = 0; code < 255; ++code) {
    const float v = to_f32(ue8m0{static_cast<std::uint8_t>(code)});
    EXPECT_EQ(v, std::ldexp(1.0F, static_cast<int>(code) - 127));
    EXPECT_EQ(to_ue8m0_ceil(v).bits, code);
    if (code < 254) {
      EXPECT_EQ(to_ue8m0_ceil(std::nextafter(v, std::numeric_limits<float>::infinity())).bits, code + 1) << code;
    }
  }
  EXPECT_TRUE(std::isnan(to_f32(ue8m0{255})));
  EXPECT_EQ(to_ue8m0_ceil(std::numeric_limits<float>::quiet_NaN()).bits, 255);
  EXPECT_EQ(to_ue8m0_ceil(std::numeric_limits<float>::infinity()).bits, 254);
  EXPECT_EQ(to_ue8m0_ceil(0).bits, 0);
  EXPECT_EQ(to_ue8m0_ceil(3.0F).bits, 129);
}

std::vector<std::vector<std::string>> read_csv(const std::filesystem::path& path) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    rows.emplace_back();
    for (std::string field; std::getline(fields, field, ',');) rows.back().push_back(field);
  }
  return rows;
}
unsigned hex(const std::string& text) {
  return static_cast<unsigned>(std::stoul(text, nullptr, 16));
}

TEST(DTypeFixture, TablesOfFp8) {
  if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
  const auto rows = read_csv(shared_dir() / "fixtures/small/float8_tables.csv");
  ASSERT_EQ(rows.size(), 257U);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const auto code = static_cast<std::uint8_t>(hex(rows[i][0]));
    // The table has ten digits: enough for these values as f32.
    EXPECT_TRUE(same(to_f32(e4m3{code}), std::stof(rows[i][1]))) << rows[i][0];
    EXPECT_TRUE(same(to_f32(e5m2{code}), std::stof(rows[i][2]))) << rows[i][0];
  }
}

TEST(DTypeFixture, Roundings) {
  if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
  const auto rows = read_csv(shared_dir() / "fixtures/small/floats.csv");
  ASSERT_GT(rows.size(), 1000U);
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const float x = std::bit_cast<float>(hex(rows[i][1]));
    if (std::isnan(x)) continue;  // which NaN is free
    EXPECT_EQ(to_e4m3(x).bits, hex(rows[i][2])) << rows[i][0];
    EXPECT_EQ(to_e5m2(x).bits, hex(rows[i][4])) << rows[i][0];
    EXPECT_EQ(to_bf16(x).bits, hex(rows[i][6])) << rows[i][0];
  }
}

TEST(DTypeFixture, Tensors) {
  if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
  const SafetensorsFile file(shared_dir() / "fixtures/small/floats.safetensors");
  const auto tensor = [&](const char* name) { return file.tensors().at(name).view(); };
  for (std::size_t code = 0; code < 256; ++code) {
    const auto c = static_cast<std::uint8_t>(code);
    EXPECT_TRUE(same(to_f32(e4m3{c}), tensor("e4m3.value_of_code").flat<float>()[code])) << code;
    EXPECT_TRUE(same(to_f32(e5m2{c}), tensor("e5m2.value_of_code").flat<float>()[code])) << code;
  }
  const auto x = tensor("x").flat<float>();
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(to_e4m3(x[i]).bits, tensor("e4m3.code").flat<std::uint8_t>()[i]) << x[i];
    EXPECT_EQ(to_e5m2(x[i]).bits, tensor("e5m2.code").flat<std::uint8_t>()[i]) << x[i];
    EXPECT_EQ(to_bf16(x[i]).bits, tensor("bf16.code").flat<bf16>()[i].bits) << x[i];
    // The fixture saturates; ours overflows to infinity, as IEEE 754 and PyTorch do.
    const float half = std::fabs(x[i]) < 65520 ? tensor("f16.value").flat<float>()[i] : std::copysign(INFINITY, x[i]);
    EXPECT_TRUE(same(to_f32(to_f16(x[i])), half) || std::isnan(x[i])) << x[i];
  }
}

}  // namespace
}  // namespace hadal
