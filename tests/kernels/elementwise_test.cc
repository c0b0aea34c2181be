#include "kernels/elementwise.h"

#include <bit>
#include <limits>

#include "support/kernel_case.h"

namespace hadal {
namespace {

using namespace testing;

constexpr DType kTypes[] = {DType::kF64, DType::kF32, DType::kF16, DType::kBF16, DType::kE4M3, DType::kE5M2};

TEST(Convert, EveryPairLikeReference) {
  for (const DType from : kTypes) {
    for (const DType to : kTypes) {
      for (const index_t cols : {1, 17, 127}) {
        const Matrix x = random_matrix(from, 9, cols, 1, 3);
        expect_like_reference(str_cat("convert ", dtype_name(from), " to ", dtype_name(to)), [&](Exec& ex) {
          std::vector<Output> out = {{"y", Matrix(to, 9, cols, 5), 0, 0}};
          kernels::convert(ex, out[0].value, x);
          return out;
        });
      }
    }
  }
}

TEST(Convert, Adds) {
  for (const DType from : {DType::kF32, DType::kBF16}) {
    for (const DType to : {DType::kF32, DType::kBF16}) {
      const Matrix x = random_matrix(from, 40, 70, 1);
      expect_like_reference("convert and add", [&](Exec& ex) {
        std::vector<Output> out = {{"y", random_matrix(to, 40, 70, 2), 1e-6, rel_of(to)}};
        kernels::convert(ex, out[0].value, x, Write::kAdd);
        return out;
      });
    }
  }
}

/// Bits of f32 that matter to the rounding of small formats: all signs and exponents, mantissas near the halves.
std::vector<float> awkward_floats() {
  std::vector<float> list;
  for (std::uint32_t exponent = 0; exponent < 256; ++exponent) {
    for (std::uint32_t high = 0; high < 128; high += 3) {
      for (const std::uint32_t low : {0x0000U, 0x0001U, 0x7FFFU, 0x8000U, 0x8001U, 0xFFFFU}) {
        const std::uint32_t bits = exponent << 23 | high << 16 | low;
        list.push_back(std::bit_cast<float>(bits));
        list.push_back(std::bit_cast<float>(bits | 0x80000000U));
      }
    }
  }
  return list;
}

TEST(Convert, BitsOfTheScalarConversions) {
  std::vector<float> x = awkward_floats();
  const auto n = static_cast<index_t>(x.size());
  const View x_view = view_of(Mat<float>{x.data(), 1, n, n});
  ThreadPool pool(2);
  for (const Isa isa : isas()) {
    Exec ex(pool, isa);
    const auto check = [&](auto example, auto scalar) {
      using T = decltype(example);
      std::vector<T> y(x.size());
      kernels::convert(ex, view_of(Mat<T>{y.data(), 1, n, n}), x_view);
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_EQ(y[i].bits, scalar(x[i]).bits)
            << isa_name(isa) << " " << dtype_name(DTypeOf<T>::value) << " of " << x[i];
    };
    check(bf16{}, [](float v) { return to_bf16(v); });
    check(f16{}, [](float v) { return to_f16(v); });
    check(e4m3{}, [](float v) { return to_e4m3(v); });
    check(e5m2{}, [](float v) { return to_e5m2(v); });
  }
}

TEST(Convert, AllCodesToF32) {
  ThreadPool pool(1);
  for (const Isa isa : isas()) {
    Exec ex(pool, isa);
    const auto check = [&]<class T>(T, std::size_t count) {
      std::vector<T> codes(count);
      std::vector<float> y(count);
      for (std::size_t i = 0; i < count; ++i) codes[i].bits = static_cast<decltype(T::bits)>(i);
      const auto n = static_cast<index_t>(count);
      kernels::convert(ex, view_of(Mat<float>{y.data(), 1, n, n}), view_of(Mat<T>{codes.data(), 1, n, n}));
      for (std::size_t i = 0; i < count; ++i)
        ASSERT_TRUE(std::bit_cast<std::uint32_t>(y[i]) == std::bit_cast<std::uint32_t>(to_f32(codes[i])) ||
                    (std::isnan(y[i]) && std::isnan(to_f32(codes[i]))))
            << isa_name(isa) << " " << dtype_name(DTypeOf<T>::value) << " code " << i << ": " << y[i];
    };
    check(bf16{}, 65536);
    check(f16{}, 65536);
    check(e4m3{}, 256);
    check(e5m2{}, 256);
  }
}

TEST(Embedding, LikeReference) {
  for (const index_t cols : {1, 3, 15, 16, 17, 127, 300}) {
    for (const DType table_type : {DType::kF32, DType::kBF16}) {
      for (const DType y_type : {DType::kF32, DType::kBF16}) {
        constexpr index_t kTokens = 61, kVocab = 11;
        const Matrix table = random_matrix(table_type, kVocab, cols, 1), dy = random_matrix(y_type, kTokens, cols, 2);
        std::vector<int> ids(kTokens);
        for (std::size_t t = 0; t < ids.size(); ++t)
          ids[t] = static_cast<int>(random_below(3, Stream::kTest, t, kVocab));
        expect_like_reference(str_cat("embedding ", cols), [&](Exec& ex) {
          std::vector<Output> out = {{"y", Matrix(y_type, kTokens, cols, 3), 0, 0},
                                     {"dtable", random_matrix(DType::kF32, kVocab, cols, 3), 1e-5, 1e-6}};
          kernels::embedding_forward(ex, out[0].value, table, ids);
          kernels::embedding_backward(ex, out[1].value, dy, ids);
          return out;
        });
      }
    }
  }
}

TEST(Embedding, IdOutsideTheTable) {
  ThreadPool pool(1);
  Exec ex(pool);
  Matrix table(DType::kF32, 4, 2), y(DType::kF32, 1, 2);
  const std::vector<int> high = {4}, low = {-1};
  EXPECT_THROW(kernels::embedding_forward(ex, y, table, high), Error);
  EXPECT_THROW(kernels::embedding_forward(ex, y, table, low), Error);
  EXPECT_THROW(kernels::embedding_backward(ex, table, y, high), Error);
}

TEST(BiasAndScale, LikeReference) {
  for (const index_t cols : {1, 3, 15, 16, 17, 127, 2000}) {
    for (const index_t rows : {1, 33, 2500}) {
      if (rows * cols > 70000) continue;
      for (const DType dtype : {DType::kF32, DType::kBF16}) {
        const Matrix bias = random_matrix(DType::kF32, 1, cols, 1), dy = random_matrix(dtype, rows, cols, 2);
        expect_like_reference(str_cat("bias ", rows, " x ", cols), [&](Exec& ex) {
          std::vector<Output> out = {{"y", random_matrix(dtype, rows, cols, 3), 1e-6, rel_of(dtype)},
                                     {"dbias", random_matrix(DType::kF32, 1, cols, 4), 2e-4, 1e-5},
                                     {"scaled", random_matrix(dtype, rows, cols, 5), 1e-7, rel_of(dtype)}};
          kernels::bias_forward(ex, out[0].value, bias);
          kernels::bias_backward(ex, out[1].value, dy);
          kernels::scale(ex, out[2].value, 0.3);
          return out;
        });
      }
    }
  }
}

TEST(Bias, GradientsAdd) {
  ThreadPool pool(2);
  for (const Isa isa : isas()) {
    Exec ex(pool, isa);
    const Matrix dy = random_matrix(DType::kF32, 100, 20, 1);
    Matrix once(DType::kF32, 1, 20), twice(DType::kF32, 1, 20);
    kernels::bias_backward(ex, once, dy);
    kernels::bias_backward(ex, twice, dy);
    kernels::bias_backward(ex, twice, dy);
    for (index_t c = 0; c < 20; ++c) EXPECT_NEAR(twice(0, c), 2 * once(0, c), 1e-5);
  }
}

}  // namespace
}  // namespace hadal
