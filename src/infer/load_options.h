#pragma once
#include <string>

namespace hadal {

/// Which model, and how its weights are held.
struct LoadOptions {
  std::string model, weights = "bf16", weights_cache, weights_memory;
  int threads = 0;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder or GGUF file", {.required = true, .placeholder = "DIR"});
    v("weights", weights,
      "form of the weights: f32, bf16; int8 and int4 in groups with a scale, int4-experts the rest in int8; "
      "fp8-weights E4M3 with bf16 activations; as-stored: FP8 checkpoints fp8-weights, others bf16; fp8: E4M3 "
      "activations too, as "
      "FP8 checkpoints are meant to run; or by class: attention|dense|experts|head=bf16|fp8|int8|int4,...",
      {.placeholder = "FORM"});
    v("weights_cache", weights_cache,
      "folder that keeps the weights as this CPU reads them: made at the first start, mapped at later ones",
      {.placeholder = "DIR"});
    v("weights_memory", weights_memory,
      "most memory for weights (8000000000, 7.5G): routed experts beyond it are read from --weights-cache when tokens "
      "need them",
      {.placeholder = "BYTES"});
    v("threads", threads, "0: all CPUs");
  }
};

}  // namespace hadal
