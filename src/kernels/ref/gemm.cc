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

/// Codes [all rows][cols], then scales [all rows][groups].
struct IntWeights {
  std::int8_t* codes;
  float* scales;
  index_t groups;
  explicit IntWeights(const PackedWeights& w) : groups(num_groups(w.dtype, w.cols)) {
    const index_t count = w.num_matrices * w.rows * w.cols;
    codes = reinterpret_cast<std::int8_t*>(const_cast<std::byte*>(w.data.data()));
    scales = reinterpret_cast<float*>(codes + (count + 3) / 4 * 4);
  }
  static index_t bytes(const PackedWeights& w) {
    const index_t rows = w.num_matrices * w.rows;
    return (rows * w.cols + 3) / 4 * 4 + rows * num_groups(w.dtype, w.cols) * 4;
  }
};

void fill_int(PackedWeights& packed, ConstView w) {
  packed.data = Storage(IntWeights::bytes(packed));
  const IntWeights to(packed);
  const index_t size = group_size(packed.dtype);
  for (index_t r = 0; r < w.rows; ++r)
    for (index_t g = 0; g < to.groups; ++g) {
      const index_t begin = g * size, count = std::min(size, w.cols - begin);
      std::vector<float> x;
      for (index_t i = 0; i < count; ++i) x.push_back(static_cast<float>(value(w, r, begin + i)));
      to.scales[r * to.groups + g] =
          quantize_group(packed.dtype, {to.codes + r * w.cols + begin, static_cast<std::size_t>(count)}, x);
    }
}

/// Codes [all rows][cols], then scales [all rows][tiles].
struct Fp8Weights {
  View codes;
  Mat<float> scales;
  explicit Fp8Weights(const PackedWeights& w) {
    const index_t rows = w.num_matrices * w.rows, tiles = fp8_tiles(w.cols);
    auto* data = const_cast<std::byte*>(w.data.data());
    codes = {data, DType::kE4M3, rows, w.cols, w.cols};
    scales = {reinterpret_cast<float*>(data + (rows * w.cols + 3) / 4 * 4), rows, tiles, tiles};
  }
  static index_t bytes(const PackedWeights& w) {
    const index_t rows = w.num_matrices * w.rows;
    return (rows * w.cols + 3) / 4 * 4 + rows * fp8_tiles(w.cols) * 4;
  }
};

void multiply_fp8_weights(View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                          Write write) {
  const Fp8Weights from(w);
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e)
    for (index_t s = offsets[e]; s < offsets[e + 1]; ++s)
      for (index_t f = 0; f < w.rows; ++f) {
        const index_t row = static_cast<index_t>(e) * w.rows + f;
        double sum = 0;
        for (index_t d = 0; d < w.cols; ++d)
          sum += value(x_SD, s, d) * value(from.codes, row, d) * static_cast<double>(from.scales(row, d / kFp8Tile));
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
void fill_packed(Exec& /*ex*/, PackedWeights& packed, ConstView w) {
  if (is_int(packed.dtype)) return fill_int(packed, w);
  packed.data = Storage(w.rows * bytes_of(w.dtype, w.cols));
  copy_rows({packed.data.data(), w.dtype, w.rows, w.cols, w.cols}, w);
}

void fill_packed_fp8(Exec& /*ex*/, PackedWeights& packed, Fp8Const w) {
  packed.data = Storage(Fp8Weights::bytes(packed));
  const Fp8Weights to(packed);
  copy_rows(to.codes, w.codes);
  copy_rows(view_of(to.scales), view_of(w.scales));
}

void packed_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                    Write write) {
  if (w.dtype == DType::kE4M3) return multiply_fp8_weights(y_SF, x_SD, w, offsets, write);
  if (!is_int(w.dtype)) {
    const ConstView w_ExFD{w.data.data(), w.dtype, w.num_matrices * w.rows, w.cols, w.cols};
    return grouped_gemm_nt(ex, y_SF, x_SD, w_ExFD, offsets, write);
  }
  const IntWeights from(w);
  const index_t size = group_size(w.dtype);
  for (std::size_t e = 0; e + 1 < offsets.size(); ++e)
    for (index_t s = offsets[e]; s < offsets[e + 1]; ++s)
      for (index_t f = 0; f < w.rows; ++f) {
        const index_t row = static_cast<index_t>(e) * w.rows + f;
        double sum = 0;
        for (index_t g = 0; g < from.groups; ++g)
          sum += group_product(x_SD, s, g * size, std::min(size, w.cols - g * size),
                               from.codes + row * w.cols + g * size) *
                 static_cast<double>(from.scales[row * from.groups + g]);
        write_value(y_SF, s, f, sum, write);
      }
}

}  // namespace hadal::kernels::ref
