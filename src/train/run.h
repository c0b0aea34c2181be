#pragma once
// A training run in its folder: steps, metrics, samples, validation, checkpoints, resume. Pre-training and context
// extension are both runs.
#include <string>
#include <vector>

#include "data/loader.h"
#include "data/tokenizer/tokenizer.h"
#include "train/checkpoint_dir.h"
#include "train/trainer.h"

namespace hadal {

struct SampleOptions {
  std::int64_t every = 0;
  int max_tokens = 48;
  double temperature = 0.7, top_p = 0.95;
  std::vector<std::string> prompts;
  template <class V>
  void visit(V&& v) {
    v("every", every, "steps between samples of generated text; 0: only at the end");
    v("max_tokens", max_tokens, "tokens of a sample");
    v("temperature", temperature, "0: the most likely token");
    v("top_p", top_p, "nucleus");
    v("prompts", prompts, "beginnings to continue");
  }
};

struct ValidationOptions {
  std::int64_t every = 0, sequences = 64;
  template <class V>
  void visit(V&& v) {
    v("every", every, "steps between validations; 0: only at the end");
    v("sequences", sequences, "validation sequences");
  }
};

/// Everything of a run but the model and the data.
struct RunOptions {
  std::int64_t steps = 0, tokens = 0, seed = 1;
  TrainerOptions trainer;
  LoaderOptions loader;
  CheckpointOptions checkpoints;
  SampleOptions samples;
  ValidationOptions validation;
  std::string checkpoint_dtype = "bf16";
  template <class V>
  void visit(V&& v) {
    v("steps", steps, "optimizer steps of the whole run (or give tokens)");
    v("tokens", tokens, "tokens of the whole run (or give steps)");
    v("seed", seed, "of initial weights, order of documents, samples");
    trainer.visit(v);
    v.group("loader", loader, "from documents to sequences");
    v.group("checkpoints", checkpoints, "when to save");
    v.group("samples", samples, "text generated during training");
    v.group("validation", validation, "loss on documents that are not trained on");
    v("checkpoint_dtype", checkpoint_dtype, "of the weights in checkpoints; masters are kept beside them",
      {.choices = {"bf16", "f32", "f16"}});
  }
};

/// What a run works on.
struct RunInputs {
  std::string verb;  // for the manifest and the progress line
  ModelConfig config;
  std::filesystem::path weights;                          // a model folder to start from; empty: random weights
  const TokenShard* shard = nullptr;                      // plain documents
  std::span<const TokenShard> packed, packed_validation;  // or sequences that are packed already
  const Tokenizer* tokenizer = nullptr;
  JsonObject options, data;  // for the manifest
};

struct RunResult {
  bool finished = false;        // false: stopped by a signal
  std::filesystem::path model;  // the last checkpoint
  double loss = 0, validation_loss = 0, bits_per_byte = 0;
};

/// Mean loss and bits per byte over the first `sequences` sequences of a source.
struct Validation {
  double loss = 0, bits_per_byte = 0;
  std::vector<double> bits_per_byte_by_position;  // eight equal parts of the sequence
};
Validation validate(Context& ctx, Model& model, const BatchSource& source, std::int64_t sequences, std::int64_t batch,
                    const std::vector<int>& token_bytes);

/// Runs until the end, a signal, or an Error. resume: continue from the newest checkpoint of `folder`; without it the
/// folder must not hold a run.
RunResult run_training(Exec& exec, const RunOptions& options, const RunInputs& inputs,
                       const std::filesystem::path& folder, bool resume);

}  // namespace hadal
