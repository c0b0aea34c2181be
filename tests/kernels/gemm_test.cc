#include "kernels/gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "kernels/packed_gemm.h"

namespace hadal {
namespace {

using kernels::grouped_gemm_nn;
using kernels::grouped_gemm_nt;
using kernels::grouped_gemm_tn;

enum class Form { kNt, kNn, kTn };
constexpr Form kForms[] = {Form::kNt, Form::kNn, Form::kTn};
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

std::string describe(const Case& c) {
  return str_cat(form_name(c.form), " S=", c.tokens(), " F=", c.out, " D=", c.in, " E=", c.experts(), " ",
                 dtype_name(c.operand), "->", dtype_name(c.result), c.write == Write::kAdd ? " add" : " assign",
                 " pad=", c.pad);
}

void set(View v, index_t r, index_t c, double x) {
  if (v.dtype == DType::kF64) v.as<double>()(r, c) = x;
  if (v.dtype == DType::kF32) v.as<float>()(r, c) = static_cast<float>(x);
  if (v.dtype == DType::kBF16) v.as<bf16>()(r, c) = to_bf16(static_cast<float>(x));
}
double get(ConstView v, index_t r, index_t c) {
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

void run(Isa isa, int threads, const Case& c, Operands& o) {
  static ThreadPool one(1), two(2);
  Exec ex(threads == 1 ? one : two, isa);
  if (c.form == Form::kNt) grouped_gemm_nt(ex, o.out.view, o.a.view, o.b.view, c.offsets, c.write);
  if (c.form == Form::kNn) grouped_gemm_nn(ex, o.out.view, o.a.view, o.b.view, c.offsets, c.write);
  if (c.form == Form::kTn) grouped_gemm_tn(ex, o.out.view, o.a.view, o.b.view, c.offsets, c.write);
}

/// Largest error that the sums of `k` products of values in [-1, 1) may have, and that of rounding the result.
double tolerance(const Case& c, index_t k, double want) {
  const double rounding = c.result == DType::kBF16 ? 0x1p-7 : 0x1p-21;
  return 0x1p-22 * (4 + 2 * std::sqrt(static_cast<double>(k)) + static_cast<double>(k) / 32) +
         rounding * std::fabs(want);
}

bool same_bytes(const Operands& a, const Operands& b) {
  return std::memcmp(
             a.out.tensor.view().data, b.out.tensor.view().data,
             static_cast<std::size_t>(bytes_of(a.out.tensor.dtype(), a.out.tensor.rows() * a.out.tensor.cols()))) == 0;
}

/// The reference, then every instruction set with one and two threads.
void check(const Case& c) {
  SCOPED_TRACE(describe(c));
  Operands want(c);
  run(Isa::kReference, 1, c, want);
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > best_isa()) continue;
    SCOPED_TRACE(std::string(isa_name(isa)));
    Operands got(c), twice(c);
    run(isa, 1, c, got);
    run(isa, 2, c, twice);
    ASSERT_TRUE(same_bytes(got, twice)) << "differs between 1 and 2 threads";
    const ConstView w = want.out.tensor.view(), g = got.out.tensor.view();  // with the padding
    for (index_t r = 0; r < w.rows; ++r)
      for (index_t col = 0; col < w.cols; ++col) {
        const double a = get(w, r, col), b = get(g, r, col);
        if (std::isnan(a) && std::isnan(b)) continue;
        const index_t k = c.form == Form::kNt ? c.in : c.form == Form::kNn ? c.out : c.tokens();
        ASSERT_LE(std::fabs(a - b), tolerance(c, k, a)) << "at " << r << ", " << col << ": want " << a << ", got " << b;
      }
  }
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

TEST(PackedGemm, IsTheSumOfTheCodes) {
  ThreadPool pool(2), one(1);
  Exec ref(pool, Isa::kReference);
  for (const DType as : {DType::kI8, DType::kI4, DType::kE4M3})
    for (const DType dtype : {DType::kF32, DType::kBF16})
      for (const DType result : {DType::kF32, DType::kBF16})
        for (const index_t out : {1, 31, 64, 97})
          for (const index_t in : {1, 32, 33, 100, 192, 257}) {
            Case c{.out = out, .in = in, .offsets = {0, 3, 3, 16}, .operand = dtype, .result = result};
            c.write = out % 2 == 0 ? Write::kAdd : Write::kAssign;
            SCOPED_TRACE(describe(c) + " as " + std::string(dtype_name(as)));
            Operands want(c);
            kernels::packed_gemm_nt(ref, want.out.view, want.a.view,
                                    kernels::pack_weights(ref, want.b.view, c.experts(), as), c.offsets, c.write);
            for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
              if (isa > best_isa()) continue;
              Exec ex(pool, isa), single(one, isa);
              Operands got(c), again(c);
              const kernels::PackedWeights packed = kernels::pack_weights(ex, got.b.view, c.experts(), as);
              kernels::packed_gemm_nt(ex, got.out.view, got.a.view, packed, c.offsets, c.write);
              for (std::size_t e = 0; e + 1 < c.offsets.size(); ++e)  // expert by expert, the rows in two parts
                for (const index_t half : {0, 1}) {
                  const index_t middle = (c.offsets[e] + c.offsets[e + 1]) / 2;
                  std::vector<index_t> part(c.offsets.size(), half == 0 ? c.offsets[e] : middle);
                  for (std::size_t i = e + 1; i < part.size(); ++i) part[i] = half == 0 ? middle : c.offsets[e + 1];
                  kernels::packed_gemm_nt(single, again.out.view, again.a.view, packed, part, c.write);
                }
              ASSERT_TRUE(same_bytes(got, again)) << isa_name(isa) << ": a row depends on others";
              const ConstView w = want.out.tensor.view(), g = got.out.tensor.view();
              for (index_t r = 0; r < w.rows; ++r)
                for (index_t col = 0; col < w.cols; ++col) {
                  const double a = get(w, r, col), b = get(g, r, col);
                  if (std::isnan(a) && std::isnan(b)) continue;
                  ASSERT_LE(std::fabs(a - b), tolerance(c, in, a)) << isa_name(isa) << " at " << r << ", " << col;
                }
            }
          }
}

// Few rows: runs of panels, of which threads take from each other. Many: slabs of rows, other ones with half of them.
TEST(PackedGemm, NeitherThreadsNorSlabsChangeABit) {
  ThreadPool one(1), eight(8);
  Exec single(one), ex(eight);
  for (const DType as : {DType::kBF16, DType::kE4M3, DType::kI8, DType::kI4})
    for (const std::vector<index_t>& offsets : {std::vector<index_t>{0, 2, 2, 3, 11}, {0, 150}}) {
      const Case c{.out = 300, .in = 2112, .offsets = offsets, .operand = DType::kBF16};
      SCOPED_TRACE(describe(c) + " as " + std::string(dtype_name(as)));
      Operands got(c), again(c);
      const kernels::PackedWeights packed = kernels::pack_weights(ex, got.b.view, c.experts(), as);
      const kernels::PackedWeights same = kernels::pack_weights(single, again.b.view, c.experts(), as);
      kernels::packed_gemm_nt(ex, got.out.view, got.a.view, packed, offsets);
      for (const bool half : {false, true}) {
        std::vector<index_t> part;
        for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
          const index_t middle = (offsets[e] + offsets[e + 1]) / 2;
          part = std::vector<index_t>(offsets.size(), half ? middle : offsets[e]);
          for (std::size_t i = e + 1; i < part.size(); ++i) part[i] = half ? offsets[e + 1] : middle;
          kernels::packed_gemm_nt(single, again.out.view, again.a.view, same, part);
        }
      }
      ASSERT_TRUE(same_bytes(got, again));
    }
}

