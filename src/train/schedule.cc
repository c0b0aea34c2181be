#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace hadal {
namespace {

// How far the way from `from` to `to` has gone at x in [0, 1].
double travelled(const std::string& shape, double x) {
  if (shape == "linear") return x;
  if (shape == "cosine") return 0.5 * (1.0 - std::cos(std::numbers::pi * x));
  if (shape == "sqrt") return std::sqrt(x);
  fail("lr shape: got \"", shape, "\", want linear|cosine|sqrt");
}

LrPart flat(double until, double factor) {
  return {.until = until, .from = factor, .to = factor};
}

std::vector<LrPart> parts_of(const LrOptions& o) {
  if (o.kind == "constant") return {flat(1.0, 1.0)};
  if (o.kind == "cosine" || o.kind == "linear")
    return {{.until = 1.0, .from = 1.0, .to = o.final_factor, .shape = o.kind}};
  if (o.kind == "wsd") {
    HADAL_CHECK(o.decay_fraction > 0 && o.decay_fraction <= 1, "decay_fraction: got ", o.decay_fraction,
                ", want more than 0 and at most 1");
    return {flat(1.0 - o.decay_fraction, 1.0),
            {.until = 1.0, .from = 1.0, .to = o.final_factor, .shape = o.decay_shape}};
  }
  if (o.kind == "v3")
    return {flat(10.0 / 14.8, 1.0),
            {.until = 14.3 / 14.8, .from = 1.0, .to = 0.1, .shape = "cosine"},
            flat(14.633 / 14.8, 0.1),
            flat(1.0, 7.3e-6 / 2.2e-4)};
  if (o.kind == "multi_step") {
    HADAL_CHECK(o.milestones.size() == o.milestone_factors.size(), "milestones: got ", o.milestones.size(),
                ", and milestone_factors: ", o.milestone_factors.size(), "; want as many");
    std::vector<LrPart> parts;
    double factor = 1.0;
    for (std::size_t i = 0; i < o.milestones.size(); ++i) {
      parts.push_back(flat(o.milestones[i], factor));
      factor = o.milestone_factors[i];
    }
    parts.push_back(flat(1.0, factor));
    return parts;
  }
  HADAL_CHECK(o.kind == "parts", "lr kind: got \"", o.kind, "\", want constant|multi_step|cosine|linear|wsd|v3|parts");
  HADAL_CHECK(!o.parts.empty(), "lr kind parts: the list \"parts\" is empty");
  return o.parts;
}

}  // namespace

LrSchedule::LrSchedule(const LrOptions& options, RunPosition total)
    : peak_(options.lr),
      warmup_steps_(options.warmup_steps),
      by_tokens_(options.progress == "tokens"),
      total_(total),
      parts_(parts_of(options)) {
  HADAL_CHECK(peak_ > 0 && std::isfinite(peak_), "lr: got ", peak_, ", want more than 0");
  HADAL_CHECK(warmup_steps_ >= 0, "warmup_steps: got ", warmup_steps_, ", want 0 or more");
  HADAL_CHECK(by_tokens_ || options.progress == "steps", "lr progress: got \"", options.progress,
              "\", want tokens|steps");
  HADAL_CHECK(total.step > 0 && total.tokens > 0, "lr: a run of ", total.step, " steps and ", total.tokens, " tokens");
  double begin = 0.0;
  for (const LrPart& part : parts_) {
    HADAL_CHECK(part.until >= begin && part.until <= 1.0, "lr part until: got ", part.until, ", want ", begin, " to 1");
    HADAL_CHECK(part.from >= 0 && part.to >= 0, "lr part: got factors ", part.from, " and ", part.to,
                ", want 0 or more");
    travelled(part.shape, 0.0);
    begin = part.until;
  }
}

double LrSchedule::at(RunPosition now) const {
  const double done = by_tokens_ ? static_cast<double>(now.tokens) / static_cast<double>(total_.tokens)
                                 : static_cast<double>(now.step) / static_cast<double>(total_.step);
  double factor = parts_.back().to;
  double begin = 0.0;
  for (const LrPart& part : parts_) {
    if (done < part.until) {
      const double share = travelled(part.shape, (done - begin) / (part.until - begin));
      factor = part.from + (part.to - part.from) * share;
      break;
    }
    begin = part.until;
  }
  if (now.step < warmup_steps_) factor *= static_cast<double>(now.step + 1) / static_cast<double>(warmup_steps_);
  return peak_ * factor;
}

std::int64_t batch_sequences(const BatchOptions& o, std::int64_t tokens, std::int64_t total_tokens) {
  HADAL_CHECK(o.multiple > 0 && o.sequences > 0 && o.sequences % o.multiple == 0, "batch: got ", o.sequences,
              " sequences, want a positive multiple of ", o.multiple);
  const double ramp = o.ramp_fraction * static_cast<double>(total_tokens);
  if (o.ramp_from == 0 || static_cast<double>(tokens) >= ramp) return o.sequences;
  HADAL_CHECK(o.ramp_from > 0 && o.ramp_from <= o.sequences && o.ramp_from % o.multiple == 0, "ramp_from: got ",
              o.ramp_from, ", want a multiple of ", o.multiple, " up to ", o.sequences);
  const double grown = static_cast<double>(o.sequences - o.ramp_from) * static_cast<double>(tokens) / ramp;
  return o.ramp_from + static_cast<std::int64_t>(grown) / o.multiple * o.multiple;
}

std::int64_t steps_of_run(const BatchOptions& options, std::int64_t total_tokens, std::int64_t seq_length) {
  HADAL_CHECK(seq_length > 0, "sequence length: got ", seq_length);
  const std::int64_t full =
      batch_sequences({.sequences = options.sequences, .multiple = options.multiple}, 0, 1) * seq_length;
  std::int64_t steps = 0, tokens = 0;
  while (tokens < total_tokens) {
    const std::int64_t sequences = batch_sequences(options, tokens, total_tokens);
    if (sequences == options.sequences) return steps + (total_tokens - tokens + full - 1) / full;
    tokens += sequences * seq_length;
    ++steps;
  }
  return steps;
}

RunPosition plan_run(const BatchOptions& options, std::int64_t seq_length, std::int64_t steps, std::int64_t tokens) {
  HADAL_CHECK((steps > 0) != (tokens > 0), "length of the run: got ", steps, " steps and ", tokens,
              " tokens, want one of them");
  if (tokens > 0) return {.step = steps_of_run(options, tokens, seq_length), .tokens = tokens};
  // The length of the ramp depends on the tokens, which are sought: the most that need no more than `steps` steps.
  // Steps grow with tokens, so halve the interval.
  std::int64_t fits = 1, too_many = steps * options.sequences * seq_length + 1;
  while (fits + 1 < too_many) {
    const std::int64_t middle = fits + (too_many - fits) / 2;
    (steps_of_run(options, middle, seq_length) > steps ? too_many : fits) = middle;
  }
  return {.step = steps, .tokens = fits};
}

}  // namespace hadal
