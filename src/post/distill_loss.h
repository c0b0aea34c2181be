#pragma once
// Distillation of logits: the divergence between a student's distribution and the k most likely tokens of a teacher's,
// with everything else as one more outcome.
#include <span>
#include <string>

#include "kernels/exec.h"

namespace hadal {

struct DistillLossOptions {
  std::string divergence = "forward";
  double weight = 1, temperature = 1;
  template <class V>
  void visit(V&& v) {
    v("divergence", divergence,
      "forward: KL(teacher || student), which covers all that the teacher may say; reverse: KL(student || teacher), "
      "which keeps to what it most likely says",
      {.choices = {"forward", "reverse"}});
    v("weight", weight, "share of the divergence in the loss; the rest is cross-entropy of the traces");
    v("temperature", temperature, "both distributions are softened by it; the loss is times its square");
  }
};

/// The most likely tokens of a teacher at one place. q[i]: its probability (at the options' temperature) of token
/// id[i], in falling order; what they lack to 1 is the tail.
struct TeacherRow {
  std::span<const int> id;
  std::span<const float> q;
};

/// T^2 KL of one row, and its gradient: dlogits_V (=) scale * dKL/dlogits. logits_V: [1, V], f32 or f64; it is
/// overwritten. dlogits_V: empty (loss only), or f32, bf16 or f64, and may be the logits.
double distill_row(View dlogits_V, View logits_V, const TeacherRow& teacher, const DistillLossOptions& options,
                   double scale);

}  // namespace hadal
