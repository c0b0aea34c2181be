// Plain loops over doubles; only the result is rounded to the type of the output.
#include <cstring>

#include "kernels/ref/values.h"
#include "kernels/table.h"

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

/// The reference keeps the order of rows.
void fill_packed(Exec& /*ex*/, PackedWeights& packed, ConstView w) {
  const index_t row_bytes = bytes_of(w.dtype, w.cols);
  packed.data = Storage(w.rows * row_bytes);
  for (index_t r = 0; r < w.rows; ++r)
    std::memcpy(packed.data.data() + r * row_bytes, w.slice_rows(r, 1).data, static_cast<std::size_t>(row_bytes));
}

void packed_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, const PackedWeights& w, std::span<const index_t> offsets,
                    Write write) {
  const ConstView w_ExFD{w.data.data(), w.dtype, w.num_matrices * w.rows, w.cols, w.cols};
  grouped_gemm_nt(ex, y_SF, x_SD, w_ExFD, offsets, write);
}

}  // namespace hadal::kernels::ref