TEST(PackedGemm, CodesAreCloseToTheWeights) {
  ThreadPool pool(2);
  Exec ex(pool);
  const Case c{.out = 96, .in = 640, .offsets = {0, 20}};
  Operands exact(c);
  grouped_gemm_nt(ex, exact.out.view, exact.a.view, exact.b.view, c.offsets);
  for (const auto& [as, most] : {std::pair{DType::kI8, 0.01}, {DType::kE4M3, 0.04}, {DType::kI4, 0.08}}) {
    Operands rounded(c);
    kernels::packed_gemm_nt(ex, rounded.out.view, rounded.a.view, kernels::pack_weights(ex, rounded.b.view, 1, as),
                            c.offsets);
    double difference = 0, norm = 0;
    for (index_t r = 0; r < 20; ++r)
      for (index_t f = 0; f < 96; ++f) {
        difference += std::pow(get(exact.out.view, r, f) - get(rounded.out.view, r, f), 2);
        norm += std::pow(get(exact.out.view, r, f), 2);
      }
    EXPECT_LT(std::sqrt(difference / norm), most) << dtype_name(as);
    EXPECT_GT(difference, 0);
  }
}

// All codes but NaN, with a scale for each row, in every place of a tile.
TEST(PackedGemm, Fp8CodesAreWidenedExactly) {
  ThreadPool pool(2);
  constexpr index_t kRows = 130, kCols = 254;
  Tensor codes(DType::kE4M3, kRows, kCols), scales(DType::kF32, kRows, 2), unit(DType::kF32, 1, kCols);
  for (index_t r = 0; r < kRows; ++r) {
    scales.view().as<float>()(r, 0) = std::exp2(static_cast<float>(r % 7));
    scales.view().as<float>()(r, 1) = -0.37F;
    for (index_t c = 0; c < kCols; ++c) {
      const index_t code = (r + c) % 254;
      codes.view().as<e4m3>()(r, c).bits = static_cast<std::uint8_t>(code < 127 ? code : code + 1);
    }
  }
  for (const Isa isa : {Isa::kReference, Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > best_isa()) continue;
    Exec ex(pool, isa);
    kernels::PackedWeights packed{.dtype = DType::kE4M3,
                                  .num_matrices = 1,
                                  .rows = kRows,
                                  .cols = kCols,
                                  .table = &ex.kernels,
                                  .matrices = {},
                                  .data = Storage(kernels::packed_bytes(ex, DType::kE4M3, kRows, kCols))};
    packed.matrices = {packed.data.data()};
    kernels::pack_fp8_matrix(ex, packed.data.data(), {codes.view(), scales.view().as<float>()});
    for (index_t c = 0; c < kCols; c += 1 + c % 5) {
      std::fill_n(unit.view().as<float>().data, kCols, 0.0F);
      unit.view().as<float>()(0, c) = 1;
      Tensor narrow(DType::kBF16, 1, kCols), y(DType::kF32, 1, kRows);
      narrow.view().as<bf16>()(0, c) = to_bf16(1);
      for (const ConstView x : {ConstView(unit.view()), ConstView(narrow.view())}) {
        kernels::packed_gemm_nt(ex, y.view(), x, packed, std::vector<index_t>{0, 1});
        for (index_t r = 0; r < kRows; ++r)
          ASSERT_EQ(y.view().as<float>()(0, r),
                    to_f32(codes.view().as<e4m3>()(r, c)) * scales.view().as<float>()(r, c / 128))
              << isa_name(isa) << " " << dtype_name(x.dtype) << " at " << r << ", " << c;
      }
    }
  }
}

