#include "train/extend.h"

#include "base/file.h"
#include "base/log.h"
#include "nn/weights.h"
#include "train/report.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

/// A model at rest, to be measured.
class Measured {
 public:
  Measured(Exec& exec, const ModelConfig& config, const fs::path& weights, const std::string& precision)
      : model_(config, Precision::parse(precision), false), ctx_{exec, saved_, scratch_, model_.precision(), {}} {
    load_weights(model_, exec, weights);
  }
  JsonArray bits_by_position(const RunInputs& in, const RunOptions& o, int seq_length) {
    LoaderOptions loader_options = o.loader;
    loader_options.fim.rate = 0;
    const Split split = o.loader.validation_share > 0 ? Split::kValidation : Split::kTrain;
    Loader loader(*in.shard, loader_options, static_cast<std::uint64_t>(o.seed), split, seq_length,
                  in.tokenizer->bos_id(), in.tokenizer->eos_id());
    std::vector<int> bytes = in.tokenizer->text_bytes_per_token();
    bytes.resize(static_cast<std::size_t>(in.config.vocab_size), 0);
    const Validation v = validate(ctx_, model_, loader, o.validation.sequences, 4, bytes);
    return JsonArray(v.bits_per_byte_by_position.begin(), v.bits_per_byte_by_position.end());
  }
  JsonObject needles(const RunInputs& in, const ExtendOptions& o) {
    return needle_grid(ctx_, model_, *in.tokenizer, *in.shard, o.needle, static_cast<std::uint64_t>(o.run.seed))
        .to_json();
  }

 private:
  Model model_;
  Arena saved_, scratch_;
  Context ctx_;
};

}  // namespace

ModelConfig extended_config(const ModelConfig& base, const ExtendOptions& options, const ExtendPhase& phase) {
  ModelConfig c = base;
  const int original = base.rope_scaling.type == "yarn" && base.rope_scaling.original_max_position_embeddings > 0
                           ? base.rope_scaling.original_max_position_embeddings
                           : base.max_position_embeddings;
  HADAL_CHECK(phase.seq_length > 0, "extend: a phase has no seq_length");
  const double factor = phase.factor > 0 ? phase.factor : static_cast<double>(phase.seq_length) / original;
  c.max_position_embeddings = std::max(phase.seq_length, static_cast<int>(original * factor));
  if (!options.yarn) return c;
  HADAL_CHECK(base.rope_scaling.type == "default" || base.rope_scaling.type == "yarn",
              "extend: the model uses rope scaling \"", base.rope_scaling.type,
              "\"; YaRN needs a plain or a YaRN base");
  c.rope_scaling = {};
  c.rope_scaling.type = "yarn";
  c.rope_scaling.factor = factor;
  c.rope_scaling.original_max_position_embeddings = original;
  c.rope_scaling.beta_fast = options.beta_fast, c.rope_scaling.beta_slow = options.beta_slow;
  if (c.uses_mla()) c.rope_scaling.mscale = c.rope_scaling.mscale_all_dim = options.mscale;
  return c;
}

RunResult run_extension(Exec& exec, const ExtendOptions& options, RunInputs inputs, const fs::path& folder,
                        bool resume) {
  HADAL_CHECK(!options.phases.empty(), "extend: no phases");
  const ModelConfig base = inputs.config;
  const fs::path base_weights = inputs.weights;
  const ExtendPhase& last = options.phases.back();
  const std::string& precision = options.run.trainer.precision;
  JsonObject summary{{"seq_length", last.seq_length}};

  {
    ModelConfig longer = base;  // the base as it is, only allowed to run further
    longer.max_position_embeddings = std::max(longer.max_position_embeddings, last.seq_length);
    Measured before(exec, longer, base_weights, precision);
    summary["base"] = before.bits_by_position(inputs, options.run, last.seq_length);
    if (!options.needle.lengths.empty()) summary["needle_before"] = before.needles(inputs, options);
    if (options.yarn)
      summary["base_with_yarn"] = Measured(exec, extended_config(base, options, last), base_weights, precision)
                                      .bits_by_position(inputs, options.run, last.seq_length);
  }

  RunResult result;
  for (std::size_t i = 0; i < options.phases.size(); ++i) {
    const ExtendPhase& phase = options.phases[i];
    RunOptions run = options.run;
    run.steps = phase.steps, run.tokens = 0;
    run.trainer.seq_length = phase.seq_length;
    run.trainer.micro_sequences = phase.micro_sequences;
    run.trainer.batch = {.sequences = phase.sequences};
    run.trainer.lr.kind = "constant", run.trainer.lr.lr = phase.lr;
    inputs.config = extended_config(base, options, phase);
    const fs::path phase_folder = folder / str_cat("phase-", i + 1);
    log_info("phase ", i + 1, " of ", options.phases.size(), ": ", phase.steps, " steps of ", phase.sequences, " x ",
             phase.seq_length, " tokens");
    result = run_training(exec, run, inputs, phase_folder, resume);
    if (!result.finished) return result;
    inputs.weights = result.model;
    summary[str_cat("phase_", i + 1)] =
        Measured(exec, inputs.config, result.model, precision).bits_by_position(inputs, options.run, last.seq_length);
  }
  if (!options.needle.lengths.empty()) {
    const JsonObject after = Measured(exec, inputs.config, result.model, precision).needles(inputs, options);
    summary["needle_after"] = after;
    // The last phase's report shows both grids.
    const fs::path last_folder = folder / str_cat("phase-", options.phases.size());
    JsonLog log(last_folder / "needle.jsonl");
    const auto line = [](std::int64_t step, std::string_view label, JsonObject grid) {
      grid["step"] = step, grid["label"] = label;
      return grid;
    };
    log.write(line(0, "before", summary["needle_before"].as_object()));
    log.write(line(last.steps, "after", after));
    write_report(last_folder);
  }
  write_file_atomically(folder / "extension.json", json_pretty(summary));
  return result;
}

}  // namespace hadal
