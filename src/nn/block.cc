#include "nn/block.h"

#include "kernels/elementwise.h"
#include "nn/gqa.h"
#include "nn/mla.h"

namespace hadal {
namespace {

/// The output of a norm in backward: kept, or computed again into ctx.scratch.
ConstView normed(Context& ctx, const Norm& norm, ConstView kept, ConstView x_TD) {
  if (!kept.empty()) return kept;
  const View h = ctx.temp(x_TD.rows, x_TD.cols);
  norm.forward(ctx, h, {}, x_TD);
  return h;
}

}  // namespace

Block::Block(const ModelConfig& c, int layer, float softmax_factor, kernels::RopeStyle style, Precision precision,
             bool train) {
  const std::string prefix = str_cat("model.layers.", layer);
  const auto eps = static_cast<float>(c.rms_norm_eps);
  input_norm_ = Norm(prefix + ".input_layernorm", c.hidden_size, eps, precision, train);
  ffn_norm_ = Norm(prefix + ".post_attention_layernorm", c.hidden_size, eps, precision, train);
  if (c.uses_mla())
    attention_ = std::make_unique<Mla>(c, prefix + ".self_attn", softmax_factor, precision, train);
  else
    attention_ = std::make_unique<Gqa>(c, prefix + ".self_attn", style, precision, train);
  if (c.is_moe_layer(layer))
    moe_.emplace(c, prefix + ".mlp", precision, train);
  else
    mlp_.emplace(std::vector<std::string>{prefix + ".mlp"}, c.hidden_size, c.intermediate_size, precision, train);
}

View Block::forward(Context& ctx, View x_TD, const ForwardBatch& batch, const BalancePolicy* balance, Saved* saved,
                    LayerCache* cache, kernels::RouterChoice* routed) const {
  const ArenaScope scope(ctx.scratch);
  const index_t rows = x_TD.rows, cols = x_TD.cols;
  const bool keep_norms = saved != nullptr && !ctx.recompute.rmsnorm;
  const auto next_residual = [&](View x) {
    if (saved == nullptr) return x;
    const View copy = ctx.keep(rows, cols);
    kernels::convert(ctx.exec, copy, x);
    return copy;
  };
  const auto normed_input = [&] { return keep_norms ? ctx.keep(rows, cols) : ctx.temp(rows, cols); };
  const auto rstd = [&] { return saved != nullptr ? ctx.keep_wide(1, rows) : View{}; };

  const View h = normed_input(), rstd_attention = rstd();
  input_norm_.forward(ctx, h, rstd_attention, x_TD);
  const View x_mid = next_residual(x_TD);
  attention_->forward(ctx, x_mid, h, batch, saved != nullptr ? &saved->attention : nullptr, cache);

  const View h_ffn = normed_input(), rstd_ffn = rstd();
  ffn_norm_.forward(ctx, h_ffn, rstd_ffn, x_mid);
  const View x_out = next_residual(x_mid);
  if (moe_)
    moe_->forward(ctx, x_out, h_ffn, batch, balance, saved != nullptr ? &saved->moe : nullptr, routed);
  else
    mlp_->forward(ctx, x_out, h_ffn, Write::kAdd, saved != nullptr ? &saved->mlp : nullptr);

  if (saved != nullptr) {
    saved->x_in_TD = x_TD, saved->x_mid_TD = x_mid;
    saved->rstd_attention = rstd_attention, saved->rstd_ffn = rstd_ffn;
    if (keep_norms) saved->h_attention = h, saved->h_ffn = h_ffn;
  }
  return x_out;
}

void Block::backward(Context& ctx, View dx_TD, const ForwardBatch& batch, const Saved& saved) {
  // With deferred weight gradients the temporaries live until the caller has run them.
  const ArenaScope scope(ctx.scratch, ctx.deferred == nullptr);
  const View dh = ctx.temp(dx_TD.rows, dx_TD.cols);
  // dx_TD changes below, but a deferred weight gradient still needs what it holds now.
  const auto dy = [&]() -> ConstView {
    if (ctx.deferred == nullptr) return dx_TD;
    const View copy = ctx.temp(dx_TD.rows, dx_TD.cols);
    kernels::convert(ctx.exec, copy, dx_TD);
    return copy;
  };
  {
    const ArenaScope part(ctx.scratch, ctx.deferred == nullptr);
    const ConstView h = normed(ctx, ffn_norm_, saved.h_ffn, saved.x_mid_TD);
    if (moe_)
      moe_->backward(ctx, dh, dy(), h, saved.moe);
    else
      mlp_->backward(ctx, dh, dy(), h, Write::kAssign, saved.mlp);
  }
  ffn_norm_.backward(ctx, dx_TD, dh, saved.x_mid_TD, saved.rstd_ffn, Write::kAdd);

  const ConstView h = normed(ctx, input_norm_, saved.h_attention, saved.x_in_TD);
  attention_->backward(ctx, dh, dy(), h, batch, saved.attention);
  input_norm_.backward(ctx, dx_TD, dh, saved.x_in_TD, saved.rstd_attention, Write::kAdd);
}

void Block::visit_params(const ParamVisitor& v) {
  input_norm_.visit_params(v);
  attention_->visit_params(v);
  ffn_norm_.visit_params(v);
  if (moe_)
    moe_->visit_params(v);
  else
    mlp_->visit_params(v);
}

void Block::pack(const PackPass& pass, const PackRecipe& recipe) {
  attention_->pack(pass, recipe.attention);
  if (moe_)
    moe_->pack(pass, recipe);
  else
    mlp_->pack(pass, recipe.dense);
}

void Block::stream_experts(ExpertCache& cache, int layer, const Block* next) {
  Moe::LookAhead look_ahead;
  if (next != nullptr && next->moe_)
    // The present residual stream is close to the one that the next router will see.
    look_ahead = [next](Context& ctx, ConstView x_TD) {
      const ArenaScope scope(ctx.scratch);
      const View h = ctx.temp(x_TD.rows, x_TD.cols);
      next->ffn_norm_.forward(ctx, h, {}, x_TD);
      next->moe_->guess(ctx, h);
    };
  moe_->stream(cache, layer, std::move(look_ahead));
}

void Block::refresh(Exec& ex) {
  attention_->refresh(ex);
  if (moe_)
    moe_->refresh(ex);
  else
    mlp_->refresh(ex);
}

}  // namespace hadal
