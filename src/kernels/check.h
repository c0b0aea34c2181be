#pragma once
// Checks of arguments, shared by the public functions of the kernels.
#include <initializer_list>
#include <span>

#include "tensor/view.h"

namespace hadal::kernels {

/// Throws unless `view` is rows x cols, of one of `dtypes`, and points somewhere if it has elements.
inline void check_view(const char* kernel, const char* name, ConstView view, index_t rows, index_t cols,
                       std::initializer_list<DType> dtypes) {
  HADAL_CHECK(view.rows == rows && view.cols == cols, kernel, ": ", name, " is ", view.rows, " x ", view.cols,
              ", want ", rows, " x ", cols);
  HADAL_CHECK(view.count() == 0 || view.data != nullptr, kernel, ": ", name, " has no data");
  HADAL_CHECK(view.rows <= 1 || view.stride >= view.cols, kernel, ": rows of ", name, " overlap: stride ", view.stride,
              ", width ", view.cols);
  for (const DType dtype : dtypes)
    if (view.dtype == dtype) return;
  fail(kernel, ": ", name, " holds ", dtype_name(view.dtype), ", which this kernel does not take here");
}

/// The float types that may meet in one call: f32 and bf16 mix, f64 stays by itself.
inline void check_activation(const char* kernel, const char* name, ConstView view, index_t rows, index_t cols,
                             bool f64) {
  if (f64) return check_view(kernel, name, view, rows, cols, {DType::kF64});
  check_view(kernel, name, view, rows, cols, {DType::kF32, DType::kBF16});
}

/// Statistics and parameters' gradients: f32, or f64 where the operands are.
inline void check_statistic(const char* kernel, const char* name, ConstView view, index_t rows, index_t cols,
                            bool f64) {
  check_view(kernel, name, view, rows, cols, {f64 ? DType::kF64 : DType::kF32});
}

/// Throws unless there is a target for each row, each below vocab_size (negative: masked).
inline void check_targets(const char* kernel, std::span<const int> target_T, index_t rows, index_t vocab_size) {
  HADAL_CHECK(static_cast<index_t>(target_T.size()) == rows, kernel, ": ", target_T.size(), " targets for ", rows,
              " rows");
  for (std::size_t t = 0; t < target_T.size(); ++t)
    HADAL_CHECK(target_T[t] < vocab_size, kernel, ": target ", target_T[t], " at row ", t, ", the vocabulary has ",
                vocab_size);
}

/// Throws unless rows [offsets[e], offsets[e + 1]) are among `rows` rows for every expert e; gives their number.
inline index_t check_offsets(const char* kernel, std::span<const index_t> offsets, index_t rows) {
  HADAL_CHECK(!offsets.empty() && offsets.front() >= 0 && offsets.back() <= rows, kernel, ": offsets of ",
              static_cast<index_t>(offsets.size()) - 1, " experts leave the ", rows, " rows");
  for (std::size_t e = 1; e < offsets.size(); ++e)
    HADAL_CHECK(offsets[e - 1] <= offsets[e], kernel, ": offsets fall from ", offsets[e - 1], " to ", offsets[e],
                " at expert ", e - 1);
  return static_cast<index_t>(offsets.size()) - 1;
}

}  // namespace hadal::kernels
