#pragma once
#include "train/needle.h"
#include "train/run.h"

namespace hadal {

/// One phase of context extension (V3: 1000 steps at 32K, then 1000 at 128K, learning rate 7.3e-6; report 4.3).
struct ExtendPhase {
  int seq_length = 0;
  double factor = 0, lr = 7.3e-6;
  std::int64_t steps = 1000, sequences = 16;
  int micro_sequences = 0;
  template <class V>
  void visit(V&& v) {
    v("seq_length", seq_length, "tokens of a sequence", {.required = true});
    v("factor", factor, "YaRN factor; 0: seq_length / original length");
    v("lr", lr, "learning rate, constant");
    v("steps", steps, "optimizer steps");
    v("sequences", sequences, "sequences per step");
    v("micro_sequences", micro_sequences, "sequences of a micro-batch; 0: all at once");
  }
};

struct ExtendOptions {
  std::vector<ExtendPhase> phases;
  bool yarn = true;
  double beta_fast = 32, beta_slow = 1, mscale = 1;
  NeedleOptions needle;
  RunOptions run;  // what the phases share; their own length, batch and rate win
  template <class V>
  void visit(V&& v) {
    v.list("phases", phases, "one after the other");
    v("yarn", yarn, "rescale the rotary frequencies (off: the comparison that fails)");
    v("beta_fast", beta_fast, "YaRN: turns over the original length from which a pair keeps its frequency");
    v("beta_slow", beta_slow, "YaRN: turns below which a pair is slowed down by the whole factor");
    v("mscale", mscale, "YaRN: coefficient of the attention temperature (MLA models)");
    v.group("needle", needle, "needle in a haystack, before and after");
    run.visit(v);
  }
};

/// The config of `base` for a longer context.
ModelConfig extended_config(const ModelConfig& base, const ExtendOptions& options, const ExtendPhase& phase);

/// Runs the phases in folder/phase-1, phase-2, ...; each starts from the one before it. Writes folder/extension.json:
/// bits per byte by position of the base model (with and without YaRN) and after each phase, and both needle grids.
RunResult run_extension(Exec& exec, const ExtendOptions& options, RunInputs inputs, const std::filesystem::path& folder,
                        bool resume);

}  // namespace hadal
