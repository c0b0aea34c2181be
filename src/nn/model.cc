#include "nn/model.h"

#include <numeric>

#include "base/random.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"

namespace hadal {
namespace {

std::uint64_t hash_name(std::string_view name) {
  std::uint64_t h = 0xCBF29CE484222325ULL;  // FNV-1a
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return h;
}

void fill(View v, const std::function<double(index_t)>& value) {
  for (index_t r = 0; r < v.rows; ++r)
    for (index_t c = 0; c < v.cols; ++c) {
      const double x = value(r * v.cols + c);
      switch (v.dtype) {
        case DType::kF64:
          v.as<double>()(r, c) = x;
          break;
        case DType::kF32:
          v.as<float>()(r, c) = static_cast<float>(x);
          break;
        case DType::kBF16:
          v.as<bf16>()(r, c) = to_bf16(static_cast<float>(x));
          break;
        default:
          fail("parameters cannot be held in ", dtype_name(v.dtype));
      }
    }
}

/// The output head is packed in slabs of at most 64 MiB, so that it stands in memory once: nothing else is as large.
index_t slab_rows(const ModelConfig& config, Precision precision) {
  constexpr index_t kSlabBytes = index_t{64} << 20;
  const index_t tile_bytes = kernels::kFp8Tile * bytes_of(precision.compute, config.hidden_size);
  return std::max<index_t>(kSlabBytes / tile_bytes, 1) * kernels::kFp8Tile;
}

/// Slices of several sequences as the rows of one pass.
struct SliceRows {
  std::vector<int> positions;
  std::vector<index_t> rows, begins = {0};
  std::vector<kernels::AttentionSegment> segments;
  index_t num_absorbed = 0, num_positions = 0;

