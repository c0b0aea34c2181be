#pragma once
// A model folder, ready to answer.
#include <optional>

#include "data/tokenizer/tokenizer.h"
#include "infer/load_options.h"
#include "infer/memory_plan.h"
#include "nn/expert_cache.h"

namespace hadal {

/// Weights packed for inference, the tokenizer if the folder has one, and what kernels need. Not movable: the context
/// refers to its neighbours.
class LoadedModel {
 public:
  /// Logs what it will take of the memory. Throws Error when that is not there, and when a file is missing or does not
  /// fit the config.
  explicit LoadedModel(const LoadOptions& options, const EngineOptions& engine = {});
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  /// nullptr when there is none.
  const Tokenizer* tokenizer() const { return tokenizer_ ? &*tokenizer_ : nullptr; }
  /// Of streamed experts; nullptr: all are in memory.
  const ExpertCache* experts() const { return experts_ ? &*experts_ : nullptr; }
  /// How streaming went so far, as a line of the log; nothing without it.
  void log_experts() const;

 private:
  ThreadPool pool_;
  Arena saved_, scratch_;

 public:
  Exec exec;
  ModelConfig config;
  Context ctx;

 private:
  std::optional<PackedFile> packed_;  // with --weights-cache

 public:
  Model model;
  EngineOptions engine;  // as given, with a cache that fits into the memory

 private:
  void load(const LoadOptions& options, const MemoryPlan& plan);

  std::optional<ExpertCache> experts_;
  std::optional<Tokenizer> tokenizer_;
};

}  // namespace hadal
