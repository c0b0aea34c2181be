#pragma once
#include <string>

#include "kernels/rmsnorm.h"
#include "nn/context.h"
#include "tensor/param.h"

namespace hadal {

/// RMSNorm with a learned gain, kept in f32.
class Norm {
 public:
  Norm() = default;
  Norm(std::string name, index_t dim, float eps, Precision precision, bool train)
      : name_(std::move(name)), eps_(eps), gain_(precision.wide(), 1, dim) {
    if (train) grad_ = Tensor(precision.wide(), 1, dim);
  }
  index_t dim() const { return gain_.cols(); }

  /// rstd_T: [1, T] wide, or empty.
  void forward(Context& ctx, View y_TD, View rstd_T, ConstView x_TD) const {
    kernels::rmsnorm_forward(ctx.exec, y_TD, rstd_T, x_TD, gain_.view(), eps_);
  }
  void backward(Context& ctx, View dx_TD, ConstView dy_TD, ConstView x_TD, ConstView rstd_T, Write write) {
    kernels::rmsnorm_backward(ctx.exec, dx_TD, grad_.view(), dy_TD, x_TD, gain_.view(), rstd_T, write);
  }
  template <class V>
  void visit_params(V&& v) {
    v(Param{.name = name_ + ".weight",
            .is_vector = true,
            .value = gain_.view(),
            .grad = grad_.empty() ? View{} : grad_.view()});
  }

 private:
  std::string name_;
  float eps_ = 1e-6F;
  Tensor gain_, grad_;
};

}  // namespace hadal
