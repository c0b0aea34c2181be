#pragma once
#include "nn/attention_module.h"

namespace hadal {

/// Grouped-query attention with full rotation (llama, qwen2, qwen3, deepseek). MHA: as many key heads as query heads;
/// MQA: one. Biases (qwen2) and a norm per head on q and k (qwen3) where the config has them.
class Gqa final : public AttentionModule {
 public:
  Gqa(const ModelConfig& config, const std::string& prefix, kernels::RopeStyle style, Precision precision, bool train);

  void forward(Context& ctx, View x_TD, ConstView h_TD, const ForwardBatch& batch, Saved* saved,
               LayerCache* cache) const override;
  void backward(Context& ctx, View dh_TD, ConstView dx_TD, ConstView h_TD, const ForwardBatch& batch,
                const Saved& saved) override;
  void visit_params(const ParamVisitor& v) override;
  void refresh(Exec& ex) override;
  void pack(const PackPass& pass, PackAs as) override;

 private:
  index_t heads_, kv_heads_, dim_;
  bool qk_norm_;
  kernels::RopeStyle style_;
  Linear qkv_, o_proj_;
  Norm q_norm_, k_norm_;
};

}  // namespace hadal
