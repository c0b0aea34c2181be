#include <cmath>

#include "kernels/ref/access.h"
#include "kernels/ref/declare.h"

namespace hadal::kernels::ref {

void swiglu_forward(Exec& /*ex*/, View h_TF, ConstView gate_up_Tx2F) {
  const In in(gate_up_Tx2F);
  const Out h(h_TF);
  for (index_t t = 0; t < h_TF.rows; ++t) {
    for (index_t f = 0; f < h_TF.cols; ++f) {
      const double gate = in(t, f), up = in(t, h_TF.cols + f);
      h.set(t, f, gate / (1 + std::exp(-gate)) * up);
    }
  }
}

// In the forward pass: h = g s(g) u with s the sigmoid, and s' = s (1 - s).
void swiglu_backward(Exec& /*ex*/, View dgate_up_Tx2F, ConstView dh_TF, ConstView gate_up_Tx2F) {
  const In dh(dh_TF), in(gate_up_Tx2F);
  const Out dout(dgate_up_Tx2F);
  const index_t width = dh_TF.cols;
  for (index_t t = 0; t < dh_TF.rows; ++t) {
    for (index_t f = 0; f < width; ++f) {
      const double gate = in(t, f), up = in(t, width + f), dy = dh(t, f);
      const double s = 1 / (1 + std::exp(-gate));
      dout.set(t, f, dy * up * s * (1 + gate * (1 - s)));
      dout.set(t, width + f, dy * gate * s);
    }
  }
}

}  // namespace hadal::kernels::ref
