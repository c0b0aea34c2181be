#include "train/balance.h"

#include <algorithm>
#include <numeric>

namespace hadal {

void update_router_bias(Model& model, const std::vector<std::vector<double>>& loads, double speed) {
  const std::vector<Moe*> layers = model.moe_layers();
  for (std::size_t layer = 0; layer < layers.size() && layer < loads.size(); ++layer) {
    const View bias = layers[layer]->correction_bias();
    if (bias.empty() || speed == 0) continue;
    const std::vector<double>& load = loads[layer];
    const double mean = std::accumulate(load.begin(), load.end(), 0.0) / static_cast<double>(load.size());
    for (std::size_t e = 0; e < load.size(); ++e) {
      const double error = mean - load[e];
      bias.as<float>()(0, static_cast<index_t>(e)) += static_cast<float>(error > 0 ? speed : error < 0 ? -speed : 0);
    }
  }
}

double max_violation(const std::vector<double>& load) {
  const double sum = std::accumulate(load.begin(), load.end(), 0.0);
  if (sum == 0) return 0;
  return *std::max_element(load.begin(), load.end()) * static_cast<double>(load.size()) / sum - 1;
}

}  // namespace hadal
