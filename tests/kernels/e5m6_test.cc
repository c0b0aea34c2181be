#include "kernels/e5m6.h"

#include "support/kernel_case.h"

namespace hadal {
namespace {

using namespace testing;

struct Packed {
  Tensor codes, scales;
  Packed(index_t rows, index_t cols)
      : codes(DType::kE5M6, rows, cols), scales(DType::kUE8M0, rows, (cols + 127) / 128) {}
  std::vector<std::byte> bytes() const {
    std::vector<std::byte> all(codes.view().data,
                               codes.view().data + bytes_of(DType::kE5M6, codes.rows() * codes.cols()));
    all.insert(all.end(), scales.view().data, scales.view().data + scales.rows() * scales.cols());
    return all;
  }
};

TEST(E5M6, PackedBitsLikeReference) {
  ThreadPool one(1), two(2);
  for (const index_t cols : {2, 4, 16, 18, 126, 128, 130, 300}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      constexpr index_t kRows = 23;
      Matrix x = random_matrix(dtype, kRows, cols, 1);
      // Tiles of very different size, one of them empty.
      for (index_t r = 0; r < kRows; ++r)
        for (index_t c = 0; c < cols; ++c)
          x.set(r, c, r == 5 ? 0 : x(r, c) * std::ldexp(1.0, static_cast<int>(11 * r - 120)));
      Exec reference(one, Isa::kReference);
      Packed want(kRows, cols);
      Matrix want_y(dtype, kRows, cols, 1);
      kernels::e5m6_pack(reference, want.codes.view(), want.scales.view(), x);
      kernels::e5m6_unpack(reference, want_y, want.codes.view(), want.scales.view());
      for (index_t r = 0; r < kRows; ++r) {
        for (index_t c = 0; c < cols; ++c) {
          // Half a step of 6 mantissa bits; far below the largest of the tile, a step of the subnormal numbers.
          double top = 0;
          for (index_t k = c / 128 * 128; k < std::min(cols, c / 128 * 128 + 128); ++k)
            top = std::max(top, std::fabs(x(r, k)));
          ASSERT_NEAR(want_y(r, c), x(r, c), std::fabs(x(r, c)) * 0x1p-7 + top * 0x1p-34 + std::fabs(x(r, c)) * 0x1p-8)
              << r << ", " << c;
        }
      }
      for (const Isa isa : isas()) {
        Exec ex(two, isa);
        Packed got(kRows, cols);
        Matrix y(dtype, kRows, cols, 1);
        kernels::e5m6_pack(ex, got.codes.view(), got.scales.view(), x);
        kernels::e5m6_unpack(ex, y, got.codes.view(), got.scales.view());
        EXPECT_EQ(got.bytes(), want.bytes()) << isa_name(isa) << " " << cols;
        EXPECT_TRUE(y.bytes() == want_y.bytes()) << isa_name(isa) << " " << cols;
      }
    }
  }
}

TEST(E5M6, AllFiniteCodesRoundTrip) {
  // In a tile whose largest value is the largest of the format, the scale is 1 and each finite code is itself.
  ThreadPool pool(1);
  std::vector<Isa> all = isas();
  all.push_back(Isa::kReference);
  constexpr index_t kCodes = 0x7C0;
  for (const Isa isa : all) {
    Exec ex(pool, isa);
    Matrix x(DType::kF32, 2 * kCodes / 64, 128), y(DType::kF32, 2 * kCodes / 64, 128);
    for (index_t i = 0; i < 2 * kCodes; ++i) {
      const auto code = static_cast<std::uint16_t>(i < kCodes ? i : (i - kCodes) | 0x800);
      x.set(i / 64, i % 64, static_cast<double>(e5m6_to_f32(code)));
      x.set(i / 64, 127, 65024);
    }
    Packed packed(2 * kCodes / 64, 128);
    kernels::e5m6_pack(ex, packed.codes.view(), packed.scales.view(), x);
    kernels::e5m6_unpack(ex, y, packed.codes.view(), packed.scales.view());
    for (index_t i = 0; i < 2 * kCodes; ++i)
      ASSERT_EQ(std::bit_cast<std::uint32_t>(static_cast<float>(x(i / 64, i % 64))),
                std::bit_cast<std::uint32_t>(static_cast<float>(y(i / 64, i % 64))))
          << i;
  }
}

TEST(E5M6, ScaleIsAPowerOfTwoThatFits) {
  ThreadPool pool(1);
  Exec ex(pool);
  for (const double top : {1e-30, 1e-3, 1.0, 65024.0, 65025.0, 3e30}) {
    Matrix x(DType::kF32, 1, 128);
    x.set(0, 64, top);
    Packed packed(1, 128);
    kernels::e5m6_pack(ex, packed.codes.view(), packed.scales.view(), x);
    const double scale = to_f32(packed.scales.view().as<ue8m0>()(0, 0));
    EXPECT_GE(scale * 65024, static_cast<double>(static_cast<float>(top)) * (1 - 1e-6));
    EXPECT_LT(scale * 65024, top * 2.0001);
  }
}

TEST(E5M6, WrongArguments) {
  ThreadPool pool(1);
  Exec ex(pool);
  Matrix odd(DType::kF32, 2, 7), even(DType::kF32, 2, 8);
  Packed p7(2, 7), p8(2, 8);
  EXPECT_THROW(kernels::e5m6_pack(ex, p7.codes.view(), p7.scales.view(), odd), Error);
  EXPECT_THROW(kernels::e5m6_pack(ex, p7.codes.view(), p7.scales.view(), even), Error);
  EXPECT_NO_THROW(kernels::e5m6_pack(ex, p8.codes.view(), p8.scales.view(), even));
}

}  // namespace
}  // namespace hadal
