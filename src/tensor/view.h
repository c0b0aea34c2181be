#pragma once
// Views of rows x columns. Nothing here owns memory and nothing here computes.
//
// Shape suffixes, one legend for the whole project: T tokens, S cached positions or dispatched slots, D hidden,
// F intermediate, V vocabulary, H heads, E experts, A experts per token, C kv_lora_rank, Q q_lora_rank, N nope, R rope,
// U v_head_dim. `x` joins folded axes (x_TxA).
#include <cstddef>
#include <span>
#include <type_traits>

#include "base/error.h"
#include "tensor/dtype.h"

namespace hadal {

/// rows x cols values of one C++ type; consecutive rows are `stride` elements apart.
template <class T>
struct Mat {
  T* data = nullptr;
  index_t rows = 0, cols = 0, stride = 0;

  std::span<T> row(index_t r) const {
    HADAL_DCHECK(r >= 0 && r < rows, "row ", r, " of ", rows);
    return {data + r * stride, static_cast<std::size_t>(cols)};
  }
  T& operator()(index_t r, index_t c) const {
    HADAL_DCHECK(r >= 0 && r < rows && c >= 0 && c < cols, "(", r, ", ", c, ") of ", rows, " x ", cols);
    return data[r * stride + c];
  }
  operator Mat<const T>() const  // NOLINT(google-explicit-constructor)
    requires(!std::is_const_v<T>)
  {
    return {data, rows, cols, stride};
  }
};

/// rows x cols values whose type is known at run time. Byte: std::byte, or const std::byte for a view to read from.
template <class Byte>
struct BasicView {
  Byte* data = nullptr;
  DType dtype = DType::kF32;
  index_t rows = 0, cols = 0, stride = 0;  // stride: elements between rows

  bool empty() const { return data == nullptr; }
  index_t count() const { return rows * cols; }
  bool contiguous() const { return stride == cols || rows <= 1; }

  template <class T>
  using Element = std::conditional_t<std::is_const_v<Byte>, const T, T>;

  /// Throws when the view holds another type.
  template <class T>
  Mat<Element<T>> as() const {
    HADAL_CHECK(dtype == DTypeOf<T>::value, "view holds ", dtype_name(dtype), ", asked for ",
                dtype_name(DTypeOf<T>::value));
    return {reinterpret_cast<Element<T>*>(data), rows, cols, stride};
  }
  /// All values in a row-major run. Only for contiguous views.
  template <class T>
  std::span<Element<T>> flat() const {
    HADAL_CHECK(contiguous(), "flat: rows are ", stride, " elements apart but ", cols, " wide");
    return {as<T>().data, static_cast<std::size_t>(count())};
  }
  BasicView slice_rows(index_t first, index_t num) const {
    HADAL_CHECK(first >= 0 && num >= 0 && first + num <= rows, "rows [", first, ", ", first + num, ") of ", rows);
    return {data + bytes_of(dtype, first * stride), dtype, num, cols, stride};
  }
  BasicView slice_cols(index_t first, index_t num) const {
    HADAL_CHECK(first >= 0 && num >= 0 && first + num <= cols, "columns [", first, ", ", first + num, ") of ", cols);
    return {data + bytes_of(dtype, first), dtype, rows, num, stride};
  }
  operator BasicView<const std::byte>() const  // NOLINT(google-explicit-constructor)
    requires(!std::is_const_v<Byte>)
  {
    return {data, dtype, rows, cols, stride};
  }
};
using View = BasicView<std::byte>;
using ConstView = BasicView<const std::byte>;

template <class T>
View view_of(Mat<T> m) {
  return {reinterpret_cast<std::byte*>(m.data), DTypeOf<T>::value, m.rows, m.cols, m.stride};
}
template <class T>
ConstView view_of(Mat<const T> m) {
  return {reinterpret_cast<const std::byte*>(m.data), DTypeOf<T>::value, m.rows, m.cols, m.stride};
}

/// Rows of `heads` vectors of `dim` values each: head h of row t starts at t * row_stride + h * head_stride. Covers
/// fused projections such as [nope | v] per head without copying.
template <class Byte>
struct BasicHeads {
  Byte* data = nullptr;
  DType dtype = DType::kF32;
  index_t rows = 0, heads = 0, dim = 0, row_stride = 0, head_stride = 0;

  bool empty() const { return data == nullptr; }
  /// The same rows and heads, columns [first, first + num) of every head.
  BasicHeads slice_dim(index_t first, index_t num) const {
    HADAL_CHECK(first >= 0 && num >= 0 && first + num <= dim, "head columns [", first, ", ", first + num, ") of ", dim);
    return {data + bytes_of(dtype, first), dtype, rows, heads, num, row_stride, head_stride};
  }
  BasicHeads slice_rows(index_t first, index_t num) const {
    HADAL_CHECK(first >= 0 && num >= 0 && first + num <= rows, "rows [", first, ", ", first + num, ") of ", rows);
    return {data + bytes_of(dtype, first * row_stride), dtype, num, heads, dim, row_stride, head_stride};
  }
  template <class T>
  std::conditional_t<std::is_const_v<Byte>, const T, T>* at(index_t row, index_t head) const {
    HADAL_DCHECK(dtype == DTypeOf<T>::value && row < rows && head < heads, "head ", head, " of row ", row);
    return reinterpret_cast<std::conditional_t<std::is_const_v<Byte>, const T, T>*>(data) + row * row_stride +
           head * head_stride;
  }
  operator BasicHeads<const std::byte>() const  // NOLINT(google-explicit-constructor)
    requires(!std::is_const_v<Byte>)
  {
    return {data, dtype, rows, heads, dim, row_stride, head_stride};
  }
};
using Heads = BasicHeads<std::byte>;
using ConstHeads = BasicHeads<const std::byte>;

/// The columns of a view as `heads` equal parts.
template <class Byte>
BasicHeads<Byte> heads_of(BasicView<Byte> v, index_t heads) {
  HADAL_CHECK(heads > 0 && v.cols % heads == 0, v.cols, " columns do not divide into ", heads, " heads");
  return {v.data, v.dtype, v.rows, heads, v.cols / heads, v.stride, v.cols / heads};
}

}  // namespace hadal
