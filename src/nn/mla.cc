#include "nn/mla.h"

#include <cmath>
#include <cstring>

#include "kernels/coded_rows.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/rope.h"
#include "tensor/copy.h"

namespace hadal {
namespace {

void transpose(View to, ConstView from) {
  const auto bytes = static_cast<std::size_t>(bytes_of(to.dtype, 1));
  for (index_t r = 0; r < from.rows; ++r)
    for (index_t c = 0; c < from.cols; ++c)
      std::memcpy(to.slice_rows(c, 1).slice_cols(r, 1).data, from.slice_rows(r, 1).slice_cols(c, 1).data, bytes);
}

}  // namespace

using kernels::RopeDirection;
using kernels::RopeStyle;

/// The columns of the down-projection's output.
struct Mla::Latent {
  View q, kv, key_rope;  // [T, Q] (or the queries themselves), [T, C], [T, R]
};

Mla::Mla(const ModelConfig& c, const std::string& prefix, float softmax_factor, Precision precision, bool train)
    : heads_(c.num_attention_heads),
      nope_(c.qk_nope_head_dim),
      rope_(c.qk_rope_head_dim),
      value_(c.v_head_dim),
      rank_(c.kv_lora_rank),
      q_rank_(c.q_lora_rank),
      compute_(precision.compute),
      scale_(softmax_factor / std::sqrt(static_cast<float>(c.qk_head_dim()))) {
  const Linear::Options options{.train = train};
  const index_t q_width = heads_ * (nope_ + rope_);
  const auto eps = static_cast<float>(c.rms_norm_eps);
  const LinearPart q_part =
      q_rank_ > 0 ? LinearPart{prefix + ".q_a_proj", q_rank_} : LinearPart{prefix + ".q_proj", q_width};
  down_ = Linear({q_part, {prefix + ".kv_a_proj_with_mqa", rank_ + rope_}}, c.hidden_size, precision, options);
  if (q_rank_ > 0) {
    q_norm_ = Norm(prefix + ".q_a_layernorm", q_rank_, eps, precision, train);
    q_up_ = Linear({{prefix + ".q_b_proj", q_width}}, q_rank_, precision, options);
  }
  kv_norm_ = Norm(prefix + ".kv_a_layernorm", rank_, eps, precision, train);
  kv_up_ = Linear({{prefix + ".kv_b_proj", heads_ * (nope_ + value_)}}, rank_, precision,
                  {.allow_fp8_inputs = false, .train = train});
  Linear::Options o_options = options;
  o_options.power_of_two = true;  // V3 report 3.3.3: inputs of the linear after attention
  o_proj_ = Linear({{prefix + ".o_proj", c.hidden_size}}, heads_ * value_, precision, o_options);
}

Mla::Latent Mla::split(View a) const {
  const index_t q_width = q_rank_ > 0 ? q_rank_ : heads_ * (nope_ + rope_);
  return {a.slice_cols(0, q_width), a.slice_cols(q_width, rank_), a.slice_cols(q_width + rank_, rope_)};
}

/// Norms, up-projections and the rotation of q. The rotated key is left to the caller: it is done once, in place.
void Mla::project(Context& ctx, const Latent& latent, View q, View kv, View q_normed, View kv_normed, View rstd_q,
                  View rstd_kv, const ForwardBatch& batch) const {
  if (q_rank_ > 0) {
    q_norm_.forward(ctx, q_normed, rstd_q, latent.q);
    q_up_.forward(ctx, q, q_normed);
  } else {
    kernels::convert(ctx.exec, q, latent.q);
  }
  kernels::rope(ctx.exec, heads_of(q, heads_).slice_dim(nope_, rope_), batch.positions, batch.rope_table,
                RopeStyle::kInterleaved, RopeDirection::kForward);
  kv_norm_.forward(ctx, kv_normed, rstd_kv, latent.kv);
  if (!kv.empty()) kv_up_.forward(ctx, kv, kv_normed);
}

kernels::AttentionInputs Mla::inputs(ConstView q, ConstView kv, ConstView key_rope,
                                     std::span<const kernels::AttentionSegment> segments) const {
  const ConstHeads k_and_v = heads_of(kv, heads_);
  return {.q = heads_of(q, heads_),
          .k = k_and_v.slice_dim(0, nope_),
          .k_shared = heads_of(key_rope, 1),
          .v = k_and_v.slice_dim(nope_, value_),
          .segments = segments,
          .scale = scale_};
}

/// Attention in the latent space (V2 report, appendix C): q~ = W_uk^T q_n, z = softmax(q~ c + q_r k_r) c, o = W_uv z.
void Mla::attend_absorbed(Context& ctx, View out, ConstView q, ConstView latent_SC, ConstView key_rope_SR,
                          std::span<const kernels::AttentionSegment> segments) const {
  const ArenaScope scope(ctx.scratch);
  const index_t rows = q.rows;
  // Rows of a head one after the other, as products with a matrix for each head want them.
  const View q_nope = ctx.temp(heads_ * rows, nope_), q_latent = ctx.temp(rows, heads_ * (rank_ + rope_)),
             by_head = ctx.temp(heads_ * rows, rank_), z = ctx.temp(rows, heads_ * rank_),
             values = ctx.temp(heads_ * rows, value_);
  std::vector<index_t> offsets;
  for (index_t h = 0; h <= heads_; ++h) offsets.push_back(h * rows);
  const auto rows_of = [&](View v, index_t h) { return v.slice_rows(h * rows, rows); };
  const auto for_heads = [&](auto&& copy) {
    if (rows == 1)  // not worth waking anybody
      for (index_t h = 0; h < heads_; ++h) copy(h);
    else
      ctx.exec.pool.parallel_for(heads_, [&](index_t h, int) { copy(h); });
  };
  for_heads([&](index_t h) { copy_rows(rows_of(q_nope, h), q.slice_cols(h * (nope_ + rope_), nope_)); });
  multiply_by_head(ctx, by_head, q_nope, offsets, /*values=*/false);
  for_heads([&](index_t h) {
    const View to = q_latent.slice_cols(h * (rank_ + rope_), rank_ + rope_);
    copy_rows(to.slice_cols(0, rank_), rows_of(by_head, h));
    copy_rows(to.slice_cols(rank_, rope_), q.slice_cols(h * (nope_ + rope_) + nope_, rope_));
  });
  const ConstHeads latent = heads_of(latent_SC, 1);
  kernels::attention_forward(ctx.exec, heads_of(z, heads_), {},
                             {.q = heads_of(ConstView(q_latent), heads_),
                              .k = latent,
                              .k_shared = heads_of(key_rope_SR, 1),
                              .v = latent,
                              .segments = segments,
                              .scale = scale_});
  for_heads([&](index_t h) { copy_rows(rows_of(by_head, h), z.slice_cols(h * rank_, rank_)); });
  multiply_by_head(ctx, values, by_head, offsets, /*values=*/true);
  for_heads([&](index_t h) { copy_rows(out.slice_cols(h * value_, value_), rows_of(values, h)); });
}

/// y = x W_uk of each head, or x W_uv^T.
void Mla::multiply_by_head(Context& ctx, View y, ConstView x, std::span<const index_t> offsets, bool values) const {
  if (absorbed_key_) {
    kernels::packed_gemm_nt(ctx.exec, y, x, values ? *absorbed_value_ : *absorbed_key_, offsets);
    return;
  }
  for (index_t h = 0; h < heads_; ++h) {  // per head: N rows of W_uk, then U rows of W_uv; C columns
    const ConstView w = kv_up_.weight().slice_rows(h * (nope_ + value_), nope_ + value_);
    const auto begin = offsets[static_cast<std::size_t>(h)], rows = offsets[static_cast<std::size_t>(h) + 1] - begin;
    if (values)
      kernels::gemm_nt(ctx.exec, y.slice_rows(begin, rows), x.slice_rows(begin, rows), w.slice_rows(nope_, value_));
    else
      kernels::gemm_nn(ctx.exec, y.slice_rows(begin, rows), x.slice_rows(begin, rows), w.slice_rows(0, nope_));
  }
}

void Mla::pack(const PackPass& pass, PackAs as) {
  if (pass.fill) kv_up_.visit_params(pass.fill);  // for three forms
  const bool held_fp8 = kv_up_.weight().dtype == DType::kE4M3;
  // Rows of the part of head h.
  const auto of_head = [&](index_t h, index_t first, index_t count, Tensor& buffer) -> ConstView {
    first += h * (nope_ + value_);
    if (!held_fp8) return kv_up_.weight().slice_rows(first, count);
    if (buffer.empty()) buffer = Tensor(compute_, count, rank_);
    kv_up_.wide_rows(pass.ex, buffer.view(), first);
    return buffer.view();
  };
  // Of integers only the finer ones, and no second rounding to E4M3: these matrices are small.
  const DType halves = as == DType::kI8 || as == DType::kI4 ? DType::kI8 : compute_;
  pass.pack(absorbed_key_, kv_up_.name() + ".key", {halves, heads_, rank_, nope_},
            [&](index_t h, PackPass::Buffers& buffers, std::byte* to) {
              if (buffers.values.empty()) buffers.values = Tensor(compute_, rank_, nope_);
              transpose(buffers.values.view(), of_head(h, 0, nope_, buffers.wide));
              kernels::pack_matrix(pass.ex, to, buffers.values.view(), halves);
            });
  pass.pack(absorbed_value_, kv_up_.name() + ".value", {halves, heads_, value_, rank_},
            [&](index_t h, PackPass::Buffers& buffers, std::byte* to) {
              kernels::pack_matrix(pass.ex, to, of_head(h, nope_, value_, buffers.wide), halves);
            });
  kv_up_.pack({.ex = pass.ex, .places = pass.places, .memory = pass.memory}, as);
  for (Linear* linear : {&down_, &q_up_, &o_proj_})
    if (linear->out() > 0) linear->pack(pass, as);
}

/// Attention over projected keys and values of segments whose past is in the cache: every latent is projected up again.
void Mla::attend_expanded(Context& ctx, View out, ConstView q, const LayerCache& cache,
                          std::span<const kernels::AttentionSegment> segments) const {
  const ArenaScope scope(ctx.scratch);
  index_t num_keys = 0;
  std::vector<kernels::AttentionSegment> gathered;
  for (const kernels::AttentionSegment& s : segments) {
    gathered.push_back({s.q_begin, s.q_len, num_keys, s.k_len});
    num_keys += s.k_len;
  }
  const View latent = ctx.temp(num_keys, rank_), key_rope = ctx.temp(num_keys, rope_),
             kv = ctx.temp(num_keys, heads_ * (nope_ + value_));
  for (std::size_t i = 0; i < segments.size(); ++i) {
    gather_keys(ctx.exec, latent.slice_rows(gathered[i].k_begin, gathered[i].k_len), cache.k, segments[i]);
    gather_keys(ctx.exec, key_rope.slice_rows(gathered[i].k_begin, gathered[i].k_len), cache.v, segments[i]);
  }
  kv_up_.forward(ctx, kv, latent);
  kernels::attention_forward(ctx.exec, heads_of(out, heads_), {}, inputs(q, kv, key_rope, gathered));
}

void Mla::forward(Context& ctx, View x_TD, ConstView h_TD, const ForwardBatch& batch, Saved* saved,
                  LayerCache* cache) const {
  const ArenaScope scope(ctx.scratch);
  const index_t num_tokens = h_TD.rows, q_width = heads_ * (nope_ + rope_), kv_width = heads_ * (nope_ + value_);
  const auto buffer = [&](bool keep, index_t rows, index_t cols) {
    return keep ? ctx.keep(rows, cols) : ctx.temp(rows, cols);
  };
  const bool keep_up = saved != nullptr && !ctx.recompute.mla_up;

  const View a = buffer(saved != nullptr, num_tokens, down_.out());
  down_.forward(ctx, a, h_TD);
  const Latent latent = split(a);
  kernels::rope(ctx.exec, heads_of(latent.key_rope, 1), batch.positions, batch.rope_table, RopeStyle::kInterleaved,
                RopeDirection::kForward);

  const bool per_head = cache != nullptr && cache->per_head;
  const bool expand_here = per_head || (cache == nullptr && batch.num_absorbed == 0);
  const View q = buffer(keep_up, num_tokens, q_width);
  const View kv = expand_here ? buffer(keep_up, num_tokens, kv_width) : View{};
  const View q_normed = q_rank_ > 0 ? ctx.temp(num_tokens, q_rank_) : View{};
  const View kv_normed = ctx.temp(num_tokens, rank_);
  const View rstd_q = saved != nullptr && q_rank_ > 0 ? ctx.keep_wide(1, num_tokens) : View{};
  const View rstd_kv = saved != nullptr ? ctx.keep_wide(1, num_tokens) : View{};
  project(ctx, latent, q, kv, q_normed, kv_normed, rstd_q, rstd_kv, batch);
  if (cache != nullptr) {
    kernels::store_rows(ctx.exec, cache->k, batch.cache_rows, per_head ? kv : kv_normed);
    kernels::store_rows(ctx.exec, cache->v, batch.cache_rows, latent.key_rope);
  }

  const View out = buffer(saved != nullptr && !ctx.precision.fp8, num_tokens, heads_ * value_);
  const View lse = saved != nullptr ? ctx.keep_wide(heads_, num_tokens) : View{};
  if (expand_here) {
    kernels::attention_forward(
        ctx.exec, heads_of(out, heads_), lse,
        inputs(q, per_head ? cache->k : kv, per_head ? cache->v : latent.key_rope, batch.segments));
  } else {
    const auto absorbed = batch.segments.first(static_cast<std::size_t>(batch.num_absorbed));
    const auto expanded = batch.segments.subspan(static_cast<std::size_t>(batch.num_absorbed));
    const index_t rows = absorbed.empty() ? 0 : absorbed.back().q_begin + absorbed.back().q_len;
    if (rows > 0)
      attend_absorbed(ctx, out.slice_rows(0, rows), q.slice_rows(0, rows), cache != nullptr ? cache->k : kv_normed,
                      cache != nullptr ? cache->v : latent.key_rope, absorbed);
    if (!expanded.empty()) attend_expanded(ctx, out, q, *cache, expanded);
  }
  o_proj_.forward(ctx, x_TD, out, Write::kAdd);

  if (saved == nullptr) return;
  saved->latent = a;
  saved->rstd_q = rstd_q, saved->rstd_k = rstd_kv, saved->lse_HT = lse;
  if (keep_up) saved->q = q, saved->kv = kv;
  saved->out.save(ctx, out, ctx.precision.fp8 ? SavedActivation::Form::kE5M6 : SavedActivation::Form::kAsIs);
}

void Mla::backward(Context& ctx, View dh_TD, ConstView dx_TD, ConstView h_TD, const ForwardBatch& batch,
                   const Saved& saved) {
  const index_t num_tokens = h_TD.rows, q_width = heads_ * (nope_ + rope_), kv_width = heads_ * (nope_ + value_);
  // The saved latents are const; backward only reads them.
  const Latent latent = split({const_cast<std::byte*>(saved.latent.data), saved.latent.dtype, saved.latent.rows,
                               saved.latent.cols, saved.latent.stride});
  const View q_normed = q_rank_ > 0 ? ctx.temp(num_tokens, q_rank_) : View{};
  const View kv_normed = ctx.temp(num_tokens, rank_);
  View q = saved.q, kv = saved.kv;
  if (q.empty()) {
    q = ctx.temp(num_tokens, q_width), kv = ctx.temp(num_tokens, kv_width);
    project(ctx, latent, q, kv, q_normed, kv_normed, {}, {}, batch);
  } else {
    if (q_rank_ > 0) q_norm_.forward(ctx, q_normed, {}, latent.q);
    kv_norm_.forward(ctx, kv_normed, {}, latent.kv);
  }

  // o_proj
  const ConstView out = saved.out.restore(ctx);
  const View dout = ctx.temp(num_tokens, heads_ * value_);
  o_proj_.backward_input(ctx, dout, dx_TD, Write::kAssign);
  o_proj_.backward_weight(ctx, dx_TD, out);

  // attention; the gradient of the rotated key lands in its columns of da
  const View da = ctx.temp(num_tokens, down_.out()), dq = ctx.temp(num_tokens, q_width),
             dkv = ctx.temp(num_tokens, kv_width);
  const Latent dlatent = split(da);
  const Heads dk_and_v = heads_of(dkv, heads_);
  kernels::attention_backward(ctx.exec,
                              {.dq = heads_of(dq, heads_),
                               .dk = dk_and_v.slice_dim(0, nope_),
                               .dk_shared = heads_of(dlatent.key_rope, 1),
                               .dv = dk_and_v.slice_dim(nope_, value_)},
                              heads_of(ConstView(dout), heads_), heads_of(out, heads_), saved.lse_HT,
                              inputs(q, kv, latent.key_rope, batch.segments));
  kernels::rope(ctx.exec, heads_of(dq, heads_).slice_dim(nope_, rope_), batch.positions, batch.rope_table,
                RopeStyle::kInterleaved, RopeDirection::kBackward);
  kernels::rope(ctx.exec, heads_of(dlatent.key_rope, 1), batch.positions, batch.rope_table, RopeStyle::kInterleaved,
                RopeDirection::kBackward);

  // up-projections and norms
  const View dkv_normed = ctx.temp(num_tokens, rank_);
  kv_up_.backward_input(ctx, dkv_normed, dkv, Write::kAssign);
  kv_up_.backward_weight(ctx, dkv, kv_normed);
  kv_norm_.backward(ctx, dlatent.kv, dkv_normed, latent.kv, saved.rstd_k, Write::kAssign);
  if (q_rank_ > 0) {
    const View dq_normed = ctx.temp(num_tokens, q_rank_);
    q_up_.backward_input(ctx, dq_normed, dq, Write::kAssign);
    q_up_.backward_weight(ctx, dq, q_normed);
    q_norm_.backward(ctx, dlatent.q, dq_normed, latent.q, saved.rstd_q, Write::kAssign);
  } else {
    kernels::convert(ctx.exec, dlatent.q, dq);
  }

  // down-projection
  down_.backward_input(ctx, dh_TD, da, Write::kAssign);
  down_.backward_weight(ctx, da, h_TD);
}

void Mla::visit_params(const ParamVisitor& v) {
  down_.visit_params(v);
  if (q_rank_ > 0) {
    q_norm_.visit_params(v);
    q_up_.visit_params(v);
  }
  kv_norm_.visit_params(v);
  kv_up_.visit_params(v);
  o_proj_.visit_params(v);
}

void Mla::refresh(Exec& ex) {
  for (Linear* linear : {&down_, &q_up_, &kv_up_, &o_proj_}) linear->refresh(ex);
}

}  // namespace hadal
