#include "analysis/bench/cmd_bench.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>

#include "analysis/bench/harness.h"
#include "base/random.h"
#include "train/trainer.h"

namespace hadal {
namespace {

struct TrainBenchOptions {
  std::string config, precision = "bf16";
  int threads = 0, steps = 12, sequence = 256, batch = 8, micro_sequences = 0;
  bool json = false, mtp = false;
  RecomputeOptions recompute;
  OptimizerOptions optimizer;
  template <class V>
  void visit(V&& v) {
    v("config", config, "config.json of the model", {.required = true, .placeholder = "FILE"});
    v("precision", precision, "recipe", {.choices = {"f32", "bf16", "fp8"}});
    v("threads", threads, "0: all CPUs");
    v("steps", steps, "timed steps");
    v("sequence", sequence, "tokens of a sequence");
    v("batch", batch, "sequences of a step");
    v("micro_sequences", micro_sequences, "sequences of a micro-batch; 0: the whole batch at once");
    v("json", json, "print one JSON object");
    v("mtp", mtp, "train the MTP modules too");
    v.group("recompute", recompute, "what backward computes again instead of keeping it");
    v.group("optimizer", optimizer, "AdamW");
  }
  TrainerOptions trainer() const {
    TrainerOptions t;
    t.precision = precision;
    t.seq_length = sequence, t.micro_sequences = micro_sequences;
    t.batch.sequences = batch;
    t.recompute = recompute, t.optimizer = optimizer;
    return t;
  }
};

/// Random tokens, in place of sequences [first, first + count) of a stream.
Batch random_batch(int vocab_size, int length, std::int64_t first, std::int64_t count) {
  Batch batch;
  for (std::int64_t s = first; s < first + count; ++s) {
    batch.sequence_begins.push_back(static_cast<index_t>(batch.ids.size()));
    for (int i = 0; i < length; ++i) {
      batch.ids.push_back(
          static_cast<int>(random_below(static_cast<std::uint64_t>(s), Stream::kTest, static_cast<std::uint64_t>(i),
                                        static_cast<std::uint64_t>(vocab_size))));
      batch.positions.push_back(i);
    }
  }
  batch.sequence_begins.push_back(static_cast<index_t>(batch.ids.size()));
  batch.segment_begins = batch.sequence_begins;
  batch.targets.assign(batch.ids.begin() + 1, batch.ids.end());
  batch.targets.push_back(0);
  return batch;
}

}  // namespace

int bench_train(Args args) {
  TrainBenchOptions o;
  if (!parse_options(o, args, {.verb = "bench train", .about = "speed of whole training steps on random tokens"}))
    return 0;
  ModelConfig config = load_model_config(o.config);
  if (!o.mtp) config.num_nextn_predict_layers = 0;
  ThreadPool pool(o.threads);
  Exec exec(pool);
  constexpr int kWarmUp = 2;
  const TrainerOptions options = o.trainer();
  Model model(config, Precision::parse(o.precision), /*train=*/true);
  model.init(1);
  model.refresh(exec);
  Trainer trainer(exec, model, options, plan_run(options.batch, o.sequence, o.steps + kWarmUp, 0));

  const auto precision_roof = o.precision == "f32" ? kernels::RoofKind::kF32 : kernels::RoofKind::kBF16;
  const double tokens = static_cast<double>(o.sequence) * o.batch;
  std::vector<double> seconds, roofs;
  double loss = 0;
  while (!trainer.done()) {
    const StepMetrics m = trainer
                              .step([&](std::int64_t first, std::int64_t count) {
                                return random_batch(config.vocab_size, o.sequence, first, count);
                              })
                              .metrics;
    loss = m.main_loss;
    if (m.step <= kWarmUp) continue;
    roofs.push_back(kernels::measure_roof(exec, precision_roof));
    seconds.push_back(tokens / m.tokens_per_second);
  }
  std::sort(seconds.begin(), seconds.end());
  std::sort(roofs.begin(), roofs.end());
  const double median = seconds[seconds.size() / 2], best = seconds.front(), roof = roofs[roofs.size() / 2];
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
                                            {"loss", loss},
                                            {"peak_bytes", usage.ru_maxrss * 1024}}));
    return 0;
  }
  print_row(row, false);
  fmt::print("  {:.0f} tokens/s (best {:.0f}), {:.2f} MFLOP a token, loss {:.4f}, peak memory {:.0f} MB\n",
             tokens / median, tokens / best, flops / tokens / 1e6, loss,
             static_cast<double>(usage.ru_maxrss) * 1024 / 1e6);
  return 0;
}

}  // namespace hadal
