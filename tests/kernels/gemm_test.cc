#include "kernels/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/random.h"

namespace hadal {
namespace {

using kernels::grouped_gemm_nn;
using kernels::grouped_gemm_nt;
using kernels::grouped_gemm_tn;

enum class Form { kNt, kNn, kTn };
[[maybe_unused]] constexpr Form kForms[] = {Form::kNt, Form::kNn, Form::kTn};
const char* form_name(Form form) {
  return form == Form::kNt ? "nt" : form == Form::kNn ? "nn" : "tn";
}

struct Case {
  Form form = Form::kNt;
  index_t out = 1, in = 1;  // F, D
  std::vector<index_t> offsets = {0, 1};
  DType operand = DType::kF32, result = DType::kF32;
  Write write = Write::kAssign;
  index_t pad = 0;  // extra elements between rows of every view

  index_t tokens() const { return offsets.back() + 2; }  // two rows that no expert owns
  index_t experts() const { return static_cast<index_t>(offsets.size()) - 1; }
};

[[maybe_unused]] std::string describe(const Case& c) {
  return str_cat(form_name(c.form), " S=", c.tokens(), " F=", c.out, " D=", c.in, " E=", c.experts(), " ",
                 dtype_name(c.operand), "->", dtype_name(c.result), c.write == Write::kAdd ? " add" : " assign",
                 " pad=", c.pad);
}

void set(View v, index_t r, index_t c, double x) {
  if (v.dtype == DType::kF64) v.as<double>()(r, c) = x;
  if (v.dtype == DType::kF32) v.as<float>()(r, c) = static_cast<float>(x);
  if (v.dtype == DType::kBF16) v.as<bf16>()(r, c) = to_bf16(static_cast<float>(x));
}
[[maybe_unused]] double get(ConstView v, index_t r, index_t c) {
  if (v.dtype == DType::kF64) return v.as<double>()(r, c);
  if (v.dtype == DType::kF32) return v.as<float>()(r, c);
  return to_f32(v.as<bf16>()(r, c));
}

/// Random values in [-1, 1); the padding holds NaN so that a read of it shows.
struct Matrix {
  Tensor tensor;
  View view;
  Matrix(DType dtype, index_t rows, index_t cols, index_t pad, std::uint64_t seed)
      : tensor(dtype, rows + 1, cols + pad) {
    const View all = tensor.view();
    for (index_t r = 0; r < all.rows; ++r)
      for (index_t c = 0; c < all.cols; ++c) {
        const auto i = static_cast<std::uint64_t>(r * all.cols + c);
        const bool inside = r < rows && c < cols;
        set(all, r, c, inside ? 2 * random_uniform(seed, Stream::kTest, i) - 1 : std::nan(""));
      }
    view = all.slice_rows(0, rows).slice_cols(0, cols);
  }
};

struct Operands {
  Matrix a, b, out;
  explicit Operands(const Case& c)
      : a(c.operand, c.tokens(), c.form == Form::kNt ? c.in : c.out, c.pad, 1),
        b(c.operand, c.form == Form::kTn ? c.tokens() : c.experts() * c.out, c.in, c.pad, 2),
        out(c.result, c.form == Form::kTn ? c.experts() * c.out : c.tokens(), c.form == Form::kNt ? c.out : c.in, c.pad,
            3) {}
};

[[maybe_unused]] void run(Isa isa, int threads, const Case& c, Operands& o) {
  ThreadPool pool(threads);
  Exec ex(pool, isa);
  if (c.form == Form::kNt) grouped_gemm_nt(ex, o.out.view, o.a.view, o.b.view, c.offsets, c.write);
  if (c.form == Form::kNn) grouped_gemm_nn(ex, o.out.view, o.a.view, o.b.view, c.offsets, c.write);
  if (c.form == Form::kTn) grouped_gemm_tn(ex, o.out.view, o.a.view, o.b.view, c.offsets, c.write);
}

TEST(Gemm, ReferenceByHand) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  std::vector<double> x = {1, 2, 3, 4, 5, 6}, w = {1, 0, -1, 2, 1, 0};  // [2, 3] each
  std::vector<double> y(4), dx(6, 100), dw(6, 100);
  const View x_TD = view_of(Mat<double>{x.data(), 2, 3, 3}), w_FD = view_of(Mat<double>{w.data(), 2, 3, 3});
  const View y_TF = view_of(Mat<double>{y.data(), 2, 2, 2});
  kernels::gemm_nt(ex, y_TF, x_TD, w_FD);
  EXPECT_EQ(y, (std::vector<double>{-2, 4, -2, 13}));
  kernels::gemm_nn(ex, view_of(Mat<double>{dx.data(), 2, 3, 3}), y_TF, w_FD);
  EXPECT_EQ(dx, (std::vector<double>{6, 4, 2, 24, 13, 2}));
  kernels::gemm_tn(ex, view_of(Mat<double>{dw.data(), 2, 3, 3}), y_TF, x_TD);
  EXPECT_EQ(dw, (std::vector<double>{90, 86, 82, 156, 173, 190}));
}

}  // namespace
}  // namespace hadal
