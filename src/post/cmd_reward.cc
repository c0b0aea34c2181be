#include <fmt/format.h>

#include "data/sft/reader.h"
#include "post/cmd_post.h"
#include "post/reward_model.h"

namespace hadal {
namespace {

struct TrainOptions {
  PostRunOptions run;
  PreferenceDataOptions data;
  std::string loss = "pairwise";
  TrainOptions() {
    run.trainer.lr.lr = 6e-6;
    run.trainer.batch.sequences = 32;
  }
  template <class V>
  void visit(V&& v) {
    run.visit(v);
    v.group("data", data, "pairs, or answers with labels");
    v("loss", loss, "pairwise: Bradley-Terry; pointwise: cross-entropy of labels in [0, 1]",
      {.choices = {"pairwise", "pointwise"}});
  }
};

struct ScoreOptions {
  std::string model, input, precision = "bf16";
  int threads = 0;
  template <class V>
  void visit(V&& v) {
    v("model", model, "reward model folder", {.required = true, .placeholder = "DIR"});
    v("input", input, "JSON lines of conversations", {.required = true, .placeholder = "FILE"});
    v("precision", precision, "to compute in", {.choices = {"f32", "bf16"}});
    v("threads", threads, "0: all CPUs");
  }
};

}  // namespace

int cmd_reward(Args args) {
  TrainOptions o;
  if (!parse_options(o, args,
                     {.verb = "reward",
                      .about = "train a reward model: a scalar head on a model folder",
                      .config = true,
                      .example = "hadal reward --model DIR --data.input pairs.jsonl --out runs/reward"}))
    return 0;
  ThreadPool pool(o.run.threads);
  Exec exec(pool);
  PostRun run(exec, o.run, template_text(o.data.template_file), scalar_head_config(o.run.model));
  const PreferenceEncoder encoder(run.tokenizer(), o.run.model);
  const bool pairwise = o.loss == "pairwise";
  const auto load = [&](const std::vector<std::string>& files) {
    return load_preferences(pool, encoder.get(), files, pairwise, o.run.trainer.seq_length);
  };
  const PreferenceData data = load(o.data.input);
  PreferenceData held_out;
  if (!o.data.validation.empty()) held_out = load(o.data.validation);
  RewardTask task(data, o.data.validation.empty() ? nullptr : &held_out, pairwise, o.run.seed);
  print_result(o.run, run.go(task, "reward", OptionTable(o).to_json(), data.to_json()));
  return 0;
}

int cmd_score(Args args) {
  ScoreOptions o;
  if (!parse_options(o, args,
                     {.verb = "score",
                      .about = "scores of conversations under a reward model, one JSON line each",
                      .example = "hadal score --model runs/reward/checkpoints/step-100 --input chats.jsonl"}))
    return 0;
  ThreadPool pool(o.threads);
  Exec exec(pool);
  RewardModel model(exec, o.model, o.precision);
  const PreferenceEncoder encoder(model.tokenizer(), o.model);
  read_records(o.input, [&](Result<Json>& line, index_t number) {
    JsonObject result{{"line", number}};
    const Result<std::vector<int>> ids = line ? encoder.ids_of(line.value()) : Failure{line.message()};
    if (ids)
      result["score"] = model.score(ids.value());
    else
      result["error"] = ids.message();
    fmt::print("{}\n", json_line(result));
  });
  return 0;
}

}  // namespace hadal
