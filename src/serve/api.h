#pragma once
// The routes: which request is answered how.
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "data/chat_template/chat_template.h"
#include "infer/engine.h"
#include "nn/expert_cache.h"
#include "serve/http.h"
#include "serve/openai/answer.h"
#include "serve/openai/request_fields.h"

namespace hadal {

/// What the API needs of an engine; see Engine for what the functions promise.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual std::uint64_t submit(Request request) = 0;
  virtual void cancel(std::uint64_t request) = 0;
  virtual EngineStats stats() const = 0;
  /// Of streamed experts; nothing: all are in memory.
  virtual std::optional<ExpertStats> expert_stats() const { return std::nullopt; }
  virtual std::int64_t context() const = 0;
};

struct ApiOptions {
  std::string model;                          // the name that is told
  std::vector<std::string> api_keys;          // none: everybody may ask
  std::string cors;                           // origin that browsers may ask from; "": only the server's own page
  std::string reasoning_format = "deepseek";  // or "none": <think> stays in the content
  std::uint64_t seed = 0;                     // of requests that bring none
  int thinking_budget = -1;                   // most tokens of thinking where a request says nothing; -1: no bound
  int repetition_guard = 0;                   // StopParams::repetition_guard where a request says nothing
  bool loopback = true;      // listens on this machine only: other host names are refused (DNS rebinding)
  std::int64_t created = 0;  // when the model was loaded, seconds since 1970
};

/// Keys of a file: one a line; empty lines and what follows # are left out. Throws Error when there is none.
std::vector<std::string> read_api_keys(const std::string& path);

/// Answers requests to a model under /v1 and /. May be called from many threads. All arguments must outlive it, and
/// everything that it handed to `source`.
class Api {
 public:
  /// chat_template nullptr: the model cannot chat.
  Api(TokenSource& source, const Tokenizer& tokenizer, const ChatTemplate* chat_template, const ApiOptions& options);
  void handle(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange);
  /// From now on new work is refused and /health says so.
  void drain() { draining_ = true; }

 private:
  void route(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange);
  void check_host(const HttpRequest& request) const;
  void check_key(const HttpRequest& request) const;
  JsonObject model_json() const;
  void chat(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange);
  void complete(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange);

  AnswerInfo answer_info(const std::shared_ptr<Exchange>& exchange, const RequestFields& fields, const char* prefix);
  /// A request for the engine, but for its sink. Throws ApiError when prompt and answer cannot fit.
  Request engine_request(const RequestFields& fields, std::vector<int> prompt);
  void submit(std::vector<Request> requests, const std::shared_ptr<ApiAnswer>& answer,
              const std::shared_ptr<std::vector<std::uint64_t>>& ids);
  void log_unknown(const std::vector<std::string>& names);

  TokenSource& source_;
  const Tokenizer& tokenizer_;
  const ChatTemplate* template_;
  ApiOptions options_;
  std::atomic<std::uint64_t> counter_ = 0;
  std::atomic<bool> draining_ = false;
  std::mutex mutex_;  // of logged_
  std::set<std::string> logged_;
};

}  // namespace hadal
