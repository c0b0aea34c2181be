#pragma once
#include "infer/loaded_model.h"
#include "serve/api.h"

namespace hadal {

/// The engine of a loaded model on its thread.
class EngineSource final : public TokenSource {
 public:
  EngineSource(LoadedModel& loaded, const EngineOptions& options)
      : loaded_(loaded), engine_(loaded.ctx, loaded.model, loaded.tokenizer(), options), thread_(engine_) {}
  std::uint64_t submit(Request request) override { return thread_.submit(std::move(request)); }
  void cancel(std::uint64_t request) override { thread_.cancel(request); }
  EngineStats stats() const override { return engine_.stats(); }
  std::optional<ExpertStats> expert_stats() const override {
    return loaded_.experts() != nullptr ? std::optional(loaded_.experts()->stats()) : std::nullopt;
  }
  std::int64_t context() const override { return engine_.context(); }

 private:
  const LoadedModel& loaded_;
  Engine engine_;
  EngineThread thread_;
};

}  // namespace hadal
