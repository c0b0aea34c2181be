// Plain loops over doubles; only the result is rounded to the type of the output.
#include <algorithm>
#include <cmath>

#include "kernels/int_group.h"
#include "kernels/ref/values.h"
#include "kernels/table.h"
#include "tensor/copy.h"

namespace hadal::kernels::ref {

void grouped_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, ConstView w_ExFD, std::span<const index_t> offsets,
                     Write write) {
  const index_t in = x_SD.cols, out = y_SF.cols;
  const std::vector<double> x = values(x_SD), w = values(w_ExFD);
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    const double* w_FD = w.data() + static_cast<index_t>(e) * out * in;
    ex.pool.parallel_for(offsets[e + 1] - offsets[e], [&](index_t task, int) {
      const index_t s = offsets[e] + task;
      for (index_t f = 0; f < out; ++f) {
        double sum = 0;
        for (index_t d = 0; d < in; ++d) sum += x[static_cast<std::size_t>(s * in + d)] * w_FD[f * in + d];
        write_value(y_SF, s, f, sum, write);
      }
    });
  }
}

void grouped_gemm_nn(Exec& ex, View dx_SD, ConstView dy_SF, ConstView w_ExFD, std::span<const index_t> offsets,
                     Write write) {
  const index_t in = dx_SD.cols, out = dy_SF.cols;
  const std::vector<double> dy = values(dy_SF), w = values(w_ExFD);
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    const double* w_FD = w.data() + static_cast<index_t>(e) * out * in;
    ex.pool.parallel_for(offsets[e + 1] - offsets[e], [&](index_t task, int) {
      const index_t s = offsets[e] + task;
      std::vector<double> sum_D(static_cast<std::size_t>(in));
      for (index_t f = 0; f < out; ++f)
        for (index_t d = 0; d < in; ++d)
          sum_D[static_cast<std::size_t>(d)] += dy[static_cast<std::size_t>(s * out + f)] * w_FD[f * in + d];
      write_row(dx_SD, s, sum_D.data(), write);
    });
  }
}

void grouped_gemm_tn(Exec& ex, View dw_ExFD, ConstView dy_SF, ConstView x_SD, std::span<const index_t> offsets,
                     Write write) {
  const index_t in = x_SD.cols, out = dy_SF.cols;
  const std::vector<double> dy = values(dy_SF), x = values(x_SD);
  ex.pool.parallel_for(dw_ExFD.rows, [&](index_t row, int) {
    const auto e = static_cast<std::size_t>(row / out);
    const index_t f = row % out;
    std::vector<double> sum_D(static_cast<std::size_t>(in));
    for (index_t s = offsets[e]; s < offsets[e + 1]; ++s)
      for (index_t d = 0; d < in; ++d)
        sum_D[static_cast<std::size_t>(d)] +=
            dy[static_cast<std::size_t>(s * out + f)] * x[static_cast<std::size_t>(s * in + d)];
    write_row(dw_ExFD, row, sum_D.data(), write);
  });
}

