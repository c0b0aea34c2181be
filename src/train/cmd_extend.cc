#include <fmt/format.h>

#include "data/corpus/prepare.h"
#include "train/cmd_train.h"
#include "train/extend.h"

namespace hadal {
namespace {

struct ExtendVerbOptions {
  std::string model, out;
  int threads = 0;
  bool resume = false, json = false;
  CorpusOptions data;
  ExtendOptions extend;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder to extend", {.required = true, .placeholder = "DIR"});
    v("out", out, "run folder", {.required = true, .placeholder = "DIR"});
    v("threads", threads, "0: all CPUs");
    v("resume", resume, "continue the run of the folder");
    v("json", json, "print the result as JSON");
    v.group("data", data, "text; the tokenizer is the model's");
    extend.visit(v);
  }
};

}  // namespace

int cmd_extend(Args args) {
  ExtendVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "extend",
                      .about = "longer context with YaRN, in phases",
                      .config = true,
                      .example = "hadal extend --config configs/recipes/extend-demo.json --model "
                                 "runs/demo/checkpoints/step-600 --out runs/demo-4x"}))
    return 0;
  ThreadPool pool(o.threads);
  Exec exec(pool);
  if (o.data.tokenizer.empty()) o.data.tokenizer = o.model;
  const PreparedCorpus corpus = prepare_corpus(pool, o.data, std::filesystem::path(o.out) / "data");
  RunInputs inputs;
  inputs.verb = "extend";
  inputs.config = load_model_config(o.model);
  inputs.weights = o.model;
  HADAL_CHECK(corpus.packed.empty(),
              "extend: sequences grow from phase to phase, so the corpus must have pack.kind none");
  inputs.shard = &corpus.shard;
  inputs.tokenizer = &corpus.tokenizer;
  inputs.options = OptionTable(o).to_json();
  inputs.data = corpus.manifest;
  const RunResult result = run_extension(exec, o.extend, inputs, o.out, o.resume);
  if (o.json)
    fmt::print("{}\n", json_line(JsonObject{{"finished", result.finished},
                                            {"model", result.model.string()},
                                            {"bits_per_byte", result.bits_per_byte}}));
  else
    fmt::print("model: {}\nmeasurements: {}/extension.json\n", result.model.string(), o.out);
  return 0;
}

}  // namespace hadal
