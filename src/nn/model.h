#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "data/batch.h"
#include "nn/block.h"
#include "nn/cache.h"
#include "nn/head_loss.h"
#include "nn/mtp.h"
#include "nn/rope_plan.h"

namespace hadal {

/// What a caller wants to see of a forward pass, besides the result.
struct ForwardProbe {
  std::function<void(int layer, ConstView x_TD)> hidden;  // -1: the embedding; then each block's output
  std::function<void(int layer, const kernels::RouterChoice&)> router;
};

/// How the losses of one micro-batch are weighed.
struct LossPolicy {
  double loss_scale = 1;           // 1 / number of target tokens of the whole step
  std::vector<double> mtp_weight;  // lambda / D of each depth; empty: MTP is left out
  bool mtp_from_normed = true;     // h^0 after the final norm (as serving engines have it); false: before
  BalancePolicy balance;
};

/// Sums over the micro-batch, in f64.
struct LossReport {
  double main = 0;  // sum of cross-entropies; with another loss at the head: what it returned
  index_t main_tokens = 0;
  std::vector<double> mtp;  // per depth
  std::vector<index_t> mtp_tokens;
  double balance = 0;                            // as the balance losses return it, summed over layers
  std::vector<std::vector<double>> expert_load;  // [MoE layer, MTP ones last][E] tokens routed
};

inline constexpr std::string_view kEmbeddingName = "model.embed_tokens.weight";
/// x_TD (=) the rows `ids` of the embedding.
using EmbeddingRows = std::function<void(Exec& ex, View x_TD, std::span<const int> ids)>;

/// A decoder of any family: embedding, blocks, final norm, head, MTP modules.
class Model {
 public:
  /// train: allocate gradients. Weights are zero until init() or load_weights(). f64 runs on the reference kernels.
  Model(const ModelConfig& config, Precision precision, bool train);

  const ModelConfig& config() const { return config_; }
  Precision precision() const { return precision_; }

  /// hidden_TD (=) final normed states of `ids`, one sequence. cache: nullptr, or what is known of its past (entries
  /// are added). absorbed: MLA attends in the latent space.
  void forward(Context& ctx, View hidden_TD, std::span<const int> ids, SequenceCache* cache = nullptr,
               bool absorbed = false, const ForwardProbe* probe = nullptr);
  /// The same for slices of several sequences, row after row: absorbed slices first. A row's result does not depend on
  /// the other rows.
  void forward(Context& ctx, View hidden_TD, std::span<const int> ids, KvCache& cache,
               std::span<const SequenceSlice> slices);
  /// Logits [rows, V] in f32 (f64) of final states; [rows, 1] with a scalar head.
  void logits(Context& ctx, View logits_TV, ConstView hidden_TD) const;
  /// MTP depth 1: logits for token i + 2 from states[i] and token i + 1; states [T, D], result [T - 1, V] (=).
  void mtp_logits(Context& ctx, View logits_TV, ConstView states_TD, std::span<const int> ids,
                  const ForwardProbe* probe = nullptr);
  /// MTP depth 1 over a cache, for slices as in forward(): the row of position p takes the state there and next_ids,
  /// the token at p + 1, and leaves its entry in the cache of the MTP layer at p. states_TD may be final states of
  /// forward() or out_TD of an earlier call (then the layer guesses on from its own guess). out_TD (=): logits() of it
  /// predict p + 2.
  void mtp_forward(Context& ctx, View out_TD, ConstView states_TD, std::span<const int> next_ids, KvCache& cache,
                   std::span<const SequenceSlice> slices);
  /// A cache for one sequence of at most max_tokens; format: as KvCache takes it.
  SequenceCache make_cache(index_t max_tokens, std::optional<CacheFormat> format = {}) const {
    return {config_, precision_.compute, max_tokens, format.value_or(CacheFormat{precision_.compute})};
  }

  /// Forward and backward of a micro-batch; gradients are added.
  LossReport train_micro_batch(Context& ctx, const Batch& batch, const LossPolicy& policy);
  /// The same with any loss at the main head. policy.loss_scale counts for MTP only.
  LossReport train_micro_batch(Context& ctx, const Batch& batch, const LossPolicy& policy, HeadLoss& head_loss);
  /// Cross-entropy of every target, no gradient: loss_T [1, T] (=, 0 where masked).
  void evaluate(Context& ctx, View loss_T, const Batch& batch, std::span<int> argmax_T = {});
  /// All logits of a batch, a chunk of rows at a time, no gradient.
  void evaluate_logits(Context& ctx, const Batch& batch, const std::function<void(const kernels::LogitsChunk&)>& rows);

  void visit_params(const ParamVisitor& v);
  /// N(0, initializer_range) for matrices, 1 for gains, 0 for biases; a pure function of (seed, name, index).
  void init(std::uint64_t seed);
  /// Derived weights (FP8 codes) follow the parameters.
  void refresh(Exec& ex);
  /// For inference only, from here on: rearranges all weights, as the recipe says (Linear::pack). What stays as it is
  /// (visit_unpacked) must have its values before.
  void pack(const PackPass& pass, const PackRecipe& recipe);
  void pack(Exec& ex, const PackRecipe& recipe = {}) { pack({.ex = ex}, recipe); }
  /// The parameters that packing leaves as they are: vectors and the embedding.
  void visit_unpacked(const ParamVisitor& v);
  /// For inference: the embedding lies in memory of the caller's, which outlives the model.
  void use_embedding(ConstView embedding_VD);
  /// Or nowhere in memory, and a tied head has to be packed.
  void use_embedding(EmbeddingRows rows);
  /// After pack(), for inference: the routed experts come from `cache`, whose layers are those of moe_layers().
  void stream_experts(ExpertCache& cache);
  /// MoE layers in order, MTP ones last.
  std::vector<Moe*> moe_layers();
  std::int64_t num_parameters();

 private:
  void run_blocks(Context& ctx, View hidden_TD, std::span<const int> ids, const ForwardBatch& batch, KvCache* cache,
                  const ForwardProbe* probe);
  void embed(Exec& ex, View x_TD, std::span<const int> ids) const;
  void pack_tied_head(PackPass pass, PackAs as);
  View final_states(Context& ctx, const Batch& batch);
  ForwardBatch forward_batch(const Batch& batch, std::span<const kernels::AttentionSegment> segments);
  void ensure_positions(index_t positions);
  ConstView embedding() const { return embedding_.empty() ? embedding_elsewhere_ : embedding_.view(); }
  ConstView head_weight() const { return head_ ? head_->weight() : embedding(); }
  View head_grad() { return head_ ? head_->weight_grad() : embedding_grad_.view(); }

  ModelConfig config_;
  Precision precision_;
  RopePlan rope_;
  Tensor rope_table_;
  // Of packed weights; goes after the layers that point into it. On the heap, so that a model can move.
  std::unique_ptr<Arena> packed_memory_ = std::make_unique<Arena>(index_t{64} << 20);
  Tensor embedding_, embedding_grad_;
  ConstView embedding_elsewhere_;
  EmbeddingRows embedding_rows_;
  std::vector<Block> blocks_;
  Norm norm_;
  std::optional<Linear> head_;
  std::optional<Linear> tied_head_;  // the embedding once more, packed
  std::vector<MtpModule> mtp_;
};

}  // namespace hadal
