#pragma once
// What changes over a run: learning rate, batch size, weight of the MTP loss, speed of the router bias. All are pure
// functions of where the run stands, so a resumed run continues them exactly. Places are fractions of the whole run, so
// that a run of minutes goes through the same parts as one of months. Numbers: DeepSeek LLM 2.3, DeepSeekMoE 4.1.3,
// DeepSeek-V2 3.1.2, DeepSeek-V3 4.2.
#include <cstdint>
#include <string>
#include <vector>

namespace hadal {

/// The length of a run, and where it stands: the optimizer step that comes next counts from 0.
struct RunPosition {
  std::int64_t step = 0, tokens = 0;
};

/// One part of a learning-rate schedule: the factor on the peak rate between the end of the part before and `until`.
struct LrPart {
  double until = 1.0;           // fraction of the run
  double from = 1.0, to = 1.0;  // factors on the peak rate
  std::string shape = "linear";
  template <class V>
  void visit(V&& v) {
    v("until", until, "where the part ends, as a fraction of the run");
    v("from", from, "factor on the peak rate where it begins");
    v("to", to, "factor on the peak rate where it ends");
    v("shape", shape, "way from one to the other", {.choices = {"linear", "cosine", "sqrt"}});
  }
};

/// lr(run) = lr * min(1, (step + 1) / warmup_steps) * factor(fraction of the run). The kinds:
///   constant    1
///   multi_step  1, then milestone_factors[i] from milestones[i] on (LLM: 0.8, 0.9 -> 0.316, 0.1; V2: 0.6, 0.9)
///   cosine      1 -> final_factor by half a cosine
///   linear      1 -> final_factor
///   wsd         1 until the last decay_fraction, then down to final_factor as 1 - sqrt, linear or cosine
///   v3          1 until 10T of 14.8T tokens, half a cosine to 0.1 at 14.3T, 0.1 until 14.633T, then 7.3e-6 / 2.2e-4
///   parts       as `parts` say
struct LrOptions {
  std::string kind = "multi_step";
  double lr = 4.2e-4;
  std::int64_t warmup_steps = 2000;
  std::string progress = "tokens";
  std::vector<double> milestones = {0.8, 0.9};
  std::vector<double> milestone_factors = {0.316, 0.1};
  double final_factor = 0.1;
  double decay_fraction = 0.2;
  std::string decay_shape = "sqrt";
  std::vector<LrPart> parts;
  template <class V>
  void visit(V&& v) {
    v("kind", kind, "shape over the run",
      {.choices = {"constant", "multi_step", "cosine", "linear", "wsd", "v3", "parts"}});
    v("lr", lr, "peak learning rate");
    v("warmup_steps", warmup_steps, "steps of linear warm-up, under any kind");
    v("progress", progress, "what measures the run", {.choices = {"tokens", "steps"}});
    v("milestones", milestones, "multi_step: fractions of the run where the rate drops");
    v("milestone_factors", milestone_factors, "multi_step: factors on the peak rate from there on");
    v("final_factor", final_factor, "cosine, linear, wsd: factor on the peak rate at the end");
    v("decay_fraction", decay_fraction, "wsd: last part of the run, which decays");
    v("decay_shape", decay_shape, "wsd: how it decays", {.choices = {"linear", "cosine", "sqrt"}});
    v.list("parts", parts, "parts: the schedule itself, one part after the other");
  }
};

/// The learning rate of a run of length `total`. Checks the options when it is made; throws Error.
class LrSchedule {
 public:
  LrSchedule(const LrOptions& options, RunPosition total);
  /// The rate of optimizer step now.step (from 0), before which now.tokens tokens were trained on.
  double at(RunPosition now) const;

 private:
  double peak_;
  std::int64_t warmup_steps_;
  bool by_tokens_;
  RunPosition total_;
  std::vector<LrPart> parts_;
};

/// Sequences per optimizer step. The ramp is linear in tokens, in whole multiples (the papers say "gradually"). V3:
/// 3072 -> 15360 over the first 469B of 14.8T tokens; V2: 2304 -> 9216 over the first 225B.
struct BatchOptions {
  std::int64_t sequences = 32;
  std::int64_t ramp_from = 0;
  double ramp_fraction = 0.0317;
  std::int64_t multiple = 1;
  template <class V>
  void visit(V&& v) {
    v("sequences", sequences, "sequences per optimizer step");
    v("ramp_from", ramp_from, "sequences at the start of the ramp; 0: no ramp");
    v("ramp_fraction", ramp_fraction, "part of the run's tokens over which the batch grows");
    v("multiple", multiple, "the batch is a multiple of this");
  }
};

/// Sequences of the step before which `tokens` of `total_tokens` were trained on.
std::int64_t batch_sequences(const BatchOptions& options, std::int64_t tokens, std::int64_t total_tokens);
/// Optimizer steps until at least `total_tokens` are trained on; the last step may overshoot.
std::int64_t steps_of_run(const BatchOptions& options, std::int64_t total_tokens, std::int64_t seq_length);
/// The length of a run of `steps` optimizer steps, or of `tokens` tokens when steps is 0; exactly one must be given.
RunPosition plan_run(const BatchOptions& options, std::int64_t seq_length, std::int64_t steps, std::int64_t tokens);

/// A value that changes once.
struct SwitchOptions {
  double first = 0.0, then = 0.0;
  double at = 1.0;  // fraction of the run's tokens
  template <class V>
  void visit(V&& v) {
    v("first", first, "value at the start");
    v("then", then, "value after the switch");
    v("at", at, "fraction of the run's tokens where it switches");
  }
  double value(std::int64_t tokens, std::int64_t total_tokens) const {
    return static_cast<double>(tokens) < at * static_cast<double>(total_tokens) ? first : then;
  }
};

/// lambda of the MTP loss: 0.3 for the first 10T of 14.8T tokens, then 0.1.
inline SwitchOptions v3_mtp_weight() {
  return {.first = 0.3, .then = 0.1, .at = 10.0 / 14.8};
}
/// gamma of the router bias: 0.001 for the first 14.3T of 14.8T tokens, then 0.
inline SwitchOptions v3_bias_speed() {
  return {.first = 0.001, .then = 0.0, .at = 14.3 / 14.8};
}

}  // namespace hadal