  SliceRows(std::span<const SequenceSlice> slices, index_t num_tokens) {
    for (const SequenceSlice& s : slices) {
      const index_t begin = begins.back(), end = s.past + s.length;
      HADAL_CHECK(s.length > 0 && end <= static_cast<index_t>(s.pages.size()) * kernels::kAttentionPage,
                  "context overflow: ", s.past, " cached + ", s.length, " new tokens in ", s.pages.size(), " pages");
      if (s.absorbed) {
        HADAL_CHECK(num_absorbed == static_cast<index_t>(segments.size()), "forward: absorbed slices come first");
        ++num_absorbed;
      }
      segments.push_back({begin, s.length, 0, end, s.pages.first(static_cast<std::size_t>(pages_of(end)))});
      for (index_t i = s.past; i < end; ++i) {
        positions.push_back(narrow<int>(i));
        rows.push_back(segments.back().key_row(i));
      }
      begins.push_back(begin + s.length);
      num_positions = std::max(num_positions, end);
    }
    HADAL_CHECK(begins.back() == num_tokens && num_tokens > 0, "forward: slices of ", begins.back(), " tokens for ",
                num_tokens, " ids");
  }
  ForwardBatch batch(ConstView rope_table) const {
    return {positions, segments, begins, rope_table, rows, num_absorbed};
  }
};

}  // namespace

Model::Model(const ModelConfig& config, Precision precision, bool train)
    : config_(config), precision_(precision), rope_(make_rope_plan(config)) {
  embedding_ = Tensor(precision.compute, config.vocab_size, config.hidden_size);
  if (train) embedding_grad_ = Tensor(precision.wide(), config.vocab_size, config.hidden_size);
  const auto softmax_factor = static_cast<float>(rope_.softmax_factor);
  for (int layer = 0; layer < config.num_hidden_layers; ++layer)
    blocks_.emplace_back(config, layer, softmax_factor, rope_.style, precision, train);
  norm_ = Norm("model.norm", config.hidden_size, static_cast<float>(config.rms_norm_eps), precision, train);
  HADAL_CHECK(!config.scalar_head || config.num_nextn_predict_layers == 0,
              "config: a scalar head and MTP layers exclude each other");
  if (config.scalar_head || !config.tie_word_embeddings)
    head_.emplace(
        std::vector<LinearPart>{config.scalar_head ? LinearPart{"score", 1} : LinearPart{"lm_head", config.vocab_size}},
        config.hidden_size, precision,
        Linear::Options{.allow_fp8 = false, .train = train, .slab_rows = slab_rows(config, precision)});
  for (int depth = 1; depth <= config.num_nextn_predict_layers; ++depth)
    mtp_.emplace_back(config, depth, softmax_factor, rope_.style, precision, train);
}

void Model::ensure_positions(index_t positions) {
  if (rope_table_.rows() >= positions) return;
  rope_table_ = make_rope_table(rope_, (positions + 511) / 512 * 512, precision_.wide());
}

void Model::run_blocks(Context& ctx, View hidden_TD, std::span<const int> ids, const ForwardBatch& batch,
                       KvCache* cache, const ForwardProbe* probe) {
  const ArenaScope scope(ctx.scratch);
  View x = ctx.temp(static_cast<index_t>(ids.size()), config_.hidden_size);
  embed(ctx.exec, x, ids);
  if (probe != nullptr && probe->hidden) probe->hidden(-1, x);
  for (std::size_t layer = 0; layer < blocks_.size(); ++layer) {
    kernels::RouterChoice routed;
    const bool want_router = probe != nullptr && probe->router && blocks_[layer].moe() != nullptr;
    x = blocks_[layer].forward(ctx, x, batch, nullptr, nullptr, cache != nullptr ? &cache->layers[layer] : nullptr,
                               want_router ? &routed : nullptr);
    if (want_router) probe->router(static_cast<int>(layer), routed);
    if (probe != nullptr && probe->hidden) probe->hidden(static_cast<int>(layer), x);
  }
  norm_.forward(ctx, hidden_TD, {}, x);
}

void Model::forward(Context& ctx, View hidden_TD, std::span<const int> ids, KvCache& cache,
                    std::span<const SequenceSlice> slices) {
  const SliceRows rows(slices, static_cast<index_t>(ids.size()));
  ensure_positions(rows.num_positions);
  run_blocks(ctx, hidden_TD, ids, rows.batch(rope_table_.view()), &cache, nullptr);
}

void Model::forward(Context& ctx, View hidden_TD, std::span<const int> ids, SequenceCache* cache, bool absorbed,
                    const ForwardProbe* probe) {
  const auto num_tokens = static_cast<index_t>(ids.size());
  HADAL_CHECK(num_tokens > 0, "forward: no tokens");
  if (cache != nullptr) {
    HADAL_CHECK(cache->length + num_tokens <= cache->capacity, "context overflow: ", cache->length, " cached + ",
                num_tokens, " new tokens exceed the capacity ", cache->capacity);
    const SequenceSlice slice{cache->length, num_tokens, cache->pages, absorbed};
    forward(ctx, hidden_TD, ids, cache->cache, {&slice, 1});
    cache->length += num_tokens;
    return;
  }
  ensure_positions(num_tokens);
  std::vector<int> positions(ids.size());
  std::iota(positions.begin(), positions.end(), 0);
  const kernels::AttentionSegment segment{0, num_tokens, 0, num_tokens};
  const index_t begins[] = {0, num_tokens};
  run_blocks(ctx, hidden_TD, ids, {positions, {&segment, 1}, begins, rope_table_.view(), {}, absorbed ? 1 : 0}, nullptr,
             probe);
}

void Model::embed(Exec& ex, View x_TD, std::span<const int> ids) const {
  if (embedding_rows_)
    embedding_rows_(ex, x_TD, ids);
  else
    kernels::embedding_forward(ex, x_TD, embedding(), ids);
}

void Model::logits(Context& ctx, View logits_TV, ConstView hidden_TD) const {
  if (head_)
    head_->forward(ctx, logits_TV, hidden_TD);
  else if (tied_head_)
    tied_head_->forward(ctx, logits_TV, hidden_TD);
  else
    kernels::gemm_nt(ctx.exec, logits_TV, hidden_TD, embedding());
}

void Model::mtp_logits(Context& ctx, View logits_TV, ConstView states_TD, std::span<const int> ids,
                       const ForwardProbe* probe) {
  HADAL_CHECK(!mtp_.empty(), "mtp: this model has no MTP module (num_nextn_predict_layers is 0)");
  const index_t rows = states_TD.rows - 1;
  HADAL_CHECK(rows > 0, "mtp: needs at least two tokens, got ", states_TD.rows);
  ensure_positions(rows);
  std::vector<int> positions(static_cast<std::size_t>(rows));
  std::iota(positions.begin(), positions.end(), 0);
  const kernels::AttentionSegment segment{0, rows, 0, rows};
  const index_t begins[] = {0, rows};
  const ForwardBatch batch{positions, {&segment, 1}, begins, rope_table_.view(), {}, 0};

  const ArenaScope scope(ctx.scratch);
  const View embedded = ctx.temp(rows, config_.hidden_size), normed = ctx.temp(rows, config_.hidden_size);
  embed(ctx.exec, embedded, ids.subspan(1));
  kernels::RouterChoice routed;
  const bool want_router = probe != nullptr && probe->router && mtp_[0].moe() != nullptr;
  const View x = mtp_[0].forward(ctx, embedded, states_TD.slice_rows(0, rows), batch, nullptr, nullptr, nullptr,
                                 want_router ? &routed : nullptr);
  if (want_router) probe->router(config_.num_hidden_layers, routed);
  if (probe != nullptr && probe->hidden) probe->hidden(config_.num_hidden_layers, x);
  mtp_[0].head_norm().forward(ctx, normed, {}, x);
  logits(ctx, logits_TV, normed);
}

void Model::mtp_forward(Context& ctx, View out_TD, ConstView states_TD, std::span<const int> next_ids, KvCache& cache,
                        std::span<const SequenceSlice> slices) {
  HADAL_CHECK(!mtp_.empty(), "mtp: this model has no MTP module (num_nextn_predict_layers is 0)");
  const SliceRows rows(slices, static_cast<index_t>(next_ids.size()));
  ensure_positions(rows.num_positions);
  const ArenaScope scope(ctx.scratch);
  const View embedded = ctx.temp(states_TD.rows, config_.hidden_size);
  embed(ctx.exec, embedded, next_ids);
  const View x = mtp_[0].forward(ctx, embedded, states_TD, rows.batch(rope_table_.view()), nullptr, nullptr,
                                 &cache.layers[blocks_.size()], nullptr);
  mtp_[0].head_norm().forward(ctx, out_TD, {}, x);
}

void Model::pack(const PackPass& outer, const PackRecipe& recipe) {
  PackPass pass = outer;
  pass.memory = packed_memory_.get();
  for (Block& block : blocks_) block.pack(pass, recipe);
  for (MtpModule& mtp : mtp_) mtp.pack(pass, recipe);
  if (head_)
    head_->pack(pass, recipe.head);
  else if (recipe.head || embedding_rows_)
    pack_tied_head(pass, recipe.head);
}

/// A tied head of its own: packed from the same values as the embedding.
void Model::pack_tied_head(PackPass pass, PackAs as) {
  if (tied_head_) return;
  const std::string name(kEmbeddingName.substr(0, kEmbeddingName.size() - std::string_view(".weight").size()));
  tied_head_.emplace(std::vector<LinearPart>{{name, config_.vocab_size}}, config_.hidden_size, precision_,
                     Linear::Options{.allow_fp8 = false, .slab_rows = slab_rows(config_, precision_)});
  if (!pass.fill)
    pass.fill = [&](const Param& p) {
      kernels::convert(pass.ex, p.value, embedding().slice_rows(p.first_row, p.value.rows));
    };
  tied_head_->pack(pass, as);
  if (tied_head_->packed() == nullptr) tied_head_.reset();
}

void Model::visit_unpacked(const ParamVisitor& v) {
  visit_params([&](const Param& p) {
    if (p.is_vector || p.name == kEmbeddingName) v(p);
  });
}

void Model::use_embedding(ConstView embedding_VD) {
  HADAL_CHECK(embedding_VD.dtype == precision_.compute && embedding_VD.rows == config_.vocab_size &&
                  embedding_VD.cols == config_.hidden_size && embedding_VD.contiguous(),
              "use_embedding: a table of another form");
  embedding_ = Tensor();
  embedding_elsewhere_ = embedding_VD;
}

void Model::use_embedding(EmbeddingRows rows) {
  embedding_ = Tensor();
  embedding_rows_ = std::move(rows);
}

void Model::visit_params(const ParamVisitor& v) {
  HADAL_CHECK(!embedding_.empty(), kEmbeddingName, ": lies elsewhere, for inference");
  v(Param{.name = std::string(kEmbeddingName),
          .value = embedding_.view(),
          .grad = embedding_grad_.empty() ? View{} : embedding_grad_.view()});
  for (Block& block : blocks_) block.visit_params(v);
  norm_.visit_params(v);
  if (head_) head_->visit_params(v);
  for (MtpModule& mtp : mtp_) mtp.visit_params(v);
}

void Model::init(std::uint64_t seed) {
  visit_params([&](const Param& p) {
    const std::uint64_t key = seed ^ hash_name(p.name);
    if (!p.is_vector)
      fill(p.value, [&](index_t i) {
        return config_.initializer_range * random_normal(key, Stream::kInit, static_cast<std::uint64_t>(i));
      });
    else
      fill(p.value, [gain = p.name.ends_with("norm.weight")](index_t) { return gain ? 1.0 : 0.0; });
  });
}

void Model::refresh(Exec& ex) {
  for (Block& block : blocks_) block.refresh(ex);
  for (MtpModule& mtp : mtp_) mtp.refresh(ex);
}

void Model::stream_experts(ExpertCache& cache) {
  int layer = 0;
  for (std::size_t i = 0; i < blocks_.size(); ++i)
    if (blocks_[i].moe() != nullptr)
      blocks_[i].stream_experts(cache, layer++, i + 1 < blocks_.size() ? &blocks_[i + 1] : nullptr);
  for (MtpModule& mtp : mtp_)
    if (mtp.moe() != nullptr) mtp.block().stream_experts(cache, layer++, nullptr);
}

std::vector<Moe*> Model::moe_layers() {
  std::vector<Moe*> layers;
  for (Block& block : blocks_)
    if (block.moe() != nullptr) layers.push_back(block.moe());
  for (MtpModule& mtp : mtp_)
    if (mtp.moe() != nullptr) layers.push_back(mtp.moe());
  return layers;
}

std::int64_t Model::num_parameters() {
  std::int64_t count = 0;
  visit_params([&](const Param& p) { count += p.value.count(); });
  return count;
}

}  // namespace hadal
