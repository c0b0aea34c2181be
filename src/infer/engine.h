#pragma once
// Many requests at once over one model: continuous batching, chunked prefill, a paged cache with shared prefixes.
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "data/tokenizer/tokenizer.h"
#include "infer/request.h"
#include "nn/model.h"

namespace hadal {

struct EngineOptions {
  int max_batch = 16;             // answers that decode in one step
  int prefill_chunk = 256;        // prompt tokens that one step takes besides
  std::int64_t context = 0;       // most tokens of a prompt and its answer; 0: the model's max_position_embeddings
  std::int64_t cache_tokens = 0;  // tokens that the cache holds; 0: max_batch contexts, at most a quarter of memory
  std::string cache = "bf16";
  double step_ms = 0;  // what a step may take that also takes a piece of a prompt; 0: any time
  bool prefix_cache = true;
  bool reuse_answers = false;
  std::string speculation = "off";
  int draft_tokens = 2;
  int max_queue = 1024;  // requests that wait
  template <class V>
  void visit(V&& v) {
    v("max_batch", max_batch, "answers that decode in one step");
    v("prefill_chunk", prefill_chunk, "prompt tokens that one step takes besides");
    v("context", context, "most tokens of a prompt and its answer; 0: the model's own limit");
    v("cache_tokens", cache_tokens, "tokens that the cache holds; 0: what max_batch contexts need, or memory allows");
    v("cache", cache,
      "form of the cache: bf16 (f32 with --weights f32 and fp8); fp8, int8: with a scale for each 128 values, the "
      "rotated key of latent attention stays in bf16; heads: of latent attention the keys and values of every head, "
      "which takes many times the memory and has the bits of training",
      {.choices = {"bf16", "fp8", "int8", "heads"}});
    v("step_ms", step_ms,
      "prompts take smaller chunks beside running answers, so that a step takes about so many milliseconds; 0: never");
    v("prefix_cache", prefix_cache, "reuse the cache of equal beginnings of prompts");
    v("reuse_answers", reuse_answers,
      "latent attention: later prompts also reuse the cache of answers, whose bits then depend on what ran before");
    v("speculation", speculation,
      "guesses of the next tokens, tried in the same pass; the answers stay the same bit for bit. ngram: what followed "
      "the same tokens before; mtp: the model's own MTP layer; auto: mtp, as far as it pays by the measured times "
      "(ngram "
      "without such a layer)",
      {.choices = {"off", "ngram", "mtp", "auto"}});
    v("draft_tokens", draft_tokens, "most tokens that the MTP layer guesses before a step");
    v("max_queue", max_queue, "requests that may wait");
  }
};

/// Pages of the cache that the options ask for: max_batch contexts within a quarter of the machine's memory, where they
/// do not say. compute: the dtype of the activations.
int cache_pages(const ModelConfig& config, DType compute, const EngineOptions& options);

struct EngineStats {
  std::int64_t waiting = 0, running = 0, finished = 0;
  std::int64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0, steps = 0;
  std::int64_t drafted_tokens = 0, accepted_tokens = 0;  // of speculation
  std::int64_t preempted = 0;  // times that a request had to give its pages to another and begin anew
  std::int64_t cache_tokens_used = 0, cache_tokens_total = 0;
};

/// The engine. Model, tokenizer (nullptr: events carry no text, stop texts are refused) and ctx must outlive it.
/// submit, cancel and stats may be called from any thread; step() from one.
class Engine {
 public:
  Engine(Context& ctx, Model& model, const Tokenizer* tokenizer, const EngineOptions& options);
  ~Engine();

  /// Queues a request and returns its number, from 1. Throws Error, before any work, when it can never be answered:
  /// empty prompt, ids outside of the vocabulary, prompt + max_tokens beyond the context or the cache, parameters
  /// outside of their ranges, a full queue (QueueFull).
  std::uint64_t submit(Request request);
  /// Ends a request before its next token; its choices get an event with kCancelled. No-op when it is over.
  void cancel(std::uint64_t request);
  /// Ends all requests with kCancelled. By the thread that steps.
  void cancel_all();
  /// Forgets the prompts of the past: the weights are others now. By the thread that steps, between requests; throws
  /// Error while one runs. The caller must not change weights while requests run either.
  void weights_changed();
  /// One pass over the model for everything that is due, and its events. False: there was nothing to do.
  bool step();

  EngineStats stats() const;
  std::int64_t context() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Error of submit() when max_queue requests wait already.
struct QueueFull : Error {
  using Error::Error;
};

/// Runs an engine on a thread of its own: sleeps while there is nothing to do.
class EngineThread {
 public:
  explicit EngineThread(Engine& engine);
  /// Waits for the present step; requests that are not over get kCancelled.
  ~EngineThread();
  std::uint64_t submit(Request request);
  void cancel(std::uint64_t request);

 private:
  void run();
  Engine& engine_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool work_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace hadal
