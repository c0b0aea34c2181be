#pragma once
#include "nn/block.h"

namespace hadal {

struct MtpSaved {
  View embedding_TD;    // Emb(t_{i+k})
  ConstView hidden_TD;  // h^{k-1}
  View rstd_embedding, rstd_hidden, rstd_out;
  View joined_Tx2D;  // [enorm(embedding) | hnorm(hidden)]
  BlockSaved block;
  ConstView x_TD;  // block output
};

/// One depth of multi-token prediction (DeepSeek-V3 report 2.2): h^k = block(eh_proj [enorm(Emb(t_{i+k}));
/// hnorm(h^{k-1}_i)]). Embedding and output head are the main model's. Released checkpoints put the embedding first,
/// unlike equation 21.
class MtpModule {
 public:
  using Saved = MtpSaved;
  /// depth from 1; the module is stored as layer num_hidden_layers + depth - 1.
  MtpModule(const ModelConfig& config, int depth, float softmax_factor, kernels::RopeStyle style, Precision precision,
            bool train);

  /// Returns h^k before shared_head.norm. embedding_TD: embeddings of the tokens `depth` ahead (rows without one:
  /// anything, their targets are masked).
  View forward(Context& ctx, View embedding_TD, ConstView hidden_TD, const ForwardBatch& batch,
               const BalancePolicy* balance, Saved* saved, LayerCache* cache, kernels::RouterChoice* routed) const;
  /// dx_TD: gradient of h^k, used up. dembedding_TD (=), dhidden_TD (+=).
  void backward(Context& ctx, View dembedding_TD, View dhidden_TD, View dx_TD, const ForwardBatch& batch,
                const Saved& saved);
  /// What the shared output head reads.
  const Norm& head_norm() const { return head_norm_; }
  Norm& head_norm() { return head_norm_; }
  void visit_params(const ParamVisitor& v);
  void refresh(Exec& ex);
  /// For inference: Linear::pack of all layers.
  void pack(const PackPass& pass, const PackRecipe& recipe);
  Moe* moe() { return block_.moe(); }
  Block& block() { return block_; }

 private:
  Norm embedding_norm_, hidden_norm_, head_norm_;
  Linear projection_;
  Block block_;
};

}  // namespace hadal
