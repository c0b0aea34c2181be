#include "nn/cmd_export.h"

#include <fmt/format.h>

#include "nn/gguf_weights.h"
#include "nn/weights.h"

namespace hadal {
namespace {

struct ExportOptions {
  std::string model, out, format = "gguf", type = "bf16";
  int threads = 0;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder or GGUF file", {.required = true, .placeholder = "DIR"});
    v("out", out, "file (gguf) or folder (hf) to write", {.required = true, .placeholder = "PATH"});
    v("format", format, "gguf: one file with the tokenizer in it; hf: a folder of safetensors",
      {.choices = {"gguf", "hf"}});
    v("type", type, "of the matrices; q8_0: gguf only", {.choices = {"f32", "f16", "bf16", "q8_0"}});
    v("threads", threads, "0: all CPUs");
  }
};

GgmlType gguf_type(const std::string& name) {
  if (name == "f32") return GgmlType::kF32;
  if (name == "f16") return GgmlType::kF16;
  return name == "q8_0" ? GgmlType::kQ8_0 : GgmlType::kBF16;
}

}  // namespace

int cmd_export(Args args) {
  ExportOptions o;
  if (!parse_options(o, args,
                     {.verb = "export",
                      .about = "a model in another format",
                      .example = "hadal export --model DIR --type q8_0 --out model.gguf"}))
    return 0;
  HADAL_CHECK(o.format == "gguf" || o.type != "q8_0", "export: q8_0 is a type of GGUF files");
  ThreadPool pool(o.threads);
  Exec exec(pool);
  Model model = load_model(exec, o.model, Precision{.compute = DType::kF32}, /*train=*/false);
  const std::optional<TokenizerFiles> tokenizer = find_tokenizer_files(o.model);
  if (o.format == "gguf") {
    write_gguf_model(o.out, model, tokenizer ? &*tokenizer : nullptr, gguf_type(o.type));
  } else {
    save_model(model, o.out, parse_dtype(o.type));
    if (tokenizer) write_tokenizer_files(o.out, *tokenizer);
  }
  fmt::print("{}: {} parameters as {}{}\n", o.out, model.num_parameters(), o.type,
             tokenizer ? "" : ", without a tokenizer");
  return 0;
}

}  // namespace hadal
