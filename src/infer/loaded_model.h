#pragma once
// A model folder, ready to answer.
#include <optional>

#include "data/tokenizer/tokenizer.h"
#include "nn/model.h"

namespace hadal {

struct LoadOptions {
  std::string model, weights = "bf16";
  int threads = 0;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder or GGUF file", {.required = true, .placeholder = "DIR"});
    v("weights", weights,
      "form of the weights: f32, bf16; int8 and int4 in groups with a scale, int4-experts the rest in int8; "
      "fp8-weights "
      "E4M3 with bf16 activations; as-stored: FP8 checkpoints fp8-weights, others bf16; fp8: E4M3 activations too, as "
      "FP8 checkpoints are meant to run; or by class: attention|dense|experts|head=bf16|fp8|int8|int4,...",
      {.placeholder = "FORM"});
    v("threads", threads, "0: all CPUs");
  }
};

/// What `weights` asks of the activations, and whether linear layers take E4M3 weights from the checkpoint as they are.
/// Throws Error for a form that is not known.
Precision inference_precision(std::string_view weights, const ModelConfig& config);

/// Weights packed for inference, the tokenizer if the folder has one, and what kernels need. Not movable: the context
/// refers to its neighbours.
class LoadedModel {
 public:
  /// Throws Error when a file is missing or does not fit the config.
  explicit LoadedModel(const LoadOptions& options);
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  /// nullptr when there is none.
  const Tokenizer* tokenizer() const { return tokenizer_ ? &*tokenizer_ : nullptr; }

 private:
  ThreadPool pool_;
  Arena saved_, scratch_;

 public:
  Exec exec;
  ModelConfig config;
  Context ctx;
  Model model;

 private:
  std::optional<Tokenizer> tokenizer_;
};

}  // namespace hadal