TEST(Gemm, PackedWeightsGiveTheSameBits) {
  ThreadPool pool(2);
  for (const Isa isa : {Isa::kReference, Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > best_isa()) continue;
    Exec ex(pool, isa);
    for (const DType dtype : {DType::kF32, DType::kBF16})
      for (const DType result : {DType::kF32, DType::kBF16})
        for (const index_t out : {1, 17, 64, 131})
          for (const index_t in : {1, 7, 64, 2051})
            for (const index_t rows : {1, 5, 40}) {
              if (isa == Isa::kReference && in > 100) continue;
              Case c{.out = out, .in = in, .offsets = {0, rows, rows, rows + 3}, .operand = dtype, .result = result};
              c.pad = out % 2;
              SCOPED_TRACE(describe(c));
              Operands want(c), got(c);
              grouped_gemm_nt(ex, want.out.view, want.a.view, want.b.view, c.offsets);
              const kernels::PackedWeights packed = kernels::pack_weights(ex, got.b.view, c.experts());
              kernels::packed_gemm_nt(ex, got.out.view, got.a.view, packed, c.offsets);
              ASSERT_TRUE(same_bytes(want, got)) << isa_name(isa);
            }
  }
}

TEST(PackedGemm, PiecesOfRowsGiveTheSameBytes) {
  ThreadPool pool(2);
  for (const Isa isa : {Isa::kReference, Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
    if (isa > best_isa()) continue;
    Exec ex(pool, isa);
    for (const DType as : {DType::kF32, DType::kE4M3, DType::kI8, DType::kI4})
      for (const index_t rows : {128, 131, 300})
        for (const index_t cols : {1, 64, 131}) {
          SCOPED_TRACE(str_cat(isa_name(isa), " ", dtype_name(as), " ", rows, " x ", cols));
          const Matrix w(DType::kF32, rows, cols, 0, 1);
          const auto size = static_cast<std::size_t>(kernels::packed_bytes(ex, as, rows, cols));
          Storage whole(kernels::packed_bytes(ex, as, rows, cols)), pieces(kernels::packed_bytes(ex, as, rows, cols));
          std::memset(whole.data(), 0, size);
          std::memset(pieces.data(), 0, size);
          kernels::pack_matrix(ex, whole.data(), w.view, as);
          for (index_t row = 0; row < rows; row += kernels::kPackedRows)
            kernels::pack_matrix(ex, pieces.data() + kernels::packed_bytes(ex, as, row, cols),
                                 w.view.slice_rows(row, std::min(kernels::kPackedRows, rows - row)), as);
          ASSERT_EQ(std::memcmp(whole.data(), pieces.data(), size), 0);
        }
  }
}

TEST(Gemm, OddSizes) {
  constexpr index_t kSizes[] = {1, 3, 15, 16, 17, 127};
  for (const Form form : kForms)
    for (const index_t tokens : kSizes)
      for (const index_t out : kSizes)
        for (const index_t in : kSizes) {
          const auto i = tokens + out + in;
          if (i % 3 != 1 && tokens * out * in > 20000) continue;  // a third of the large ones is enough
          check({.form = form,
                 .out = out,
                 .in = in,
                 .offsets = {0, tokens},
                 .operand = i % 3 == 0 ? DType::kF32 : DType::kBF16,
                 .result = i % 2 == 0 ? DType::kF32 : DType::kBF16,
                 .write = i % 5 < 2 ? Write::kAdd : Write::kAssign,
                 .pad = i % 4});
          if (HasFatalFailure()) return;
        }
}

TEST(Gemm, ColumnsOfEveryPanelWidth) {
  for (const Form form : kForms)
    for (const DType dtype : {DType::kF32, DType::kBF16})
      for (index_t n = 1; n <= 140; n += 9) {
        const index_t rows = 1 + n % 29;
        check(form == Form::kTn ? Case{.form = form, .out = rows, .in = n, .offsets = {0, 33}, .operand = dtype}
              : form == Form::kNn
                  ? Case{.form = form, .out = 33, .in = n, .offsets = {0, rows}, .operand = dtype, .result = dtype}
                  : Case{.form = form, .out = n, .in = 33, .offsets = {0, rows}, .operand = dtype, .result = dtype});
        if (HasFatalFailure()) return;
      }
}

TEST(Gemm, LongSumsAreCutIntoBlocks) {
  for (const Form form : kForms)
    for (const DType operand : {DType::kF32, DType::kBF16})
      for (const DType result : {DType::kF32, DType::kBF16})
        for (const Write write : {Write::kAssign, Write::kAdd}) {
          constexpr index_t kLong = 2500;
          Case c{.form = form,
                 .out = 21,
                 .in = 70,
                 .offsets = {0, 19},
                 .operand = operand,
                 .result = result,
                 .write = write};
          (form == Form::kNt ? c.in : form == Form::kNn ? c.out : c.offsets[1]) = kLong;
          check(c);
          if (HasFatalFailure()) return;
        }
}

TEST(Gemm, GroupsOfAllSizes) {
  for (const Form form : kForms)
    for (const DType operand : {DType::kF32, DType::kBF16})
      for (const Write write : {Write::kAssign, Write::kAdd}) {
        check({.form = form,
               .out = 40,
               .in = 72,
               .offsets = {2, 2, 3, 20, 20, 150, 151},
               .operand = operand,
               .write = write,
               .pad = 5});
        check({.form = form, .out = 0, .in = 3, .offsets = {0, 5}, .operand = operand, .write = write});
        check({.form = form, .out = 3, .in = 0, .offsets = {0, 5}, .operand = operand, .write = write});
        check({.form = form, .out = 3, .in = 4, .offsets = {0, 0}, .operand = operand, .write = write});
        if (HasFatalFailure()) return;
      }
}

// A row of a product must not depend on the rows beside it: decoding alone and in a batch give the same token.
TEST(Gemm, RowsDoNotDependOnTheirNumber) {
  for (const Form form : {Form::kNt, Form::kNn})
    for (const DType dtype : {DType::kF32, DType::kBF16})
      for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512}) {
        if (isa > best_isa()) continue;
        Case all{.form = form, .out = 96, .in = 1100, .offsets = {0, 64}, .operand = dtype, .result = dtype};
        Operands whole(all);
        run(isa, 2, all, whole);
        for (const index_t rows : {1, 2, 3, 5, 7, 12, 13, 31}) {
          Case part = all;
          part.offsets = {0, rows};
          Operands o(all);
          ThreadPool pool(1);
          Exec ex(pool, isa);
          const View a = o.a.view.slice_rows(7, rows), out = o.out.view.slice_rows(7, rows);
          form == Form::kNt ? kernels::gemm_nt(ex, out, a, o.b.view) : kernels::gemm_nn(ex, out, a, o.b.view);
          const View want = whole.out.view.slice_rows(7, rows);
          for (index_t r = 0; r < rows; ++r)
            ASSERT_EQ(std::memcmp(out.slice_rows(r, 1).data, want.slice_rows(r, 1).data,
                                  static_cast<std::size_t>(bytes_of(dtype, out.cols))),
                      0)
                << form_name(form) << " " << dtype_name(dtype) << " " << isa_name(isa) << " row " << r << " of "
                << rows;
        }
      }
}

