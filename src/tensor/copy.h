#pragma once
#include <cstring>

#include "tensor/view.h"

namespace hadal {

/// to = from, row by row, on the calling thread. Same shape and dtype; rows may have strides of their own.
inline void copy_rows(View to, ConstView from) {
  HADAL_CHECK(to.dtype == from.dtype && to.rows == from.rows && to.cols == from.cols, "copy_rows: [", from.rows, ", ",
              from.cols, "] ", dtype_name(from.dtype), " to [", to.rows, ", ", to.cols, "] ", dtype_name(to.dtype));
  const auto bytes = static_cast<std::size_t>(bytes_of(to.dtype, to.cols));
  const index_t to_stride = bytes_of(to.dtype, to.stride), from_stride = bytes_of(from.dtype, from.stride);
  for (index_t r = 0; r < to.rows; ++r) std::memcpy(to.data + r * to_stride, from.data + r * from_stride, bytes);
}

}  // namespace hadal
