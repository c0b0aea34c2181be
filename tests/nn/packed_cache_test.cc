// Weights that are packed while they are read, mapped from a file of packed weights, or streamed from it: the same
// bits.
#include "nn/packed_cache.h"

#include <gmock/gmock.h>

#include <chrono>
#include <fstream>

#include "nn/nn_support.h"
#include "nn/weights.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

/// Four layers, three of them with eight experts, and an MTP module.
ModelConfig deep_v3() {
  ModelConfig c = tiny_v3();
  c.num_hidden_layers = 4, c.n_routed_experts = 8;
  return c;
}

constexpr int kPrompt[] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8};

/// Bits of logits of a prompt in two pieces and a few decoded tokens.
std::vector<float> logit_bits(Context& ctx, Model& model) {
  std::vector<float> all;
  SequenceCache cache = model.make_cache(64);
  const auto run = [&](std::span<const int> ids, bool absorbed) {
    const ArenaScope scope(ctx.scratch);
    const auto rows = static_cast<index_t>(ids.size());
    const View hidden = ctx.temp(rows, model.config().hidden_size);
    const View logits = ctx.temp_wide(rows, model.config().vocab_size);
    model.forward(ctx, hidden, ids, &cache, absorbed && model.config().uses_mla());
    model.logits(ctx, logits, hidden);
    const auto values = logits.flat<float>();
    all.insert(all.end(), values.begin(), values.end());
  };
  run(std::span(kPrompt).first(7), false);
  run(std::span(kPrompt).subspan(7), false);
  for (const int id : {7, 11, 13}) run({&id, 1}, true);
  return all;
}

/// A saved model, and its logits when it is loaded and packed as a whole.
struct Saved {
  TempDir dir;
  ModelConfig config;
  Bench bench;
  explicit Saved(const ModelConfig& c, DType compute = DType::kF32, int threads = 2)
      : Saved(c, precision_of(compute), threads) {}
  /// With fp8_weights the folder is an FP8 checkpoint.
  Saved(const ModelConfig& c, Precision precision, int threads) : config(c), bench(precision, threads) {
    Model model(config, precision_of(precision.compute), false);
    model.init(5);
    save_model(model, folder(), DType::kF32);
    if (!precision.fp8_weights) return;
    Model held = load_model(bench.exec, folder(), precision, false);
    save_model(held, folder(), DType::kF32);
  }
  fs::path folder() const { return dir / "model"; }
  fs::path cache() const { return dir / "cache"; }
  Model empty() const { return {config, bench.ctx.precision, false}; }
  std::vector<float> packed_logits(const PackRecipe& recipe) {
    Model model = empty();
    load_weights(model, bench.exec, folder());
    model.pack(bench.exec, recipe);
    return logit_bits(bench.ctx, model);
  }
  fs::path cache_file() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(cache())) files.push_back(entry.path());
    EXPECT_EQ(files.size(), 1U);
    return files.at(0);
  }
};

/// A model whose experts are streamed.
struct Streamed {
  Model model;
  PackedFile file;
  std::optional<ExpertCache> experts;
  Streamed(Saved& saved, std::string_view weights, index_t places)
      : model(saved.empty()),
        file(open_packed_cache(saved.cache(), model, saved.bench.exec, saved.folder(), weights,
                               PackRecipe::parse(weights))) {
    experts.emplace(file, use_streamed(model, saved.bench.exec, file, PackRecipe::parse(weights)), places);
    model.stream_experts(*experts);
  }
};

TEST(PackedCache, PackedAsReadOrMappedGivesTheSameBits) {
  ModelConfig untied = tiny_qwen3();
  untied.tie_word_embeddings = false;
  for (const ModelConfig& config : {deep_v3(), tiny_qwen3(), untied, tiny_moe_v1()})
    for (const auto& [compute, weights] : {std::pair(DType::kF32, "f32"),
                                           {DType::kBF16, "bf16"},
                                           {DType::kBF16, "int4-experts"},
                                           {DType::kBF16, "fp8-weights,experts=int4"}}) {
      Saved saved(config, compute);
      const PackRecipe recipe = PackRecipe::parse(weights);
      const std::vector<float> want = saved.packed_logits(recipe);
      Model as_read = saved.empty();
      load_packed(as_read, saved.bench.exec, saved.folder(), recipe);
      EXPECT_EQ(logit_bits(saved.bench.ctx, as_read), want) << weights;
      for (int start = 0; start < 2; ++start) {  // the first one writes the file
        Model mapped = saved.empty();
        PackedFile file = open_packed_cache(saved.cache(), mapped, saved.bench.exec, saved.folder(), weights, recipe);
        use_mapped(mapped, saved.bench.exec, file, recipe);
        EXPECT_EQ(logit_bits(saved.bench.ctx, mapped), want) << weights;
      }
    }
}