TEST(Gemm, RefusesWhatItCannotDo) {
  ThreadPool pool(1);
  Exec ex(pool);
  Tensor x(DType::kBF16, 4, 8), w(DType::kBF16, 6, 8), y(DType::kF32, 4, 6), wide(DType::kF32, 4, 7),
      f32(DType::kF32, 6, 8), f64(DType::kF64, 4, 6);
  EXPECT_THROW(kernels::gemm_nt(ex, wide.view(), x.view(), w.view()), Error);
  EXPECT_THROW(kernels::gemm_nt(ex, y.view(), x.view(), f32.view()), Error);
  EXPECT_THROW(kernels::gemm_nt(ex, f64.view(), x.view(), w.view()), Error);
  EXPECT_THROW(grouped_gemm_nt(ex, y.view(), x.view(), w.view(), std::vector<index_t>{0, 5}), Error);
  EXPECT_THROW(grouped_gemm_nt(ex, y.view(), x.view(), w.view(), std::vector<index_t>{3, 2}), Error);
  EXPECT_THROW(grouped_gemm_nt(ex, y.view(), x.view(), w.view(), {}), Error);
  EXPECT_NO_THROW(kernels::gemm_nt(ex, y.view(), x.view(), w.view()));
}

}  // namespace
}  // namespace hadal
