#pragma once
#include <optional>

#include "nn/attention_module.h"

namespace hadal {

/// Multi-head latent attention (DeepSeek-V2 report 2.1, V3 report 2.1.1), with or without query compression.
///   [c_q | c_kv | k_r] = h W_a^T          one product; without compression [q | c_kv | k_r]
///   q = norm(c_q) W_qb^T,  [k | v] = norm(c_kv) W_kvb^T  per head
///   o = attention([q_n; rope(q_r)], [k; rope(k_r)], v),  x += o W_o^T
class Mla final : public AttentionModule {
 public:
  Mla(const ModelConfig& config, const std::string& prefix, float softmax_factor, Precision precision, bool train);

  void forward(Context& ctx, View x_TD, ConstView h_TD, const ForwardBatch& batch, Saved* saved,
               LayerCache* cache) const override;
  void backward(Context& ctx, View dh_TD, ConstView dx_TD, ConstView h_TD, const ForwardBatch& batch,
                const Saved& saved) override;
  void visit_params(const ParamVisitor& v) override;
  void refresh(Exec& ex) override;
  void pack(const PackPass& pass, PackAs as) override;

 private:
  struct Latent;
  Latent split(View a) const;
  void project(Context& ctx, const Latent& latent, View q, View kv, View q_normed, View kv_normed, View rstd_q,
               View rstd_kv, const ForwardBatch& batch) const;
  kernels::AttentionInputs inputs(ConstView q, ConstView kv, ConstView key_rope,
                                  std::span<const kernels::AttentionSegment> segments) const;
  void attend_absorbed(Context& ctx, View out, ConstView q, ConstView latent_SC, ConstView key_rope_SR,
                       std::span<const kernels::AttentionSegment> segments) const;
  void multiply_by_head(Context& ctx, View y, ConstView x, std::span<const index_t> offsets, bool values) const;
  void attend_expanded(Context& ctx, View out, ConstView q, const LayerCache& cache,
                       std::span<const kernels::AttentionSegment> segments) const;

  index_t heads_, nope_, rope_, value_, rank_, q_rank_;  // H, N, R, U, C, Q (0: none)
  DType compute_;
  float scale_;
  Linear down_, q_up_, kv_up_, o_proj_;
  // After pack(): the halves of kv_up, a matrix for each head, for the latent space.
  std::optional<kernels::PackedWeights> absorbed_key_, absorbed_value_;  // H x [C, N], H x [U, C]
  Norm q_norm_, kv_norm_;
};

}  // namespace hadal
