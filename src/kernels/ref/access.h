#pragma once
// Elements of a view whose type is known at run time, as f64. The reference loops compute in f64 and round once, where
// they store: slow, and easy to believe.
#include "tensor/view.h"

namespace hadal::kernels::ref {

/// Reads elements of any float type.
class In {
 public:
  explicit In(ConstView view) : view_(view) {}
  double operator()(index_t row, index_t col) const {
    HADAL_DCHECK(row >= 0 && row < view_.rows && col >= 0 && col < view_.cols, "(", row, ", ", col,
                 ") outside the view");
    const index_t i = row * view_.stride + col;
    switch (view_.dtype) {
      case DType::kF64:
        return at<double>(i);
      case DType::kF32:
        return static_cast<double>(at<float>(i));
      case DType::kF16:
        return static_cast<double>(to_f32(at<f16>(i)));
      case DType::kBF16:
        return static_cast<double>(to_f32(at<bf16>(i)));
      case DType::kE4M3:
        return static_cast<double>(to_f32(at<e4m3>(i)));
      case DType::kE5M2:
        return static_cast<double>(to_f32(at<e5m2>(i)));
      default:
        fail("reference kernel: cannot read ", dtype_name(view_.dtype));
    }
  }

 private:
  template <class T>
  T at(index_t i) const {
    return reinterpret_cast<const T*>(view_.data)[i];
  }
  ConstView view_;
};

/// Writes elements of any float type: nearest, ties to even; FP8 saturates.
class Out {
 public:
  explicit Out(View view) : view_(view), in_(view) {}
  double operator()(index_t row, index_t col) const { return in_(row, col); }
  void set(index_t row, index_t col, double value) const {
    HADAL_DCHECK(row >= 0 && row < view_.rows && col >= 0 && col < view_.cols, "(", row, ", ", col,
                 ") outside the view");
    const index_t i = row * view_.stride + col;
    const auto f = static_cast<float>(value);
    switch (view_.dtype) {
      case DType::kF64:
        at<double>(i) = value;
        return;
      case DType::kF32:
        at<float>(i) = f;
        return;
      case DType::kF16:
        at<f16>(i) = to_f16(f);
        return;
      case DType::kBF16:
        at<bf16>(i) = to_bf16(f);
        return;
      case DType::kE4M3:
        at<e4m3>(i) = to_e4m3(f);
        return;
      case DType::kE5M2:
        at<e5m2>(i) = to_e5m2(f);
        return;
      default:
        fail("reference kernel: cannot write ", dtype_name(view_.dtype));
    }
  }
  void add(index_t row, index_t col, double value) const { set(row, col, in_(row, col) + value); }

 private:
  template <class T>
  T& at(index_t i) const {
    return reinterpret_cast<T*>(view_.data)[i];
  }
  View view_;
  In in_;
};

}  // namespace hadal::kernels::ref
