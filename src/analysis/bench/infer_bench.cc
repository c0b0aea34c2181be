#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "analysis/bench/cmd_bench.h"
#include "analysis/bench/harness.h"
#include "base/memory_info.h"
#include "base/random.h"
#include "base/stopwatch.h"
#include "kernels/elementwise.h"
#include "nn/weights.h"

namespace hadal {
namespace {

struct InferBenchOptions {
  std::string config, model, weights = "bf16";
  int threads = 0, repeats = 3;
  bool json = false;
  template <class V>
  void visit(V&& v) {
    v("config", config, "config.json of a model, which gets random weights", {.placeholder = "FILE"});
    v("model", model, "or a model folder", {.placeholder = "DIR"});
    v("weights", weights, "precision of the weights",
      {.choices = {"f32", "bf16", "fp8-weights", "int8", "int4", "int4-experts"}});
    v("threads", threads, "0: all CPUs");
    v("repeats", repeats, "the median of so many is told");
    v("json", json, "one JSON object per row");
  }
};

struct PrefillOptions : InferBenchOptions {
  std::vector<int> tokens = {512, 2048};
  int chunk = 512;
  template <class V>
  void visit(V&& v) {
    InferBenchOptions::visit(v);
    v("tokens", tokens, "lengths of the prompts");
    v("chunk", chunk, "tokens of one pass");
  }
};

struct DecodeOptions : InferBenchOptions {
  std::vector<int> depth = {0, 1024, 4096};
  template <class V>
  void visit(V&& v) {
    InferBenchOptions::visit(v);
    v("depth", depth, "tokens in the cache");
  }
};

struct BatchBenchOptions : InferBenchOptions {
  std::vector<int> batch = {1, 2, 4, 8};
  int depth = 0;
  template <class V>
  void visit(V&& v) {
    InferBenchOptions::visit(v);
    v("batch", batch, "sequences that decode at once");
    v("depth", depth, "tokens in the cache of each");
  }
};

/// Small random weights, made in parallel: their values do not matter for the speed.
void fill_random(Exec& exec, Model& model) {
  std::uint64_t seed = 0;
  model.visit_params([&](const Param& p) {
    ++seed;
    exec.pool.parallel_for(p.value.rows, [&](index_t r, int) {
      for (index_t c = 0; c < p.value.cols; ++c) {
        const std::uint64_t bits = random_bits(seed, Stream::kTest, static_cast<std::uint64_t>(r * p.value.cols + c));
        const float x = p.is_vector ? 1.0F : (static_cast<float>(bits >> 40) * 0x1p-24F - 0.5F) * 0.06F;
        if (p.value.dtype == DType::kF32)
          p.value.as<float>()(r, c) = x;
        else
          p.value.as<bf16>()(r, c) = to_bf16(x);
      }
    });
  });
}

/// A model ready for inference, and its caches.
struct Subject {
  ThreadPool pool;
  Exec exec;
  Arena saved, scratch;
  Context ctx;
  ModelConfig config;
  Model model;
  std::string name;
  double bits_per_weight = 16;   // of the experts
  std::int64_t peak_memory = 0;  // of loading and of steps; the probes of the roof have memory of their own

