#include "data/corpus/mix.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hadal {

void mix_epochs(std::vector<MixGroup>& groups, const MixOptions& options) {
  HADAL_CHECK(options.tokens >= 0 && options.temperature > 0, "mix: tokens ", options.tokens, " at temperature ",
              options.temperature, ", want at least 0 and above 0");
  double sum = 0;
  for (MixGroup& g : groups) {
    HADAL_CHECK(g.weight >= 0 && g.max_epochs >= 0 && std::isfinite(g.weight) && std::isfinite(g.max_epochs),
                "mix: ", g.source, ": weight ", g.weight, " and max_epochs ", g.max_epochs, ", want at least 0");
    g.epochs = g.tokens == 0 ? 0.0 : std::min(g.weight, g.max_epochs);
    sum += g.epochs;
  }
  HADAL_CHECK(sum > 0 || groups.empty(), "mix: all weights are 0");
  if (options.tokens == 0) return;

  for (MixGroup& g : groups) g.epochs = 0;
  double wanted = static_cast<double>(options.tokens);
  std::vector<bool> capped(groups.size());
  for (;;) {
    double all = 0;
    const auto share = [&](const MixGroup& g) {
      return g.tokens == 0 ? 0.0 : g.weight * std::pow(static_cast<double>(g.tokens), 1 / options.temperature);
    };
    for (std::size_t i = 0; i < groups.size(); ++i)
      if (!capped[i]) all += share(groups[i]);
    if (all <= 0) return;
    bool again = false;
    double left = wanted;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      MixGroup& g = groups[i];
      if (capped[i] || g.tokens == 0) continue;
      g.epochs = wanted * share(g) / all / static_cast<double>(g.tokens);
      if (g.epochs <= g.max_epochs) continue;
      g.epochs = g.max_epochs;
      left -= g.epochs * static_cast<double>(g.tokens);
      capped[i] = again = true;
    }
    if (!again) return;
    wanted = std::max(left, 0.0);
  }
}

int CopyCounter::copies(std::int64_t tokens) {
  const double length = static_cast<double>(std::max<std::int64_t>(tokens, 1));
  owed_ += epochs_ * length;
  const double copies = std::clamp(std::floor(owed_ / length + 0.5), std::floor(epochs_), std::ceil(epochs_));
  owed_ -= copies * length;
  return static_cast<int>(copies);
}

}  // namespace hadal
