#pragma once
// The inside of the engine: included by its two source files only.
#include <deque>

#include "infer/engine.h"
#include "infer/job.h"
#include "infer/prefix_cache.h"

namespace hadal {

struct Engine::Impl {
  Impl(Context& c, Model& m, const Tokenizer* t, const EngineOptions& o);

  // What one step does.
  void take_orders();
  bool admit(Job& job);
  void admit_waiting();
  void run_batch();
  void fork_answers(Job& job);
  void draw_proposed(Job& job, Answer& answer, std::size_t first,
                     const std::function<std::span<const float>(std::size_t)>& row_of);
  void draw(Job& job, Answer& answer, std::span<const float> logits_V);
  void end(Job& job, Answer& answer, FinishReason reason, TokenEvent event);
  void end_all(Job& job, FinishReason reason, const std::string& error);
  void release(Job& job);
  void drop_finished();
  void update_stats();

  Context& ctx;
  Model& model;
  const Tokenizer* tokenizer;
  EngineOptions options;
  std::int64_t context;
  KvCache cache;
  PagePool pages;
  PrefixCache prefixes;
  std::deque<std::unique_ptr<Job>> waiting;  // as they will be admitted
  std::vector<std::unique_ptr<Job>> running;
  bool pages_moved = false;  // requests took or gave back pages since update_stats

  std::mutex mutex;  // guards what follows
  std::vector<std::unique_ptr<Job>> orders;
  std::vector<std::uint64_t> cancels;
  std::uint64_t last_id = 0;
  std::int64_t queued = 0;  // in orders and waiting
  EngineStats stats;
};

}  // namespace hadal
