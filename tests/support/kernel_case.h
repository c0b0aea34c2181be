#pragma once
// What the tests of kernels share: random operands, the comparison with the reference table on every instruction set
// and number of threads, and gradients by central differences.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/exec.h"

namespace hadal::testing {

inline double get(ConstView v, index_t r, index_t c) {
  switch (v.dtype) {
    case DType::kF64:
      return v.as<double>()(r, c);
    case DType::kF32:
      return static_cast<double>(v.as<float>()(r, c));
    case DType::kF16:
      return static_cast<double>(to_f32(v.as<f16>()(r, c)));
    case DType::kBF16:
      return static_cast<double>(to_f32(v.as<bf16>()(r, c)));
    case DType::kE4M3:
      return static_cast<double>(to_f32(v.as<e4m3>()(r, c)));
    case DType::kE5M2:
      return static_cast<double>(to_f32(v.as<e5m2>()(r, c)));
    default:
      fail("test: cannot read ", dtype_name(v.dtype));
  }
}
inline void set(View v, index_t r, index_t c, double x) {
  const auto f = static_cast<float>(x);
  switch (v.dtype) {
    case DType::kF64:
      v.as<double>()(r, c) = x;
      return;
    case DType::kF32:
      v.as<float>()(r, c) = f;
      return;
    case DType::kF16:
      v.as<f16>()(r, c) = to_f16(f);
      return;
    case DType::kBF16:
      v.as<bf16>()(r, c) = to_bf16(f);
      return;
    case DType::kE4M3:
      v.as<e4m3>()(r, c) = to_e4m3(f);
      return;
    case DType::kE5M2:
      v.as<e5m2>()(r, c) = to_e5m2(f);
      return;
    default:
      fail("test: cannot write ", dtype_name(v.dtype));
  }
}

/// rows x cols with `pad` elements between rows and a row behind, all NaN, so that a read of them shows in results and
/// a write is found by padding_intact().
class Matrix {
 public:
  Matrix(DType dtype, index_t rows, index_t cols, index_t pad = 0)
      : bytes_(static_cast<std::size_t>(bytes_of(dtype, (rows + 1) * (cols + pad)))),
        dtype_(dtype),
        rows_(rows),
        cols_(cols),
        stride_(cols + pad) {
    for_padding([&](index_t r, index_t c) { testing::set(all(), r, c, std::nan("")); });
  }
  View view() { return {bytes_.data(), dtype_, rows_, cols_, stride_}; }
  ConstView view() const { return {bytes_.data(), dtype_, rows_, cols_, stride_}; }
  operator View() { return view(); }             // NOLINT(google-explicit-constructor)
  operator ConstView() const { return view(); }  // NOLINT(google-explicit-constructor)
  double operator()(index_t r, index_t c) const { return get(view(), r, c); }
  void set(index_t r, index_t c, double x) { testing::set(view(), r, c, x); }
  bool padding_intact() const {
    bool intact = true;
    const ConstView v{bytes_.data(), dtype_, rows_ + 1, stride_, stride_};
    for_padding([&](index_t r, index_t c) { intact = intact && std::isnan(get(v, r, c)); });
    return intact;
  }
  /// Of everything, for comparisons of bits.
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  View all() { return {bytes_.data(), dtype_, rows_ + 1, stride_, stride_}; }
  template <class F>
  void for_padding(F f) const {
    for (index_t r = 0; r <= rows_; ++r)
      for (index_t c = r < rows_ ? cols_ : 0; c < stride_; ++c) f(r, c);
  }
  std::vector<std::byte> bytes_;
  DType dtype_;
  index_t rows_, cols_, stride_;
};

/// Normal values times `scale`.
inline Matrix random_matrix(DType dtype, index_t rows, index_t cols, std::uint64_t seed, double scale = 1,
                            index_t pad = 3) {
  Matrix m(dtype, rows, cols, pad);
  for (index_t r = 0; r < rows; ++r)
    for (index_t c = 0; c < cols; ++c)
      m.set(r, c, scale * random_normal(seed, Stream::kTest, static_cast<std::uint64_t>(r * cols + c)));
  return m;
}

/// Instruction sets of this machine, the reference aside.
inline std::vector<Isa> isas() {
  std::vector<Isa> list;
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512})
    if (isa <= best_isa()) list.push_back(isa);
  return list;
}

/// One result of a kernel, and how far it may be from the reference: |difference| <= abs + rel * |reference|.
struct Output {
  const char* name;
  Matrix value;
  double abs = 1e-6, rel = 1e-5;
};
/// For results stored in `dtype`: one rounding of difference.
inline double rel_of(DType dtype) {
  return dtype == DType::kBF16 ? 0x1.01p-7 : dtype == DType::kF32 ? 1e-5 : 1e-12;
}

inline void expect_close(const Output& got, const Output& want, const std::string& where) {
  const ConstView w = want.value.view(), g = got.value.view();
  for (index_t r = 0; r < w.rows; ++r) {
    for (index_t c = 0; c < w.cols; ++c) {
      const double a = get(g, r, c), b = get(w, r, c);
      if (std::isnan(a) && std::isnan(b)) continue;
      const bool close = a == b || std::fabs(a - b) <= want.abs + want.rel * std::fabs(b);
      ASSERT_TRUE(close) << where << ": " << want.name << "(" << r << ", " << c << ") is " << a << ", reference " << b;
    }
  }
  ASSERT_TRUE(got.value.padding_intact()) << where << ": " << want.name << " was written outside";
}

/// Runs a kernel, which returns fresh outputs, on the reference table and on every instruction set: results are close
/// to the reference, and 1 and 2 threads give the same bits.
inline void expect_like_reference(const std::string& what, const std::function<std::vector<Output>(Exec&)>& run) {
  ThreadPool one(1), two(2);
  Exec reference(one, Isa::kReference);
  const std::vector<Output> want = run(reference);
  for (const Output& o : want)
    ASSERT_TRUE(o.value.padding_intact()) << what << ": reference wrote outside of " << o.name;
  for (const Isa isa : isas()) {
    const std::string where = what + " on " + std::string(isa_name(isa));
    Exec ex(one, isa);
    const std::vector<Output> got = run(ex);
    for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NO_FATAL_FAILURE(expect_close(got[i], want[i], where));
    Exec other(two, isa);
    const std::vector<Output> again = run(other);
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_TRUE(got[i].value.bytes() == again[i].value.bytes())
          << where << ": " << want[i].name << " differs between 1 and 2 threads";
  }
}

/// Checks dx (f64) against central differences of f, which reads x (f64).
inline void expect_gradient(const char* name, Matrix& x, const Matrix& dx, const std::function<double()>& f,
                            double tolerance = 1e-7) {
  constexpr double kStep = 1e-5;
  const ConstView shape = x.view();
  for (index_t r = 0; r < shape.rows; ++r) {
    for (index_t c = 0; c < shape.cols; ++c) {
      const double start = x(r, c);
      x.set(r, c, start + kStep);
      const double above = f();
      x.set(r, c, start - kStep);
      const double below = f();
      x.set(r, c, start);
      const double want = (above - below) / (2 * kStep);
      ASSERT_NEAR(dx(r, c), want, tolerance * (1 + std::fabs(want))) << name << "(" << r << ", " << c << ")";
    }
  }
}

/// sum of a * b over all elements: a scalar whose gradient with respect to a is b.
inline double dot(ConstView a, ConstView b) {
  double total = 0;
  for (index_t r = 0; r < a.rows; ++r)
    for (index_t c = 0; c < a.cols; ++c) total += get(a, r, c) * get(b, r, c);
  return total;
}

}  // namespace hadal::testing
