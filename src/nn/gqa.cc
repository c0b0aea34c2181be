#include "nn/gqa.h"

#include <cmath>

#include "kernels/coded_rows.h"
#include "kernels/elementwise.h"
#include "kernels/rope.h"

namespace hadal {

using kernels::RopeDirection;

namespace {

/// The columns of head h.
template <class AnyView>
AnyView head(AnyView v, index_t h, index_t dim) {
  return v.slice_cols(h * dim, dim);
}

}  // namespace

Gqa::Gqa(const ModelConfig& c, const std::string& prefix, kernels::RopeStyle style, Precision precision, bool train)
    : heads_(c.num_attention_heads),
      kv_heads_(c.num_key_value_heads),
      dim_(c.head_dim),
      qk_norm_(c.model_type == ModelType::kQwen3),
      style_(style) {
  qkv_ = Linear({{prefix + ".q_proj", heads_ * dim_},
                 {prefix + ".k_proj", kv_heads_ * dim_},
                 {prefix + ".v_proj", kv_heads_ * dim_}},
                c.hidden_size, precision, {.bias = c.attention_bias, .train = train});
  o_proj_ = Linear({{prefix + ".o_proj", c.hidden_size}}, heads_ * dim_, precision,
                   {.bias = c.o_proj_bias, .power_of_two = true, .train = train});
  if (qk_norm_) {
    q_norm_ = Norm(prefix + ".q_norm", dim_, static_cast<float>(c.rms_norm_eps), precision, train);
    k_norm_ = Norm(prefix + ".k_norm", dim_, static_cast<float>(c.rms_norm_eps), precision, train);
  }
}

void Gqa::forward(Context& ctx, View x_TD, ConstView h_TD, const ForwardBatch& batch, Saved* saved,
                  LayerCache* cache) const {
  const ArenaScope scope(ctx.scratch);
  const index_t num_tokens = h_TD.rows, qk_heads = heads_ + kv_heads_;
  const auto buffer = [&](bool keep, index_t cols) {
    return keep ? ctx.keep(num_tokens, cols) : ctx.temp(num_tokens, cols);
  };

  const View qkv = buffer(saved != nullptr, qkv_.out());
  qkv_.forward(ctx, qkv, h_TD);
  const View v = qkv.slice_cols(qk_heads * dim_, kv_heads_ * dim_);
  // With a norm, backward needs q and k from before it, so normed q and k get their own buffer.
  View qk = qkv.slice_cols(0, qk_heads * dim_), rstd;
  if (qk_norm_) {
    const View normed = buffer(saved != nullptr, qk_heads * dim_);
    rstd = saved != nullptr ? ctx.keep_wide(qk_heads, num_tokens) : View{};
    for (index_t h = 0; h < qk_heads; ++h)
      (h < heads_ ? q_norm_ : k_norm_)
          .forward(ctx, head(normed, h, dim_), rstd.empty() ? View{} : rstd.slice_rows(h, 1), head(qk, h, dim_));
    qk = normed;
  }
  kernels::rope(ctx.exec, heads_of(qk, qk_heads), batch.positions, batch.rope_table, style_, RopeDirection::kForward);

  const ConstView q = qk.slice_cols(0, heads_ * dim_);
  ConstView all_k = qk.slice_cols(heads_ * dim_, kv_heads_ * dim_), all_v = v;
  if (cache != nullptr) {
    kernels::store_rows(ctx.exec, cache->k, batch.cache_rows, all_k);
    kernels::store_rows(ctx.exec, cache->v, batch.cache_rows, all_v);
    all_k = cache->k, all_v = cache->v;
  }

  const View out = buffer(saved != nullptr && !ctx.precision.fp8, heads_ * dim_);
  const View lse = saved != nullptr ? ctx.keep_wide(heads_, num_tokens) : View{};
  kernels::attention_forward(ctx.exec, heads_of(out, heads_), lse,
                             {.q = heads_of(q, heads_),
                              .k = heads_of(all_k, kv_heads_),
                              .k_shared = {},
                              .v = heads_of(all_v, kv_heads_),
                              .segments = batch.segments,
                              .scale = 1 / std::sqrt(static_cast<float>(dim_))});
  o_proj_.forward(ctx, x_TD, out, Write::kAdd);

  if (saved == nullptr) return;
  saved->latent = qkv, saved->q = qk, saved->rstd_q = rstd, saved->lse_HT = lse;
  saved->out.save(ctx, out, ctx.precision.fp8 ? SavedActivation::Form::kE5M6 : SavedActivation::Form::kAsIs);
}

void Gqa::backward(Context& ctx, View dh_TD, ConstView dx_TD, ConstView h_TD, const ForwardBatch& batch,
                   const Saved& saved) {
  const index_t num_tokens = h_TD.rows, qk_heads = heads_ + kv_heads_;

  const ConstView out = saved.out.restore(ctx);
  const View dout = ctx.temp(num_tokens, heads_ * dim_);
  o_proj_.backward_input(ctx, dout, dx_TD, Write::kAssign);
  o_proj_.backward_weight(ctx, dx_TD, out);

  const View dqkv = ctx.temp(num_tokens, qkv_.out());
  const View dqk = qk_norm_ ? ctx.temp(num_tokens, qk_heads * dim_) : dqkv.slice_cols(0, qk_heads * dim_);
  const View dv = dqkv.slice_cols(qk_heads * dim_, kv_heads_ * dim_);
  kernels::attention_backward(ctx.exec,
                              {.dq = heads_of(dqk.slice_cols(0, heads_ * dim_), heads_),
                               .dk = heads_of(dqk.slice_cols(heads_ * dim_, kv_heads_ * dim_), kv_heads_),
                               .dk_shared = {},
                               .dv = heads_of(dv, kv_heads_)},
                              heads_of(ConstView(dout), heads_), heads_of(out, heads_), saved.lse_HT,
                              {.q = heads_of(ConstView(saved.q.slice_cols(0, heads_ * dim_)), heads_),
                               .k = heads_of(ConstView(saved.q.slice_cols(heads_ * dim_, kv_heads_ * dim_)), kv_heads_),
                               .k_shared = {},
                               .v = heads_of(saved.latent.slice_cols(qk_heads * dim_, kv_heads_ * dim_), kv_heads_),
                               .segments = batch.segments,
                               .scale = 1 / std::sqrt(static_cast<float>(dim_))});
  kernels::rope(ctx.exec, heads_of(dqk, qk_heads), batch.positions, batch.rope_table, style_, RopeDirection::kBackward);
  if (qk_norm_)
    for (index_t h = 0; h < qk_heads; ++h)
      (h < heads_ ? q_norm_ : k_norm_)
          .backward(ctx, head(dqkv, h, dim_), head(dqk, h, dim_), head(saved.latent, h, dim_),
                    saved.rstd_q.slice_rows(h, 1), Write::kAssign);

  qkv_.backward_input(ctx, dh_TD, dqkv, Write::kAssign);
  qkv_.backward_weight(ctx, dqkv, h_TD);
}

void Gqa::visit_params(const ParamVisitor& v) {
  qkv_.visit_params(v);
  if (qk_norm_) {
    q_norm_.visit_params(v);
    k_norm_.visit_params(v);
  }
  o_proj_.visit_params(v);
}

void Gqa::pack(const PackPass& pass, PackAs as) {
  qkv_.pack(pass, as);
  o_proj_.pack(pass, as);
}

void Gqa::refresh(Exec& ex) {
  qkv_.refresh(ex);
  o_proj_.refresh(ex);
}

}  // namespace hadal
