#pragma once
// From token events to a response. Everything here runs on the connection.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "infer/request.h"
#include "serve/http.h"
#include "serve/openai/api_error.h"

namespace hadal {

/// What the responses to one request share.
struct AnswerInfo {
  std::shared_ptr<Exchange> exchange;
  const Tokenizer* tokenizer = nullptr;
  std::string id, model, cors;  // cors: allowed origin
  std::int64_t created = 0;     // seconds since 1970
  bool stream = false, include_usage = false;
  int n = 1;                              // choices of each prompt
  std::vector<std::vector<int>> prompts;  // with echo; else only as many as there are
  std::function<void()> cancel;           // ends what the engine still does for this
};

/// Collects the events of all choices; subclasses write. Choice j of prompt i has the index i * n + j.
class ApiAnswer {
 public:
  explicit ApiAnswer(AnswerInfo info)
      : info_(std::move(info)), open_(info_.prompts.size() * static_cast<std::size_t>(info_.n)) {}
  virtual ~ApiAnswer() = default;
  ApiAnswer(const ApiAnswer&) = delete;
  ApiAnswer& operator=(const ApiAnswer&) = delete;

  /// Once the engine has taken the request: a stream begins.
  void begin();
  void on_event(std::size_t prompt, const TokenEvent& event);
  /// Nobody listens any more.
  void abandon();
  const std::shared_ptr<Exchange>& exchange() const { return info_.exchange; }

 protected:
  virtual void write_first() = 0;
  virtual void on_prompt_token(std::size_t prompt, const TokenEvent& event) = 0;
  /// event.finish may be set, and event.token may be -1.
  virtual void on_token(std::size_t prompt, std::size_t index, const TokenEvent& event) = 0;
  /// Of the whole response: "choices".
  virtual JsonArray choices() = 0;
  virtual const char* object() const = 0;
  virtual const char* chunk_object() const = 0;
  /// Keys of "completion_tokens_details" that only this kind of answer has.
  virtual void add_details(JsonObject& details) const = 0;

  /// One event of a stream: choices [choice].
  void write_chunk(JsonObject choice);
  const AnswerInfo& info() const { return info_; }

 private:
  JsonObject head(const char* object) const;
  void write_event(const JsonObject& event);
  JsonObject usage() const;
  void end();
  void fail_with(const ApiError& error);
  void add_headers(HttpResponse& response) const;
  void respond(HttpResponse response);

  AnswerInfo info_;
  std::size_t open_;  // choices that are not over
  std::int64_t prompt_tokens_ = 0, cached_tokens_ = 0, completion_tokens_ = 0;
  std::int64_t drafted_tokens_ = 0, accepted_tokens_ = 0;
  double queue_seconds_ = 0, prefill_seconds_ = 0, decode_seconds_ = 0;
  std::vector<bool> counted_;  // prompts whose tokens are in the usage
  bool over_ = false;
};

/// "stop", "length": what clients know. An answer that was ended because it repeats itself is one of "length".
const char* finish_name(FinishReason reason);
/// What "finish_reason" leaves out, as "stop_reason": "repetition", or null.
Json stop_reason(FinishReason reason);
/// The number as JSON can hold it: never infinite.
double json_logprob(float logprob);
/// The text of one token, whatever its bytes are.
std::string token_text(const Tokenizer& tokenizer, int id);

}  // namespace hadal