  explicit Subject(const InferBenchOptions& o)
      : pool(o.threads),
        exec(pool),
        ctx{exec, saved, scratch, Precision::parse(o.weights == "f32" ? "f32" : "bf16"), {}},
        config(load(o)),
        model(config, ctx.precision, false),
        name(std::filesystem::path(o.model.empty() ? o.config : o.model).stem().string()) {
    if (o.model.empty()) {
      fill_random(exec, model);
      model.pack(exec, PackRecipe::parse(o.weights));
    } else {
      load_packed(model, exec, o.model, PackRecipe::parse(o.weights));
    }
    bits_per_weight = o.weights == "f32"                                  ? 32
                      : o.weights == "int8" || o.weights == "fp8-weights" ? 8.25
                      : o.weights == "bf16"                               ? 16
                                                                          : 4.5;
    peak_memory = process_memory().peak;
  }
  /// Call between a step and the next probe.
  void look_at_memory() { peak_memory = std::max(peak_memory, process_memory().resident); }
  static ModelConfig load(const InferBenchOptions& o) {
    HADAL_CHECK(o.config.empty() != o.model.empty(), "bench: give one of --config and --model");
    ModelConfig config = o.model.empty() ? load_model_config(o.config) : load_model_config(o.model);
    if (o.model.empty()) config.num_nextn_predict_layers = 0;
    return config;
  }
  std::string label(const InferBenchOptions& o, const std::string& what) const {
    return fmt::format("{}/{}/{}/{}/t={}", what, name, o.weights, isa_name(exec.isa), pool.num_threads());
  }
  /// Bytes of weights that a token reads, the embedding left out.
  double active_bytes() const {
    const double embedding = static_cast<double>(config.vocab_size) * config.hidden_size;
    return (static_cast<double>(count_parameters(config).active) - (config.tie_word_embeddings ? 0 : embedding)) *
           bits_per_weight / 8;
  }
  /// One pass over the slices and the logits of each slice's last token.
  void run(std::span<const int> ids, KvCache& cache, std::span<const SequenceSlice> slices) {
    const ArenaScope scope(ctx.scratch);
    const View hidden = ctx.temp(std::ssize(ids), config.hidden_size);
    model.forward(ctx, hidden, ids, cache, slices);
    const View logits = ctx.temp_wide(std::ssize(slices), config.vocab_size);
    const index_t rows = std::ssize(slices);
    model.logits(ctx, logits, hidden.slice_rows(hidden.rows - rows, rows));
  }
};

std::vector<int> random_ids(const ModelConfig& config, int count) {
  std::vector<int> ids;
  for (int i = 0; i < count; ++i)
    ids.push_back(static_cast<int>(
        random_below(1, Stream::kTest, static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(config.vocab_size))));
  return ids;
}

/// Of f; `between` runs after each.
template <class F, class Between>
double median_seconds(int repeats, const F& f, const Between& between) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    const Stopwatch stopwatch;
    f();
    seconds.push_back(stopwatch.seconds());
    between();
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

void print(const InferBenchOptions& o, const std::string& name, double tokens_per_second, double rate, double roof,
           const char* unit, std::int64_t peak_memory) {
  if (o.json) {
    fmt::print("{}\n", json_line(JsonObject{{"name", name},
                                            {"tokens_per_second", tokens_per_second},
                                            {"rate", rate},
                                            {"roof", roof},
                                            {"share", rate / roof},
                                            {"unit", unit},
                                            {"peak_bytes", peak_memory}}));
    return;
  }
  fmt::print("{:56} {:9.1f} tokens/s  {:7.1f} G{}  {:4.1f}% of {:.0f}  peak {:.2f} GB\n", name, tokens_per_second,
             rate / 1e9, unit, 100 * rate / roof, roof / 1e9, static_cast<double>(peak_memory) / 1e9);
}

/// Tokens/s of decoding `batch` sequences with `depth` tokens in their caches.
void decode_row(Subject& s, const InferBenchOptions& o, const char* verb, int batch, int depth) {
  constexpr int kSteps = 16;
  const int pages_each = pages_of(depth + kSteps);
  KvCache cache(s.config, s.ctx.precision.compute, batch * pages_each);
  std::vector<std::vector<int>> pages(static_cast<std::size_t>(batch));
  for (int b = 0; b < batch; ++b) {
    pages[static_cast<std::size_t>(b)].resize(static_cast<std::size_t>(pages_each));
    std::iota(pages[static_cast<std::size_t>(b)].begin(), pages[static_cast<std::size_t>(b)].end(), b * pages_each);
  }
  const std::vector<int> ids = random_ids(s.config, batch * kSteps);
  const auto steps = [&] {
    for (int i = 0; i < kSteps; ++i) {
      std::vector<SequenceSlice> slices;
      for (const std::vector<int>& p : pages) slices.push_back({depth + i, 1, p, s.config.uses_mla()});
      s.run(std::span(ids).subspan(static_cast<std::size_t>(i) * static_cast<std::size_t>(batch),
                                   static_cast<std::size_t>(batch)),
            cache, slices);
    }
  };
  steps();
  s.look_at_memory();
  std::vector<double> roofs;
  const double per_step =
      median_seconds(o.repeats, steps, [&] { roofs.push_back(kernels::measure_read_bandwidth(s.exec)); }) / kSteps;
  std::sort(roofs.begin(), roofs.end());
  const double cache_bytes = static_cast<double>(depth) * static_cast<double>(cache_width(s.config)) *
                             s.config.num_hidden_layers * static_cast<double>(bytes_of(s.ctx.precision.compute, 1));
  print(o, s.label(o, fmt::format("{}/batch={},depth={}", verb, batch, depth)), batch / per_step,
        (s.active_bytes() + batch * cache_bytes) / per_step, roofs[roofs.size() / 2], "B/s", s.peak_memory);
}

}  // namespace

int bench_prefill(Args args) {
  PrefillOptions o;
  if (!parse_options(o, args, {.verb = "bench prefill", .about = "tokens/s of prompts"})) return 0;
  Subject s(o);
  for (const int length : o.tokens) {
    KvCache cache(s.config, s.ctx.precision.compute, pages_of(length));
    std::vector<int> pages(static_cast<std::size_t>(cache.num_pages));
    std::iota(pages.begin(), pages.end(), 0);
    const std::vector<int> ids = random_ids(s.config, length);
    const auto prompt = [&] {
      for (int begin = 0; begin < length; begin += o.chunk) {
        const int count = std::min(o.chunk, length - begin);
        const SequenceSlice slice{begin, count, pages};
        s.run(std::span(ids).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count)), cache,
              {&slice, 1});
      }
    };
    prompt();
    s.look_at_memory();
    std::vector<double> roofs;
    const auto kind = o.weights == "f32"    ? kernels::RoofKind::kF32
                      : o.weights == "bf16" ? kernels::RoofKind::kBF16
                                            : kernels::RoofKind::kI8;
    const double seconds =
        median_seconds(o.repeats, prompt, [&] { roofs.push_back(kernels::measure_roof(s.exec, kind)); });
    std::sort(roofs.begin(), roofs.end());
    const double roof = roofs[roofs.size() / 2];
    // A third of a training step; the head multiplies the last token of each pass only.
    const double head = 2.0 * s.config.vocab_size * s.config.hidden_size;
    const int num_chunks = (length + o.chunk - 1) / o.chunk;
    const double flops =
        (training_flops_per_token(s.config, length) / 3 - head) * length + head * static_cast<double>(num_chunks);
    print(o, s.label(o, fmt::format("prefill/tokens={},chunk={}", length, o.chunk)), length / seconds, flops / seconds,
          roof, "FLOP/s", s.peak_memory);
  }
  return 0;
}

int bench_decode(Args args) {
  DecodeOptions o;
  if (!parse_options(o, args, {.verb = "bench decode", .about = "tokens/s of one sequence"})) return 0;
  Subject s(o);
  for (const int depth : o.depth) decode_row(s, o, "decode", 1, depth);
  return 0;
}

int bench_batch(Args args) {
  BatchBenchOptions o;
  if (!parse_options(o, args, {.verb = "bench batch", .about = "tokens/s of several sequences"})) return 0;
  Subject s(o);
  for (const int batch : o.batch) decode_row(s, o, "batch", batch, o.depth);
  return 0;
}

}  // namespace hadal
