#pragma once
#include <functional>

#include "nn/model.h"

namespace hadal {

struct OptimizerOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1, clip = 1.0;
  std::string moments = "bf16";
  bool decay_vectors = false;
  template <class V>
  void visit(V&& v) {
    v("beta1", beta1, "decay of the first moment");
    v("beta2", beta2, "decay of the second moment");
    v("eps", eps, "added to the root of the second moment");
    v("weight_decay", weight_decay, "decoupled decay, times the learning rate");
    v("clip", clip, "global gradient norm above which gradients shrink; 0: never");
    v("moments", moments, "dtype of both moments", {.choices = {"f32", "bf16"}});
    v("decay_vectors", decay_vectors, "decay norm gains and biases too");
  }
};

/// What an optimizer moves: trainable parameters, and what has to follow them after each change.
struct TrainedParams {
  std::function<void(const ParamVisitor&)> visit;
  std::function<void(Exec&)> changed;
};
/// All of a model; its derived weights follow.
TrainedParams params_of(Model& model);

/// AdamW over parameters, usually all trainable ones of a model (DeepSeek-V3 report 3.3.1, 4.2): f32 masters, moments
/// in bf16 or f32. Beside weights in bf16 only the bits that these lack are kept (split_f32); both together are the
/// master.
class Optimizer {
 public:
  Optimizer(TrainedParams params, const OptimizerOptions& options);

  /// The norm of all gradients together; NaN or inf when any is not finite.
  double grad_norm(Exec& ex) const;
  /// One update with gradients scaled so that their norm is at most `clip`; clears them. `step` counts updates from 1.
  void step(Exec& ex, double lr, double norm, std::int64_t step);
  void zero_grad(Exec& ex);
  /// Forgets the moments (a new phase, or RL after SFT).
  void reset_moments();

  /// Makes the parameters as they are the masters; after loading weights without optimizer state.
  void take_masters();
  /// After the parameters were changed from outside.
  void changed(Exec& ex) const { params_.changed(ex); }

  struct State {
    Param param;
    View rest;  // I16: master = join_f32(param.value, rest); empty: the parameter is the master
    View first_moment, second_moment;
  };
  std::span<State> states() { return states_; }
  /// The master copy of a parameter, in `storage` when it has to be put together.
  ConstView master_of(Exec& ex, const Param& param, Tensor& storage) const;
  index_t bytes() const;

 private:
  /// Parameters that follow each other in memory (the experts of a layer, say), as one row: one kernel call for all.
  struct Run {
    View rest, value, grad, first_moment, second_moment;
    bool decays = true;
  };
  void add_run(std::span<const Param> params);

  TrainedParams params_;
  OptimizerOptions options_;
  std::vector<State> states_;
  std::vector<Run> runs_;
  std::vector<Tensor> storage_;
};

}  // namespace hadal
