#pragma once
#include "kernels/balance_loss.h"
#include "kernels/moe_dispatch.h"
#include "kernels/router.h"
#include "nn/streamed_experts.h"

namespace hadal {

/// How training steers the load of experts; inference leaves all of it off.
struct BalancePolicy {
  kernels::BalanceLossConfig loss;
  double loss_scale = 1;  // of the gradient: 1 / micro-batches of the step
  double capacity_factor =
      0;  // > 0: each group of experts (loss.num_groups) takes at most this times its fair share (V2 2.2.4)
  double keep_rate = 0.1;  // of sequences that capacity never drops from
};

/// What one MoE layer did in one forward pass; the trainer reads it.
struct MoeSaved {
  kernels::RouterChoice choice;
  kernels::DispatchPlan plan;
  View dscores_TE;   // gradient of the balance losses; empty when there are none
  View gathered_SD;  // empty: gathered again
  View expert_out_SD;
  MlpSaved experts, shared;
  double balance_loss = 0;
};

/// A mixture of routed and shared experts (DeepSeekMoE; V1 3, V2 2.2, V3 2.1.2). GShard top-2 and Switch top-1 are the
/// same module with other settings.
class Moe {
 public:
  using Saved = MoeSaved;
  Moe(const ModelConfig& config, const std::string& prefix, Precision precision, bool train);

  /// x_TD += moe(h_TD). `balance`: nullptr outside training. `routed`: not null: receives the choice (inference too).
  void forward(Context& ctx, View x_TD, ConstView h_TD, const ForwardBatch& batch, const BalancePolicy* balance,
               Saved* saved, kernels::RouterChoice* routed) const;
  /// dh_TD (=)
  void backward(Context& ctx, View dh_TD, ConstView dx_TD, ConstView h_TD, const Saved& saved);
  void visit_params(const ParamVisitor& v);
  void refresh(Exec& ex);
  /// For inference: Linear::pack of all layers.
  void pack(const PackPass& pass, const PackRecipe& recipe);

  /// Looks at the residual stream before this layer's part is added.
  using LookAhead = std::function<void(Context& ctx, ConstView x_TD)>;
  /// After pack(), for inference: the routed experts come from layer `layer` of `cache`. look_ahead: runs while they
  /// are read, to guess what the next layer will need; may be empty. This object must stay where it is.
  void stream(ExpertCache& cache, int layer, LookAhead look_ahead);
  /// Has the experts read that the router would choose for h_TD: a guess, which changes no result.
  void guess(Context& ctx, ConstView h_TD) const;

  int num_experts() const { return num_experts_; }
  const kernels::RouterPolicy& policy() const { return policy_; }
  /// [1, E], f32; steers the choice only. Moved by train/balance.
  View correction_bias() { return bias_.empty() ? View{} : bias_.view(); }

 private:
  kernels::RouterChoice choose(Context& ctx, ConstView h_TD, Arena& arena) const;

  std::string prefix_;
  int num_experts_ = 0;
  kernels::RouterPolicy policy_;
  Linear gate_;
  Tensor bias_;
  Mlp experts_, shared_;
  bool has_shared_ = false;
  std::unique_ptr<StreamedExperts> streamed_;  // nullptr: all experts are in memory
  LookAhead look_ahead_;
};

/// The routing rules of a config.
kernels::RouterPolicy router_policy(const ModelConfig& config);

}  // namespace hadal
