#include "train/guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hadal {
namespace {

// Of an even number of values the upper of the two in the middle. Reorders.
double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kSkip:
      return "skip";
    case Verdict::kRollBack:
      return "roll back";
  }
  fail("verdict: invalid value ", static_cast<int>(verdict));
}

double robust_z(std::vector<double> series, double value) {
  HADAL_CHECK(!series.empty(), "robust_z: no values to compare with");
  const double center = median(series);
  for (double& v : series) v = std::abs(v - center);
  const double spread = std::max(median(series), 1e-3 * std::abs(center));
  if (spread == 0.0) return value == center ? 0.0 : std::copysign(HUGE_VAL, value - center);
  return (value - center) / (1.4826 * spread);
}

StepGuard::StepGuard(const GuardOptions& options) : options_(options) {
  HADAL_CHECK(options.window > 0 && options.min_history > 0 && options.min_history <= options.window,
              "guard: got window ", options.window, " and min_history ", options.min_history,
              ", want 0 < min_history <= window");
  HADAL_CHECK(options.max_skips >= 0 && options.max_rollbacks >= 0, "guard: got max_skips ", options.max_skips,
              " and max_rollbacks ", options.max_rollbacks, ", want 0 or more");
  HADAL_CHECK(options.on_spike == "skip" || options.on_spike == "warn", "guard: on_spike: got \"", options.on_spike,
              "\", want skip|warn");
}

std::string StepGuard::spike(const Series& series, double value, double threshold, std::string_view name) const {
  if (threshold <= 0 || series.values.size() < static_cast<std::size_t>(options_.min_history)) return "";
  const double z = robust_z(series.values, value);
  if (z < threshold) return "";
  std::vector<double> values = series.values;
  return fmt::format("{} {:.4g}: z = {:.1f} over the last {} accepted steps (median {:.4g})", name, value, z,
                     values.size(), median(values));
}

void StepGuard::remember(Series& series, double value) const {
  if (series.values.size() < static_cast<std::size_t>(options_.window)) {
    series.values.push_back(value);
    return;
  }
  series.values[series.next] = value;
  series.next = (series.next + 1) % series.values.size();
}

Judgement StepGuard::judge(double loss, double grad_norm) {
  if (!options_.enabled) return {};
  const bool finite = std::isfinite(loss) && std::isfinite(grad_norm);
  std::string reason;
  if (!finite) {
    reason = fmt::format("loss {}, gradient norm {}: not finite", loss, grad_norm);
  } else {
    reason = spike(losses_, loss, options_.loss_threshold, "loss");
    if (reason.empty()) reason = spike(grad_norms_, grad_norm, options_.grad_norm_threshold, "gradient norm");
  }
  if (reason.empty() || (finite && options_.on_spike == "warn")) {
    remember(losses_, loss);
    remember(grad_norms_, grad_norm);
    skips_ = 0;
    return {.verdict = Verdict::kOk, .reason = std::move(reason)};
  }
  if (skips_ < options_.max_skips) {
    ++skips_;
    return {.verdict = Verdict::kSkip, .reason = std::move(reason)};
  }
  HADAL_CHECK(rollbacks_ < options_.max_rollbacks, "training cannot go on after ", rollbacks_, " roll-backs: ", reason,
              "; try a lower lr, or look at the skipped batches");
  ++rollbacks_;
  skips_ = 0;
  return {.verdict = Verdict::kRollBack, .reason = std::move(reason)};
}

JsonObject StepGuard::state() const {
  const auto series = [](const Series& s) {
    return JsonObject{{"values", JsonArray(s.values.begin(), s.values.end())},
                      {"next", static_cast<std::int64_t>(s.next)}};
  };
  return {
      {"losses", series(losses_)}, {"grad_norms", series(grad_norms_)}, {"skips", skips_}, {"rollbacks", rollbacks_}};
}

void StepGuard::restore(const JsonObject& state) {
  const Json value(state);
  ObjectReader reader(value, "guard state");
  const auto series = [&](std::string_view key) {
    ObjectReader inner = reader.object(key);
    Series s{.values = inner.get<std::vector<double>>("values")};
    s.next = static_cast<std::size_t>(inner.get_integer("next", 0, 1 << 30));
    inner.finish();
    HADAL_CHECK(s.next == 0 || s.next < s.values.size(), inner.at("next"), ": got ", s.next, ", want less than ",
                s.values.size());
    // Another window than before: keep the newest values that fit.
    std::rotate(s.values.begin(), s.values.begin() + static_cast<std::ptrdiff_t>(s.next), s.values.end());
    s.next = 0;
    const auto window = static_cast<std::size_t>(options_.window);
    if (s.values.size() > window)
      s.values.erase(s.values.begin(), s.values.end() - static_cast<std::ptrdiff_t>(window));
    return s;
  };
  losses_ = series("losses");
  grad_norms_ = series("grad_norms");
  skips_ = static_cast<int>(reader.get_integer("skips", 0, 1 << 30));
  rollbacks_ = static_cast<int>(reader.get_integer("rollbacks", 0, 1 << 30));
  reader.finish();
}

void StepGuard::restore_after_rollback(const JsonObject& state) {
  const int rollbacks = rollbacks_;
  restore(state);
  rollbacks_ = rollbacks;
  skips_ = 0;
}

}  // namespace hadal
