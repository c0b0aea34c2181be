#include "kernels/swiglu.h"

#include "support/kernel_case.h"

namespace hadal {
namespace {

using namespace testing;

TEST(SwiGlu, LikeReference) {
  for (const index_t width : {1, 3, 15, 16, 17, 127, 128}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      constexpr index_t kRows = 37;
      const Matrix in = random_matrix(dtype, kRows, 2 * width, 1, 3), dh = random_matrix(dtype, kRows, width, 2);
      expect_like_reference(str_cat("swiglu ", width, " ", dtype_name(dtype)), [&](Exec& ex) {
        std::vector<Output> out = {{"h", Matrix(dtype, kRows, width, 3), 1e-6, rel_of(dtype)},
                                   {"dgate_up", Matrix(dtype, kRows, 2 * width, 1), 1e-6, rel_of(dtype)}};
        kernels::swiglu_forward(ex, out[0].value, in);
        kernels::swiglu_backward(ex, out[1].value, dh, in);
        return out;
      });
    }
  }
}

TEST(SwiGlu, LargeGates) {
  ThreadPool pool(1);
  for (const Isa isa : isas()) {
    Exec ex(pool, isa);
    Matrix in(DType::kF32, 1, 12), h(DType::kF32, 1, 6), dh(DType::kF32, 1, 6), din(DType::kF32, 1, 12);
    const double gates[] = {200, -200, 1e30, -1e30, 0, -87.5};
    for (index_t i = 0; i < 6; ++i) in.set(0, i, gates[i]), in.set(0, 6 + i, 2), dh.set(0, i, 1);
    kernels::swiglu_forward(ex, h, in);
    kernels::swiglu_backward(ex, din, dh, in);
    EXPECT_EQ(h(0, 0), 400);
    EXPECT_NEAR(h(0, 1), 0, 1e-30);
    EXPECT_FLOAT_EQ(static_cast<float>(h(0, 2)), 2e30F);
    EXPECT_NEAR(h(0, 3), 0, 1e-6);
    EXPECT_EQ(h(0, 4), 0);
    EXPECT_NEAR(h(0, 5), 0, 1e-30);
    EXPECT_EQ(din(0, 0), 2);
    for (index_t i = 0; i < 12; ++i) EXPECT_TRUE(std::isfinite(din(0, i))) << i;
  }
}

TEST(SwiGlu, GradientByDifferences) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  Matrix in = random_matrix(DType::kF64, 3, 10, 1), h(DType::kF64, 3, 5), din(DType::kF64, 3, 10);
  const Matrix dh = random_matrix(DType::kF64, 3, 5, 2);
  kernels::swiglu_backward(ex, din, dh, in);
  expect_gradient("dgate_up", in, din, [&] {
    kernels::swiglu_forward(ex, h, in);
    return dot(h, dh);
  });
}

TEST(SwiGlu, BackwardInPlace) {
  ThreadPool pool(2);
  for (const Isa isa : isas()) {
    Exec ex(pool, isa);
    Matrix in = random_matrix(DType::kBF16, 9, 70, 1, 1, 0), din(DType::kBF16, 9, 70);
    const Matrix dh = random_matrix(DType::kBF16, 9, 35, 2);
    kernels::swiglu_backward(ex, din, dh, in);
    kernels::swiglu_backward(ex, in, dh, in);
    EXPECT_TRUE(in.bytes() == din.bytes());
  }
}

}  // namespace
}  // namespace hadal