/// Shapes that end inside of a block of 128x128.
ModelConfig ragged_v3() {
  ModelConfig c = deep_v3();
  c.hidden_size = 150, c.kv_lora_rank = 140, c.moe_intermediate_size = 130;
  return c;
}

TEST(PackedCache, Fp8CheckpointsStayAsTheyAre) {
  for (const char* weights : {"as-stored", "fp8-weights,experts=int4,head=int8"}) {
    Saved saved(ragged_v3(), Precision{.compute = DType::kBF16, .fp8_weights = true}, 2);
    const PackRecipe recipe = PackRecipe::parse(weights);
    const std::vector<float> want = saved.packed_logits(recipe);
    Model as_read = saved.empty();
    load_packed(as_read, saved.bench.exec, saved.folder(), recipe);
    EXPECT_EQ(logit_bits(saved.bench.ctx, as_read), want) << weights;
    for (int start = 0; start < 2; ++start) {
      Model mapped = saved.empty();
      PackedFile file = open_packed_cache(saved.cache(), mapped, saved.bench.exec, saved.folder(), weights, recipe);
      use_mapped(mapped, saved.bench.exec, file, recipe);
      EXPECT_EQ(logit_bits(saved.bench.ctx, mapped), want) << weights;
    }
    Streamed streamed(saved, weights, 5);
    EXPECT_EQ(logit_bits(saved.bench.ctx, streamed.model), want) << weights;
  }
}

TEST(PackedCache, IsMadeAgainWhenItIsDamagedOrFromSomethingElse) {
  Saved saved(deep_v3());
  const auto open = [&] {
    Model model = saved.empty();
    return open_packed_cache(saved.cache(), model, saved.bench.exec, saved.folder(), "bf16", {}).key();
  };
  const std::string key = open();
  const fs::path path = saved.cache_file();
  const auto written = [&] { return fs::last_write_time(path); };
  // An old time shows whether the file was written again.
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(1);
  const auto reopened = [&] {
    fs::last_write_time(path, old);
    open();
    return written() != old;
  };
  EXPECT_FALSE(reopened());
  fs::resize_file(path, fs::file_size(path) - 4096);
  EXPECT_TRUE(reopened());
  EXPECT_FALSE(reopened());
  std::ofstream(path, std::ios::binary) << "garbage";
  EXPECT_TRUE(reopened());
  // The same form by name, but codes in place of widened weights.
  EXPECT_NE(packed_cache_key(saved.bench.exec, saved.folder(), "bf16", {.compute = DType::kF32, .fp8_weights = true}),
            key);
  // The same names and sizes, but newer weights.
  fs::last_write_time(saved.folder() / "model.safetensors", old);
  EXPECT_TRUE(reopened());
  EXPECT_EQ(saved.cache_file(), path);
  EXPECT_NE(open(), key);
  // A whole file, with the right key, of a model with other shapes.
  {
    PackedFileWriter writer(path, open(), {{.name = "model.norm.weight", .num_matrices = 1, .bytes = 48}});
    writer.write("model.norm.weight", 0, std::vector<std::byte>(48));
    writer.commit();
  }
  EXPECT_TRUE(reopened());
}

TEST(PackedCache, AMissingTensorIsNamedAndLeavesNoFile) {
  Saved saved(deep_v3());
  ModelConfig deeper = saved.config;
  deeper.num_hidden_layers = 5;
  Model model(deeper, saved.bench.ctx.precision, false);
  EXPECT_THAT(error_of([&] { open_packed_cache(saved.cache(), model, saved.bench.exec, saved.folder(), "bf16", {}); }),
              HasSubstr("missing model.layers.5."));
  EXPECT_TRUE(fs::is_empty(saved.cache()));
}

