#include "kernels/rmsnorm.h"

#include "support/kernel_case.h"

namespace hadal {
namespace {

using namespace testing;

TEST(RmsNorm, ByHand) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  std::vector<double> x = {3, 4}, gain = {1, 2}, y(2), rstd(1);
  kernels::rmsnorm_forward(ex, view_of(Mat<double>{y.data(), 1, 2, 2}), view_of(Mat<double>{rstd.data(), 1, 1, 1}),
                           view_of(Mat<double>{x.data(), 1, 2, 2}), view_of(Mat<double>{gain.data(), 1, 2, 2}), 0.0F);
  EXPECT_DOUBLE_EQ(rstd[0], 1 / std::sqrt(12.5));
  EXPECT_DOUBLE_EQ(y[0], 3 / std::sqrt(12.5));
  EXPECT_DOUBLE_EQ(y[1], 8 / std::sqrt(12.5));
}

TEST(RmsNorm, ForwardLikeReference) {
  for (const index_t cols : {1, 3, 15, 16, 17, 127, 256}) {
    for (const index_t rows : {1, 67}) {
      for (const auto& [x_type, y_type, gain_type] : {std::tuple{DType::kF32, DType::kF32, DType::kF32},
                                                      {DType::kBF16, DType::kBF16, DType::kF32},
                                                      {DType::kBF16, DType::kBF16, DType::kBF16},
                                                      {DType::kF32, DType::kBF16, DType::kF32}}) {
        const Matrix x = random_matrix(x_type, rows, cols, 1), gain = random_matrix(gain_type, 1, cols, 2);
        expect_like_reference(str_cat("rmsnorm ", rows, " x ", cols, " ", dtype_name(x_type)), [&](Exec& ex) {
          std::vector<Output> out = {{"y", Matrix(y_type, rows, cols, 3), 1e-6, rel_of(y_type)},
                                     {"rstd", Matrix(DType::kF32, 1, rows)}};
          kernels::rmsnorm_forward(ex, out[0].value, out[1].value, x, gain, 1e-6F);
          return out;
        });
      }
    }
  }
}

TEST(RmsNorm, BackwardLikeReference) {
  for (const index_t cols : {1, 3, 15, 16, 17, 127, 256}) {
    for (const index_t rows : {1, 67, 300}) {
      for (const auto& [x_type, dx_type, gain_type] : {std::tuple{DType::kF32, DType::kF32, DType::kF32},
                                                       {DType::kBF16, DType::kBF16, DType::kF32},
                                                       {DType::kBF16, DType::kF32, DType::kBF16}}) {
        for (const Write write : {Write::kAssign, Write::kAdd}) {
          const Matrix x = random_matrix(x_type, rows, cols, 1), gain = random_matrix(gain_type, 1, cols, 2);
          const Matrix dy = random_matrix(x_type, rows, cols, 3), rstd = random_matrix(DType::kF32, 1, rows, 4);
          expect_like_reference(
              str_cat("rmsnorm backward ", rows, " x ", cols, " ", dtype_name(x_type)), [&](Exec& ex) {
                std::vector<Output> out = {{"dx", random_matrix(dx_type, rows, cols, 5), 2e-5, rel_of(dx_type)},
                                           {"dgain", random_matrix(DType::kF32, 1, cols, 6), 1e-4, 1e-5}};
                kernels::rmsnorm_backward(ex, out[0].value, out[1].value, dy, x, gain, rstd, write);
                return out;
              });
        }
      }
    }
  }
}

TEST(RmsNorm, GradientByDifferencesAndTwice) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  constexpr index_t kRows = 3, kCols = 5;
  Matrix x = random_matrix(DType::kF64, kRows, kCols, 1), gain = random_matrix(DType::kF64, 1, kCols, 2);
  const Matrix dy = random_matrix(DType::kF64, kRows, kCols, 3);
  Matrix y(DType::kF64, kRows, kCols), rstd(DType::kF64, 1, kRows), dx(DType::kF64, kRows, kCols),
      dgain(DType::kF64, 1, kCols);
  const auto loss = [&] {
    kernels::rmsnorm_forward(ex, y, rstd, x, gain, 1e-3F);
    return dot(y, dy);
  };
  loss();
  kernels::rmsnorm_backward(ex, dx, dgain, dy, x, gain, rstd, Write::kAdd);
  expect_gradient("dx", x, dx, loss);
  expect_gradient("dgain", gain, dgain, loss);
  loss();
  const Matrix once = dx, dgain_once = dgain;
  kernels::rmsnorm_backward(ex, dx, dgain, dy, x, gain, rstd, Write::kAdd);
  for (index_t c = 0; c < kCols; ++c) {
    EXPECT_DOUBLE_EQ(dx(1, c), 2 * once(1, c));
    EXPECT_DOUBLE_EQ(dgain(0, c), 2 * dgain_once(0, c));
  }
}

TEST(RmsNorm, InPlace) {
  ThreadPool pool(2);
  for (const Isa isa : isas()) {
    Exec ex(pool, isa);
    Matrix x = random_matrix(DType::kBF16, 33, 70, 1), y(DType::kBF16, 33, 70, 3);
    const Matrix gain = random_matrix(DType::kF32, 1, 70, 2);
    kernels::rmsnorm_forward(ex, y, View{}, x, gain, 1e-6F);
    kernels::rmsnorm_forward(ex, x, View{}, x, gain, 1e-6F);
    EXPECT_TRUE(x.bytes() == y.bytes());
  }
}

TEST(RmsNorm, WrongArguments) {
  ThreadPool pool(1);
  Exec ex(pool);
  Matrix x(DType::kF32, 2, 4), y(DType::kF32, 2, 3), gain(DType::kF32, 1, 4), half(DType::kF16, 2, 4);
  EXPECT_THROW(kernels::rmsnorm_forward(ex, y, View{}, x, gain, 0.0F), Error);
  EXPECT_THROW(kernels::rmsnorm_forward(ex, half, View{}, x, gain, 0.0F), Error);
  EXPECT_THROW(kernels::rmsnorm_forward(ex, x, View{}, x, y, 0.0F), Error);
}

}  // namespace
}  // namespace hadal
