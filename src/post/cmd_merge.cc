#include <fmt/format.h>

#include "formats/tokenizer_files.h"
#include "nn/weights.h"
#include "post/cmd_post.h"
#include "train/lora.h"

namespace hadal {
namespace {

struct MergeOptions {
  std::string model, adapter, out, dtype = "bf16";
  int threads = 0;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder that the adapter belongs to", {.required = true, .placeholder = "DIR"});
    v("adapter", adapter, "folder with adapter_model.safetensors and adapter_config.json",
      {.required = true, .placeholder = "DIR"});
    v("out", out, "model folder to write", {.required = true, .placeholder = "DIR"});
    v("dtype", dtype, "of the weights", {.choices = {"f32", "bf16", "f16"}});
    v("threads", threads, "0: all CPUs");
  }
};

}  // namespace

int cmd_merge(Args args) {
  MergeOptions o;
  if (!parse_options(o, args,
                     {.verb = "merge",
                      .about = "a low-rank adapter in PEFT's format into its model",
                      .example = "hadal merge --model DIR --adapter DIR/adapter --out merged"}))
    return 0;
  ThreadPool pool(o.threads);
  Exec exec(pool);
  Model model = load_model(exec, o.model, Precision::parse("f32"), /*train=*/false);
  const Lora lora(exec, model, read_adapter_config(o.adapter, {}), /*seed=*/0);  // loads it, and W = W0 + s B A
  save_model(model, o.out, parse_dtype(o.dtype));
  if (const std::optional<TokenizerFiles> files = find_tokenizer_files(o.model)) write_tokenizer_files(o.out, *files);
  fmt::print("{}: {} parameters\n", o.out, model.num_parameters());
  return 0;
}

}  // namespace hadal