TEST(StreamedExperts, GiveTheSameBitsWithAnyNumberOfPlaces) {
  for (const char* weights : {"bf16", "int4"})
    for (const int threads : {1, 2}) {
      Saved saved(deep_v3(), DType::kBF16, threads);
      const std::vector<float> want = saved.packed_logits(PackRecipe::parse(weights));
      for (const index_t places : {1, 5, 32}) {
        Streamed streamed(saved, weights, places);
        EXPECT_EQ(logit_bits(saved.bench.ctx, streamed.model), want) << weights << ", " << places << " places";
        const ExpertStats stats = streamed.experts->stats();
        EXPECT_GT(stats.misses + stats.foreseen, 0);
        if (places == 32) {
          // Everything fits: nothing is read twice.
          EXPECT_LE(stats.bytes_read,
                    32 * ExpertCache::place_bytes({streamed.file.find("model.layers.1.mlp.experts.0.gate_proj"),
                                                   streamed.file.find("model.layers.1.mlp.experts.0.down_proj")}));
          EXPECT_EQ(logit_bits(saved.bench.ctx, streamed.model), want);
          EXPECT_GT(streamed.experts->stats().hits, stats.hits);
        }
      }
    }
}

TEST(StreamedExperts, AFileThatIsCutShortIsAnErrorAndNotTheEnd) {
  Saved saved(deep_v3());
  const std::vector<float> want = saved.packed_logits({});
  Streamed streamed(saved, "bf16", 3);
  EXPECT_EQ(logit_bits(saved.bench.ctx, streamed.model), want);
  const fs::path path = saved.cache_file(), copy = saved.dir / "copy";
  fs::copy_file(path, copy);
  fs::resize_file(path, 4096);
  EXPECT_THAT(error_of([&] { logit_bits(saved.bench.ctx, streamed.model); }), HasSubstr("cut short"));
  EXPECT_THAT(error_of([&] { logit_bits(saved.bench.ctx, streamed.model); }), HasSubstr("cut short"));
  // The same file, whole again: what could not be read is tried again.
  std::ofstream(path, std::ios::binary | std::ios::in) << std::ifstream(copy, std::ios::binary).rdbuf();
  EXPECT_EQ(logit_bits(saved.bench.ctx, streamed.model), want);
  // An open file may be removed.
  fs::remove(path);
  EXPECT_EQ(logit_bits(saved.bench.ctx, streamed.model), want);
}

TEST(ExpertCache, ForgetsWhatWasNotUsedForLongest) {
  Saved saved(deep_v3());
  Model model = saved.empty();
  PackedFile file = open_packed_cache(saved.cache(), model, saved.bench.exec, saved.folder(), "bf16", {});
  ExpertCache cache(file, use_streamed(model, saved.bench.exec, file, {}), 3);
  const auto use = [&](int layer, std::vector<int> experts) {
    const std::int64_t before = cache.stats().misses;
    cache.need(layer, experts);
    while (!experts.empty()) {
      const ExpertCache::Held held = cache.take(layer, experts);
      for (const int e : held.experts) {
        const ExpertCache::Expert at = cache.at(layer, e);
        const PackedEntry& down = *file.find(str_cat("model.layers.", layer + 1, ".mlp.experts.0.down_proj"));
        std::vector<std::byte> bytes(static_cast<std::size_t>(down.stride()));
        file.read(down, e, bytes.data());
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.begin() + down.bytes, at.down));
        std::erase(experts, e);
      }
    }
    return cache.stats().misses - before;
  };
  EXPECT_EQ(use(0, {1, 2}), 2);
  EXPECT_EQ(use(1, {1}), 1);
  EXPECT_EQ(use(0, {1}), 0);
  EXPECT_EQ(use(2, {7}), 1);  // in the place of (0, 2)
  EXPECT_EQ(use(0, {1}), 0);
  EXPECT_EQ(use(1, {1}), 0);
  EXPECT_EQ(use(0, {2}), 1);
  EXPECT_EQ(use(2, {0, 1, 2, 3, 4, 5, 6, 7}), 7 + 1);  // (2, 7) was the oldest
  cache.guess(0, std::vector<int>{3});
  EXPECT_EQ(use(0, {3}), 0);
  EXPECT_EQ(cache.stats().foreseen, 1);
  EXPECT_EQ(cache.stats().guesses, 1);
}

}  // namespace
}  // namespace hadal
