#include "nn/moe.h"

#include <algorithm>
#include <cstring>

#include "base/random.h"
#include "kernels/elementwise.h"

namespace hadal {
namespace {

Precision router_precision(Precision precision) {
  return {.compute = precision.wide()};
}

float score_at(ConstView v, index_t t, index_t a) {
  return v.dtype == DType::kF64 ? static_cast<float>(v.as<double>()(t, a)) : v.as<float>()(t, a);
}

/// Drops (index -1) the least certain choices of each group of experts beyond its capacity (V2 report 2.2.4).
void drop_over_capacity(Mat<int> index_TA, ConstView weight_TA, index_t num_experts,
                        std::span<const index_t> sequence_begins, const BalancePolicy& policy) {
  const index_t num_tokens = index_TA.rows, top_k = index_TA.cols, num_groups = policy.loss.num_groups;
  const auto capacity = static_cast<std::size_t>(policy.capacity_factor * static_cast<double>(num_tokens * top_k) /
                                                 static_cast<double>(num_groups));
  std::vector<std::vector<index_t>> choices(static_cast<std::size_t>(num_groups));  // t * A + a
  std::size_t sequence = 0;
  for (index_t t = 0; t < num_tokens; ++t) {
    while (sequence + 2 < sequence_begins.size() && t >= sequence_begins[sequence + 1]) ++sequence;
    if (random_uniform(0, Stream::kDropToken, sequence) < policy.keep_rate) continue;
    for (index_t a = 0; a < top_k; ++a)
      choices[static_cast<std::size_t>(index_TA(t, a) * num_groups / num_experts)].push_back(t * top_k + a);
  }
  for (std::vector<index_t>& group : choices) {
    if (group.size() <= capacity) continue;
    std::stable_sort(group.begin(), group.end(), [&](index_t p, index_t q) {
      return score_at(weight_TA, p / top_k, p % top_k) > score_at(weight_TA, q / top_k, q % top_k);
    });
    for (std::size_t i = capacity; i < group.size(); ++i) index_TA(group[i] / top_k, group[i] % top_k) = -1;
  }
}

}  // namespace

kernels::RouterPolicy router_policy(const ModelConfig& c) {
  kernels::RouterPolicy p;
  p.scoring_func = c.scoring_func == "sigmoid" ? kernels::ScoringFunc::kSigmoid : kernels::ScoringFunc::kSoftmax;
  p.topk_method = c.topk_method == "noaux_tc"               ? kernels::TopkMethod::kNoauxTc
                  : c.topk_method == "group_limited_greedy" ? kernels::TopkMethod::kGroupLimitedGreedy
                                                            : kernels::TopkMethod::kGreedy;
  p.n_group = c.n_group, p.topk_group = c.topk_group, p.num_experts_per_tok = c.num_experts_per_tok;
  p.norm_topk_prob = c.norm_topk_prob && c.num_experts_per_tok > 1;
  // As Hugging Face's modelling code: V3 always scales, V2 only when it does not normalise, the first DeepSeekMoE
  // never.
  const bool scales =
      c.model_type == ModelType::kDeepseekV3 || (c.model_type == ModelType::kDeepseekV2 && !p.norm_topk_prob);
  p.routed_scaling_factor = scales ? static_cast<float>(c.routed_scaling_factor) : 1.0F;
  return p;
}

Moe::Moe(const ModelConfig& c, const std::string& prefix, Precision precision, bool train)
    : prefix_(prefix),
      num_experts_(c.n_routed_experts),
      policy_(router_policy(c)),
      has_shared_(c.n_shared_experts > 0) {
  gate_ = Linear({{prefix + ".gate", num_experts_}}, c.hidden_size, router_precision(precision),
                 {.allow_fp8 = false, .train = train});
  if (policy_.topk_method == kernels::TopkMethod::kNoauxTc) bias_ = Tensor(DType::kF32, 1, num_experts_);
  std::vector<std::string> names;
  for (int e = 0; e < num_experts_; ++e) names.push_back(str_cat(prefix, ".experts.", e));
  experts_ = Mlp(names, c.hidden_size, c.moe_intermediate_size, precision, train);
  if (has_shared_)
    shared_ = Mlp({prefix + ".shared_experts"}, c.hidden_size, index_t{c.n_shared_experts} * c.moe_intermediate_size,
                  precision, train);
}

/// Scores and choice, in f32.
kernels::RouterChoice Moe::choose(Context& ctx, ConstView h_TD, Arena& arena) const {
  const index_t num_tokens = h_TD.rows, top_k = policy_.num_experts_per_tok;
  const DType wide = ctx.precision.wide();
  const View h_wide = ctx.temp_wide(num_tokens, h_TD.cols), logits = ctx.temp_wide(num_tokens, num_experts_);
  kernels::convert(ctx.exec, h_wide, h_TD);
  gate_.forward(ctx, logits, h_wide);
  const kernels::RouterChoice choice{arena.mat<int>(num_tokens, top_k), arena.view(wide, num_tokens, top_k),
                                     arena.view(wide, num_tokens, num_experts_)};
  kernels::router_forward(ctx.exec, choice, logits, bias_.empty() ? ConstView{} : bias_.view(), policy_);
  return choice;
}

void Moe::stream(ExpertCache& cache, int layer, LookAhead look_ahead) {
  streamed_ = std::make_unique<StreamedExperts>(cache, layer, experts_);
  look_ahead_ = std::move(look_ahead);
}

void Moe::guess(Context& ctx, ConstView h_TD) const {
  const ArenaScope scope(ctx.scratch);
  streamed_->guess(choose(ctx, h_TD, ctx.scratch).index_TA);
}

void Moe::forward(Context& ctx, View x_TD, ConstView h_TD, const ForwardBatch& batch, const BalancePolicy* balance,
                  Saved* saved, kernels::RouterChoice* routed) const {
  const ArenaScope scope(ctx.scratch);
  const index_t num_tokens = h_TD.rows, top_k = policy_.num_experts_per_tok, hidden = h_TD.cols;
  Arena& arena = saved != nullptr || routed != nullptr ? ctx.saved : ctx.scratch;

  const kernels::RouterChoice choice = choose(ctx, h_TD, arena);
  if (routed != nullptr) *routed = choice;
  if (saved != nullptr && balance != nullptr) {
    const kernels::BalanceLossConfig& loss = balance->loss;
    if (loss.expert_alpha + loss.device_alpha + loss.communication_alpha + loss.sequence_alpha > 0) {
      saved->dscores_TE = ctx.saved.zeros(ctx.precision.wide(), num_tokens, num_experts_);
      saved->balance_loss = kernels::balance_loss(ctx.exec, saved->dscores_TE, choice.scores_TE, choice.index_TA,
                                                  batch.sequence_begins, loss, balance->loss_scale);
    }
  }
  // What is dropped goes to no expert; the router's choice, which its backward pass reads, stays as it was.
  Mat<int> kept_TA = choice.index_TA;
  if (saved != nullptr && balance != nullptr && balance->capacity_factor > 0) {
    kept_TA = ctx.scratch.mat<int>(num_tokens, top_k);
    std::copy_n(choice.index_TA.data, num_tokens * top_k, kept_TA.data);
    drop_over_capacity(kept_TA, choice.weight_TA, num_experts_, batch.sequence_begins, *balance);
  }

  // Tokens to experts and back.
  const kernels::DispatchPlan plan{arena.span<index_t>(num_experts_ + 1), arena.span<int>(num_tokens * top_k),
                                   arena.mat<int>(num_tokens, top_k)};
  kernels::dispatch_plan(ctx.exec, plan, kept_TA, num_experts_);
  const index_t num_slots = plan.offsets.back();
  const View gathered = ctx.temp(num_slots, hidden);
  kernels::dispatch_gather(ctx.exec, gathered, h_TD, plan);
  const View expert_out = saved != nullptr ? ctx.keep(num_slots, hidden) : ctx.temp(num_slots, hidden);
  if (streamed_) {
    HADAL_CHECK(saved == nullptr, prefix_, ": streamed experts are for inference");
    streamed_->forward(ctx, expert_out, gathered, plan.offsets, [&] {
      if (look_ahead_) look_ahead_(ctx, x_TD);
    });
  } else {
    experts_.forward(ctx, expert_out, gathered, Write::kAssign, saved != nullptr ? &saved->experts : nullptr,
                     plan.offsets);
  }
  kernels::combine(ctx.exec, x_TD, expert_out, choice.weight_TA, plan);
  if (has_shared_) shared_.forward(ctx, x_TD, h_TD, Write::kAdd, saved != nullptr ? &saved->shared : nullptr);

  if (saved != nullptr) saved->choice = choice, saved->plan = plan, saved->expert_out_SD = expert_out;
}

void Moe::backward(Context& ctx, View dh_TD, ConstView dx_TD, ConstView h_TD, const Saved& saved) {
  const index_t num_tokens = h_TD.rows, top_k = policy_.num_experts_per_tok, hidden = h_TD.cols;
  const index_t num_slots = saved.plan.offsets.back();

  // The shared experts write dh_TD, the routed ones and the router add to it.
  if (has_shared_)
    shared_.backward(ctx, dh_TD, dx_TD, h_TD, Write::kAssign, saved.shared);
  else
    std::memset(dh_TD.data, 0, static_cast<std::size_t>(bytes_of(dh_TD.dtype, dh_TD.count())));

  const View dexpert_out = ctx.temp(num_slots, hidden), dgathered = ctx.temp(num_slots, hidden),
             gathered = ctx.temp(num_slots, hidden);
  const View dweight = ctx.temp_wide(num_tokens, top_k);
  kernels::combine_backward(ctx.exec, dexpert_out, dweight, dx_TD, saved.expert_out_SD, saved.choice.weight_TA,
                            saved.plan);
  kernels::dispatch_gather(ctx.exec, gathered, h_TD, saved.plan);
  experts_.backward(ctx, dgathered, dexpert_out, gathered, Write::kAssign, saved.experts, saved.plan.offsets);
  kernels::dispatch_gather_backward(ctx.exec, dh_TD, dgathered, saved.plan);

  const View dlogits = ctx.temp_wide(num_tokens, num_experts_);
  kernels::router_backward(ctx.exec, dlogits, dweight, saved.dscores_TE, saved.choice, policy_);
  const View h_wide = ctx.temp_wide(num_tokens, hidden), dh_wide = ctx.temp_wide(num_tokens, hidden);
  kernels::convert(ctx.exec, h_wide, h_TD);
  gate_.backward_input(ctx, dh_wide, dlogits, Write::kAssign);
  gate_.backward_weight(ctx, dlogits, h_wide);
  kernels::convert(ctx.exec, dh_TD, dh_wide, Write::kAdd);
}

void Moe::visit_params(const ParamVisitor& v) {
  gate_.visit_params(v);
  if (!bias_.empty())
    v(Param{.name = prefix_ + ".gate.e_score_correction_bias",
            .is_vector = true,
            .value = bias_.view(),
            .grad = {},
            .trainable = false});
  experts_.visit_params(v);
  if (has_shared_) shared_.visit_params(v);
}

void Moe::pack(const PackPass& pass, const PackRecipe& recipe) {
  gate_.pack(pass);
  experts_.pack(pass, recipe.experts);
  if (has_shared_) shared_.pack(pass, recipe.dense);
}

void Moe::refresh(Exec& ex) {
  gate_.refresh(ex);
  experts_.refresh(ex);
  if (has_shared_) shared_.refresh(ex);
}

}  // namespace hadal
