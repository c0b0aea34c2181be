#include "analysis/bench/cmd_bench.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "analysis/bench/harness.h"
#include "base/random.h"
#include "train/optimizer.h"

namespace hadal {
namespace {

struct TrainBenchOptions {
  std::string config, precision = "bf16";
  int threads = 0, steps = 12, sequence = 256, batch = 8;
  bool json = false, mtp = false, recompute_swiglu = false, recompute_norm = false;
  OptimizerOptions optimizer;
  template <class V>
  void visit(V&& v) {
    v("config", config, "config.json of the model", {.required = true, .placeholder = "FILE"});
    v("precision", precision, "recipe", {.choices = {"f32", "bf16", "fp8"}});
    v("threads", threads, "0: all CPUs");
    v("steps", steps, "timed steps");
    v("sequence", sequence, "tokens of a sequence");
    v("batch", batch, "sequences of a step");
    v("json", json, "print one JSON object");
    v("mtp", mtp, "train the MTP modules too");
    v("recompute_swiglu", recompute_swiglu, "compute SwiGLU outputs again in backward");
    v("recompute_norm", recompute_norm, "compute RMSNorm outputs again in backward");
    v.group("optimizer", optimizer, "AdamW");
  }
};

Batch random_batch(const TrainBenchOptions& o, int vocab_size, std::uint64_t step) {
  Batch batch;
  const auto num_tokens = static_cast<std::uint64_t>(o.sequence) * static_cast<std::uint64_t>(o.batch);
  for (std::uint64_t i = 0; i < num_tokens; ++i) {
    batch.ids.push_back(static_cast<int>(random_below(step, Stream::kTest, i, static_cast<std::uint64_t>(vocab_size))));
    batch.positions.push_back(static_cast<int>(i % static_cast<std::uint64_t>(o.sequence)));
  }
  batch.targets.assign(batch.ids.begin() + 1, batch.ids.end());
  batch.targets.push_back(0);
  for (int s = 0; s <= o.batch; ++s) batch.sequence_begins.push_back(index_t{s} * o.sequence);
  batch.segment_begins = batch.sequence_begins;
  return batch;
}

}  // namespace

int bench_train(Args args) {
  TrainBenchOptions o;
  if (!parse_options(o, args, {.verb = "bench train", .about = "speed of training steps"})) return 0;
  ModelConfig config = load_model_config(o.config);
  if (!o.mtp) config.num_nextn_predict_layers = 0;
  ThreadPool pool(o.threads);
  Exec exec(pool);
  Arena saved, scratch;
  Context ctx{exec,
              saved,
              scratch,
              Precision::parse(o.precision),
              {.rmsnorm = o.recompute_norm, .mla_up = false, .swiglu = o.recompute_swiglu}};
  Model model(config, ctx.precision, true);
  model.init(1);
  Optimizer optimizer(model, o.optimizer);
  optimizer.copy_from_model(exec);

  LossPolicy policy;
  policy.loss_scale = 1.0 / (o.sequence * o.batch);
  const auto precision_roof = o.precision == "f32" ? kernels::RoofKind::kF32 : kernels::RoofKind::kBF16;
  std::vector<double> seconds;
  std::vector<double> roofs;
  double loss = 0, split = 0;
  for (int step = 0; step < o.steps + 2; ++step) {
    const Batch batch = random_batch(o, config.vocab_size, static_cast<std::uint64_t>(step));
    const auto start = std::chrono::steady_clock::now();
    loss = model.train_micro_batch(ctx, batch, policy).main * policy.loss_scale;
    const auto mid = std::chrono::steady_clock::now();
    const double norm = optimizer.grad_norm(exec);
    optimizer.step(exec, 1e-4, norm, step + 1);
    const auto end = std::chrono::steady_clock::now();
    if (step < 2) continue;
    roofs.push_back(kernels::measure_roof(exec, precision_roof));
    seconds.push_back(std::chrono::duration<double>(end - start).count());
    split += std::chrono::duration<double>(end - mid).count();
  }
  std::sort(seconds.begin(), seconds.end());
  std::sort(roofs.begin(), roofs.end());
  const double median = seconds[seconds.size() / 2], best = seconds.front(), roof = roofs[roofs.size() / 2],
               tokens = o.sequence * o.batch;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double flops = training_flops_per_token(config, o.sequence) * tokens;
  const BenchRow row{fmt::format("train/{}/{}/{}/t={}", std::filesystem::path(o.config).stem().string(), o.precision,
                                 isa_name(exec.isa), pool.num_threads()),
                     median,
                     flops,
                     roof,
                     "FLOP/s",
                     flops / median / roof};
  if (o.json) {
    fmt::print("{}\n", json_line(JsonObject{{"name", row.name},
                                            {"tokens_per_second", tokens / median},
                                            {"best_tokens_per_second", tokens / best},
                                            {"flops_per_token", flops / tokens},
                                            {"rate", flops / median},
                                            {"roof", roof},
                                            {"share", flops / median / roof},
                                            {"adamw_seconds", split / o.steps},
                                            {"loss", loss},
                                            {"peak_bytes", usage.ru_maxrss * 1024}}));
    return 0;
  }
  print_row(row, false);
  fmt::print(
      "  {:.0f} tokens/s (best {:.0f}), {:.2f} MFLOP a token, {:.1f} ms AdamW, loss {:.4f}, peak memory {:.0f} MB\n",
      tokens / median, tokens / best, flops / tokens / 1e6, split / o.steps * 1e3, loss,
      static_cast<double>(usage.ru_maxrss) / 1024);
  return 0;
}

}  // namespace hadal
