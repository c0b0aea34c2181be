#pragma once
// What a model will take of this machine's memory, before any of it is loaded.
#include <string>
#include <vector>

#include "base/json.h"
#include "base/memory_info.h"
#include "infer/engine.h"
#include "infer/load_options.h"

namespace hadal {

struct MemoryPlan {
  /// Weights of one class.
  struct Weights {
    std::string what, form;
    index_t bytes = 0;
    bool streamed = false;
  };
  std::vector<Weights> weights;
  std::string weights_lie;                                       // "memory", "mapped file", ...
  index_t expert_bytes = 0, num_experts = 0, expert_places = 0;  // places: of streamed experts
  index_t least_bytes = 0;                                       // of --weights-memory for this model
  index_t cache_tokens = 0, cache_bytes = 0;
  index_t scratch_bytes = 0;  // about
  MemoryInfo memory;

  /// Weights, and those of them that are in memory at any time.
  index_t weight_bytes() const;
  index_t resident_weight_bytes() const;
  /// All that must fit.
  index_t resident_bytes() const { return resident_weight_bytes() + cache_bytes + scratch_bytes; }
  /// Throws Error, and says what to do, when it does not fit.
  void check() const;
  /// A table for people, and the same in two lines for the log.
  std::string table() const;
  std::vector<std::string> lines() const;
  JsonObject json() const;
};

/// `model` has no values yet. A cache whose size the options leave open gets what the weights leave. Throws Error when
/// --weights-memory is less than what cannot be streamed, or has no file to stream from.
MemoryPlan plan_memory(Model& model, Exec& ex, const LoadOptions& load, const EngineOptions& engine,
                       const MemoryInfo& memory);

/// What `weights` asks of the activations, and whether linear layers take E4M3 weights from the checkpoint as they are.
/// Throws Error for a form that is not known.
Precision inference_precision(std::string_view weights, const ModelConfig& config);

}  // namespace hadal
