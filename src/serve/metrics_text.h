#pragma once
#include <optional>
#include <string>

#include "infer/engine.h"
#include "nn/expert_cache.h"

namespace hadal {

/// Statistics of a server in Prometheus's text format (version 0.0.4). experts: of streamed experts, where there are.
std::string metrics_text(const EngineStats& engine, const std::optional<ExpertStats>& experts);

}  // namespace hadal
