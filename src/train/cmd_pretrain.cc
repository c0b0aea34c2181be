#include <fmt/format.h>

#include "base/log.h"
#include "data/corpus/prepare.h"
#include "train/cmd_train.h"
#include "train/run.h"

namespace hadal {
namespace {

struct PretrainOptions {
  std::string model, out, init_from;
  int threads = 0;
  bool resume = false, json = false;
  CorpusOptions data;
  RunOptions run;
  template <class V>
  void visit(V&& v) {
    v("model", model, "config.json of the model", {.required = true, .placeholder = "FILE"});
    v("out", out, "run folder", {.required = true, .placeholder = "DIR"});
    v("init_from", init_from, "model folder to start from; empty: random weights", {.placeholder = "DIR"});
    v("threads", threads, "0: all CPUs");
    v("resume", resume, "continue the run of the folder");
    v("json", json, "print the result as JSON");
    v.group("data", data, "text and tokenizer");
    run.visit(v);
  }
};

}  // namespace

int cmd_pretrain(Args args) {
  PretrainOptions o;
  if (!parse_options(o, args,
                     {.verb = "pretrain",
                      .about = "train a base model from text",
                      .config = true,
                      .example = "hadal pretrain --config configs/recipes/demo.json --out runs/demo"}))
    return 0;
  ThreadPool pool(o.threads);
  Exec exec(pool);
  const PreparedCorpus corpus = prepare_corpus(pool, o.data, std::filesystem::path(o.out) / "data");
  const TokenizerSpec& spec = corpus.tokenizer.files().spec;
  o.run.loader.fim.begin_id = added_token_id(spec, "<｜fim▁begin｜>");
  o.run.loader.fim.hole_id = added_token_id(spec, "<｜fim▁hole｜>");
  o.run.loader.fim.end_id = added_token_id(spec, "<｜fim▁end｜>");

  RunInputs inputs;
  inputs.verb = "pretrain";
  inputs.config = load_model_config(o.model);
  inputs.config.bos_token_id = corpus.tokenizer.bos_id();
  inputs.config.eos_token_ids = {corpus.tokenizer.eos_id()};
  inputs.weights = o.init_from;
  inputs.shard = &corpus.shard;
  inputs.packed = corpus.packed, inputs.packed_validation = corpus.packed_validation;
  inputs.tokenizer = &corpus.tokenizer;
  inputs.options = OptionTable(o).to_json();
  inputs.data = corpus.manifest;
  const ParameterCount parameters = count_parameters(inputs.config);
  log_info("model: ", parameters.total, " parameters (", parameters.active, " active a token, ", parameters.mtp,
           " in MTP); corpus: ", corpus.manifest.at("documents").to_number<std::int64_t>(), " documents, ",
           corpus.manifest.at("tokens").to_number<std::int64_t>(), " tokens");
  const RunResult result = run_training(exec, o.run, inputs, o.out, o.resume);
  if (o.json)
    fmt::print("{}\n", json_line(JsonObject{{"finished", result.finished},
                                            {"model", result.model.string()},
                                            {"loss", result.loss},
                                            {"validation_loss", result.validation_loss},
                                            {"bits_per_byte", result.bits_per_byte}}));
  else
    fmt::print(
        "{}: loss {:.4f}{}\nmodel: {}\nreport: {}/report.html\n", o.out, result.loss,
        result.bits_per_byte > 0 ? fmt::format(", {:.4f} bits per byte on validation text", result.bits_per_byte) : "",
        result.model.string(), o.out);
  return 0;
}

}  // namespace hadal
