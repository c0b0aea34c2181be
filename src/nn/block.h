#pragma once
#include <optional>

#include "nn/attention_module.h"
#include "nn/moe.h"

namespace hadal {

/// What one block keeps: the residual stream at its two norms, and what its parts keep.
struct BlockSaved {
  ConstView x_in_TD, x_mid_TD;  // inputs of the two norms
  View rstd_attention, rstd_ffn;
  ConstView h_attention, h_ffn;  // outputs of the norms, unless recomputed
  AttentionSaved attention;
  MlpSaved mlp;
  MoeSaved moe;
};

/// One transformer block: x += attention(norm(x)); x += ffn(norm(x)).
class Block {
 public:
  using Saved = BlockSaved;
  /// layer >= num_hidden_layers: the block of an MTP module.
  Block(const ModelConfig& config, int layer, float softmax_factor, kernels::RopeStyle style, Precision precision,
        bool train);

  /// Returns the residual stream after the block: x_TD itself, changed in place, for inference; a new tensor in
  /// ctx.saved when `saved` is given. `routed` receives the choice of experts when not null (MoE blocks).
  View forward(Context& ctx, View x_TD, const ForwardBatch& batch, const BalancePolicy* balance, Saved* saved,
               LayerCache* cache, kernels::RouterChoice* routed) const;
  /// In place: dx_TD becomes the gradient of the block's input.
  void backward(Context& ctx, View dx_TD, const ForwardBatch& batch, const Saved& saved);
  void visit_params(const ParamVisitor& v);
  void refresh(Exec& ex);
  /// For inference: Linear::pack of all layers.
  void pack(const PackPass& pass, const PackRecipe& recipe);

  /// For inference: Moe::stream, looking ahead to block `next` (nullptr: to none). Both must stay where they are.
  void stream_experts(ExpertCache& cache, int layer, const Block* next);

  /// nullptr for a dense block.
  Moe* moe() { return moe_ ? &*moe_ : nullptr; }

 private:
  Norm input_norm_, ffn_norm_;
  std::unique_ptr<AttentionModule> attention_;
  std::optional<Mlp> mlp_;
  std::optional<Moe> moe_;
};

}  // namespace hadal
