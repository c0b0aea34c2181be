#include "infer/cmd_inspect.h"

#include <fmt/format.h>

#include <string>

#include "formats/inspect.h"
#include "infer/memory_plan.h"

namespace hadal {
namespace {

struct InspectOptions {
  std::string path, weights = "bf16", weights_cache, weights_memory;
  bool json = false, plan = false;
  EngineOptions engine;
  template <class V>
  void visit(V&& v) {
    v("path", path, "model folder, config .json, .safetensors or .gguf file",
      {.required = true, .positional = true, .placeholder = "DIR|FILE"});
    v("json", json, "print one JSON object");
    v("plan", plan, "instead: what generate, chat and serve would take of the memory, with the options below");
    v("weights", weights, "as of generate", {.placeholder = "FORM"});
    v("weights_cache", weights_cache, "as of generate", {.placeholder = "DIR"});
    v("weights_memory", weights_memory, "as of generate", {.placeholder = "BYTES"});
    v.group("engine", engine, "how requests would run beside each other");
  }
};

/// The plan for a folder, a GGUF file or a config.json.
int print_plan(const InspectOptions& o) {
  ThreadPool pool(1);
  Exec exec(pool);
  const ModelConfig config = load_model_config(o.path);
  Model model(config, inference_precision(o.weights, config), /*train=*/false);
  const LoadOptions load{
      .model = o.path, .weights = o.weights, .weights_cache = o.weights_cache, .weights_memory = o.weights_memory};
  const MemoryPlan plan = plan_memory(model, exec, load, o.engine, memory_info());
  if (o.json)
    fmt::print("{}\n", json_line(plan.json()));
  else
    fmt::print("{}", plan.table());
  plan.check();
  return 0;
}

}  // namespace

int cmd_inspect(Args args) {
  InspectOptions options;
  const VerbInfo verb = {.verb = "inspect",
                         .about = "family, shapes, parameters, dtypes and KV bytes per token of a model",
                         .example = "hadal inspect configs/models/deepseek-v3.json"};
  if (!parse_options(options, args, verb)) return 0;
  if (options.plan) return print_plan(options);
  const JsonObject report = inspect(options.path);
  if (options.json)
    fmt::print("{}\n", json_line(report));
  else
    fmt::print("{}", inspect_text(report));
  return 0;
}

}  // namespace hadal