namespace {

/// One matrix of codes of 8 bits: row after row, the codes and then the scales of their groups.
struct CodedMatrix {
  View codes;  // bytes [rows, cols]
  Mat<float> scales;
  CodedMatrix(const std::byte* data, index_t rows, index_t cols, index_t groups) {
    auto* begin = const_cast<std::byte*>(data);
    const index_t stride = row_bytes(cols, groups);
    codes = {begin, DType::kE4M3, rows, cols, stride};
    scales = {reinterpret_cast<float*>(begin + stride - groups * 4), rows, groups, stride / 4};
  }
  static index_t row_bytes(index_t cols, index_t groups) { return (cols + 3) / 4 * 4 + groups * 4; }
  std::int8_t* row(index_t r) const { return reinterpret_cast<std::int8_t*>(codes.data + r * codes.stride); }
};

void pack_int(const CodedMatrix& to, ConstView w, DType as) {
  const index_t size = group_size(as);
  for (index_t r = 0; r < w.rows; ++r)
    for (index_t g = 0; g < to.scales.cols; ++g) {
      const index_t begin = g * size, count = std::min(size, w.cols - begin);
      float x[64] = {};
      std::int8_t codes[64] = {};
      for (index_t i = 0; i < count; ++i) x[i] = static_cast<float>(value(w, r, begin + i));
      quantize_groups<4>(as, codes, &to.scales(r, g), x, 1);
      std::copy_n(codes, count, to.row(r) + begin);
    }
}

/// Rows [first, end) of x and y.
void multiply_fp8(const CodedMatrix& from, View y_SF, ConstView x_SD, index_t first, index_t end, Write write) {
  for (index_t s = first; s < end; ++s)
    for (index_t f = 0; f < from.codes.rows; ++f) {
      double sum = 0;
      for (index_t d = 0; d < from.codes.cols; ++d)
        sum += value(x_SD, s, d) * value(from.codes, f, d) * static_cast<double>(from.scales(f, d / kFp8Tile));
      write_value(y_SF, s, f, sum, write);
    }
}

/// The sum over one group of a row of x, as integers of 8 bits, times the codes of a row of weights.
double group_product(ConstView x, index_t s, index_t begin, index_t count, const std::int8_t* codes) {
  float most = 0;
  for (index_t i = 0; i < count; ++i) most = std::fmax(most, std::fabs(static_cast<float>(value(x, s, begin + i))));
  const float inverse = inverse_scale(most);
  double sum = 0;
  for (index_t i = 0; i < count; ++i)
    sum += static_cast<double>(std::nearbyint(static_cast<float>(value(x, s, begin + i)) * inverse)) * codes[i];
  return inverse == 0 ? 0 : sum * static_cast<double>(most / 127);
}

}  // namespace

/// The reference keeps the order of rows.
index_t packed_bytes(DType as, index_t rows, index_t cols) {
  if (as == DType::kE4M3) return rows * CodedMatrix::row_bytes(cols, fp8_tiles(cols));
  return is_int(as) ? rows * CodedMatrix::row_bytes(cols, num_groups(as, cols)) : bytes_of(as, rows * cols);
}

void pack_matrix(Exec& /*ex*/, std::byte* to, ConstView w, DType as) {
  if (is_int(as)) return pack_int({to, w.rows, w.cols, num_groups(as, w.cols)}, w, as);
  copy_rows({to, w.dtype, w.rows, w.cols, w.cols}, w);
}

void pack_fp8_matrix(Exec& /*ex*/, std::byte* to, Fp8Const w) {
  const CodedMatrix matrix(to, w.codes.rows, w.codes.cols, fp8_tiles(w.codes.cols));
  copy_rows(matrix.codes, w.codes);
  copy_rows(view_of(matrix.scales), view_of(w.scales));
}

void packed_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                    Write write) {
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
    if (offsets[e] == offsets[e + 1]) continue;
    if (w.dtype == DType::kE4M3) {
      multiply_fp8({w.matrices[e], w.rows, w.cols, fp8_tiles(w.cols)}, y_SF, x_SD, offsets[e], offsets[e + 1], write);
      continue;
    }
    if (!is_int(w.dtype)) {
      const ConstView w_FD{w.matrices[e], w.dtype, w.rows, w.cols, w.cols};
      grouped_gemm_nt(ex, y_SF, x_SD, w_FD, offsets.subspan(e, 2), write);
      continue;
    }
    const CodedMatrix from(w.matrices[e], w.rows, w.cols, num_groups(w.dtype, w.cols));
    const index_t size = group_size(w.dtype);
    for (index_t s = offsets[e]; s < offsets[e + 1]; ++s)
      for (index_t f = 0; f < w.rows; ++f) {
        double sum = 0;
        for (index_t g = 0; g < from.scales.cols; ++g)
          sum += group_product(x_SD, s, g * size, std::min(size, w.cols - g * size), from.row(f) + g * size) *
                 static_cast<double>(from.scales(f, g));
        write_value(y_SF, s, f, sum, write);
      }
  }
}

}  // namespace hadal::kernels::ref
