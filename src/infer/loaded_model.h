#pragma once
// A model folder with all that answering needs.
#include <memory>
#include <optional>
#include <string>

#include "data/chat_template/chat_template.h"
#include "data/tokenizer/tokenizer.h"
#include "infer/engine.h"
#include "nn/weights.h"

namespace hadal {

struct ModelOptions {
  std::string model, weights = "bf16";
  int threads = 0;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder", {.required = true, .placeholder = "DIR"});
    v("weights", weights, "precision to compute in", {.choices = {"f32", "bf16"}});
    v("threads", threads, "0: all CPUs");
  }
};

/// A model, its tokenizer and its chat template, loaded, with the threads and memory to run it.
struct LoadedModel {
  /// Throws Error when the folder is not whole. A folder without a chat template has none here.
  explicit LoadedModel(const ModelOptions& options);
  LoadedModel(const LoadedModel&) = delete;
  LoadedModel& operator=(const LoadedModel&) = delete;

  ThreadPool pool;
  Exec exec;
  Arena saved, scratch;
  Context context;
  Tokenizer tokenizer;
  std::optional<ChatTemplate> chat_template;
  Model model;
};

}  // namespace hadal
