#pragma once
#include "nn/attention_module.h"

namespace hadal {

/// What a SwiGLU feed-forward keeps: the input of SwiGLU, and its output unless it is recomputed.
struct MlpSaved {
  SavedActivation gate_up;
  ConstView hidden;
};

/// SwiGLU feed-forward over one matrix or E experts: y += (silu(x W_gate^T) * (x W_up^T)) W_down^T. gate and up are
/// stacked per expert and run as one product.
class Mlp {
 public:
  using Saved = MlpSaved;
  Mlp() = default;
  /// One entry of `prefixes` per expert.
  Mlp(const std::vector<std::string>& prefixes, index_t hidden, index_t intermediate, Precision precision, bool train);

  /// y_TD (write). offsets: rows of each expert (empty for one).
  void forward(Context& ctx, View y_TD, ConstView x_TD, Write write, Saved* saved,
               std::span<const index_t> offsets = {}) const;
  /// dx_TD (write)
  void backward(Context& ctx, View dx_TD, ConstView dy_TD, ConstView x_TD, Write write, const Saved& saved,
                std::span<const index_t> offsets = {});
  void visit_params(const ParamVisitor& v);
  void refresh(Exec& ex);
  /// For inference: Linear::pack of both layers.
  void pack(const PackPass& pass, PackAs as);
  /// After pack(): where the matrices of expert `e` lie from now on (nullptr: not in memory).
  void place_expert(int e, const std::byte* gate_up, const std::byte* down);

 private:
  index_t intermediate_ = 0;
  Linear gate_up_, down_;
};

}  // namespace hadal
