#include "post/cmd_post.h"
#include "post/dpo.h"

namespace hadal {
namespace {

struct DpoVerbOptions {
  PostRunOptions run;
  PreferenceDataOptions data;
  DpoLossOptions dpo;
  DpoVerbOptions() {
    run.trainer.lr.lr = 5e-6;
    run.trainer.batch.sequences = 32;
  }
  template <class V>
  void visit(V&& v) {
    run.visit(v);
    v.group("data", data, "pairs");
    v.group("dpo", dpo, "the loss");
  }
};

}  // namespace

int cmd_dpo(Args args) {
  DpoVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "dpo",
                      .about = "direct preference optimisation on pairs of answers",
                      .config = true,
                      .example = "hadal dpo --model DIR --data.input pairs.jsonl --out runs/dpo"}))
    return 0;
  ThreadPool pool(o.run.threads);
  Exec exec(pool);
  PostRun run(exec, o.run, template_text(o.data.template_file));
  const PreferenceEncoder encoder(run.tokenizer(), o.run.model);
  const auto load = [&](const std::vector<std::string>& files) {
    return load_preferences(pool, encoder.get(), files, /*pairs=*/true, o.run.trainer.seq_length);
  };
  const std::filesystem::path out = o.run.out;
  const auto reference = [&](const PreferenceData& data, const char* name) {
    return reference_log_probs(run.context(), run.model(), data, o.run.model + " " + o.run.trainer.precision,
                               out / "reference" / name);
  };
  const PreferenceData data = load(o.data.input);
  const ReferenceLogProbs of_data = reference(data, "train.safetensors");
  PreferenceData held_out;
  ReferenceLogProbs of_held_out;
  if (!o.data.validation.empty()) {
    held_out = load(o.data.validation);
    of_held_out = reference(held_out, "validation.safetensors");
  }
  DpoTask task(data, of_data, o.data.validation.empty() ? nullptr : &held_out, of_held_out, o.dpo, o.run.seed);
  print_result(o.run, run.go(task, "dpo", OptionTable(o).to_json(), data.to_json()));
  return 0;
}

}  // namespace hadal
