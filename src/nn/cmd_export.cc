#include "nn/cmd_export.h"

#include <fmt/format.h>

#include "nn/gguf_weights.h"
#include "nn/weights.h"

namespace hadal {
namespace {

struct ExportOptions {
  std::string model, out, format = "gguf", type = "bf16";
  std::string gguf_mla = "legacy";
  int threads = 0;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder or GGUF file", {.required = true, .placeholder = "DIR"});
    v("out", out, "file (gguf) or folder (hf) to write", {.required = true, .placeholder = "PATH"});
    v("format", format, "gguf: one file with the tokenizer in it; hf: a folder of safetensors",
      {.choices = {"gguf", "hf"}});
    v("type", type,
      "of the matrices; fp8 (hf only): E4M3 in blocks of 128x128; quantised ones (gguf only): see also `hadal "
      "quantize`",
      {.choices = {"f32", "f16", "bf16", "fp8", "q8_0", "q6_k", "q5_k", "q4_k", "q4_0"}});
    v("gguf_mla", gguf_mla,
      "latent attention in GGUF: legacy is read by all versions of llama.cpp and by ik_llama.cpp; new: split kv_b_proj",
      {.choices = {"legacy", "new"}});
    v("threads", threads, "0: all CPUs");
  }
};

}  // namespace

int cmd_export(Args args) {
  ExportOptions o;
  if (!parse_options(o, args,
                     {.verb = "export",
                      .about = "a model in another format",
                      .example = "hadal export --model DIR --type q8_0 --out model.gguf"}))
    return 0;
  HADAL_CHECK(o.format == "gguf" || !o.type.starts_with("q"), "export: ", o.type, " is a type of GGUF files");
  HADAL_CHECK(o.format == "hf" || o.type != "fp8", "export: fp8 is a type of Hugging Face folders");
  ThreadPool pool(o.threads);
  Exec exec(pool);
  // FP8 goes from checkpoint to checkpoint as it is.
  const Precision precision =
      o.type == "fp8" ? Precision{.compute = DType::kBF16, .fp8_weights = true} : Precision{.compute = DType::kF32};
  Model model = load_model(exec, o.model, precision, /*train=*/false);
  const std::optional<TokenizerFiles> tokenizer = find_tokenizer_files(o.model);
  if (o.format == "gguf") {
    const GgmlType type = parse_ggml_type(o.type);
    write_gguf_model(
        exec, o.out, model, tokenizer ? &*tokenizer : nullptr, [&](const Param&) { return type; },
        o.gguf_mla == "new" ? GgufMla::kSplit : GgufMla::kLegacy);
  } else {
    save_model(model, o.out, o.type == "fp8" ? DType::kBF16 : parse_dtype(o.type));
    if (tokenizer) write_tokenizer_files(o.out, *tokenizer);
  }
  fmt::print("{}: {} parameters as {}{}\n", o.out, model.num_parameters(), o.type,
             tokenizer ? "" : ", without a tokenizer");
  return 0;
}

}  // namespace hadal
