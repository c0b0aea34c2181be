#pragma once
#include <vector>

#include "nn/model.h"

namespace hadal {

/// Auxiliary-loss-free load balancing (DeepSeek-V3 report 2.1.2; Wang et al. 2408.15664, algorithm 1): after each step,
/// b_i += speed * sign(mean load - load_i), over the whole batch. loads: one entry per MoE layer, tokens routed to each
/// expert. Layers without a correction bias are left alone.
void update_router_bias(Model& model, const std::vector<std::vector<double>>& loads, double speed);

/// max_i(load_i) / mean - 1; 0 for a layer that saw no tokens.
double max_violation(const std::vector<double>& load);

}  // namespace hadal
