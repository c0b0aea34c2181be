#include "serve/openai/answer.h"

#include <algorithm>
#include <cmath>

#include "base/build_info.h"
#include "base/log.h"
#include "base/utf8.h"

namespace hadal {

const char* finish_name(FinishReason reason) {
  return reason == FinishReason::kLength || reason == FinishReason::kRepetition ? "length" : "stop";
}

Json stop_reason(FinishReason reason) {
  return reason == FinishReason::kRepetition ? Json("repetition") : Json(nullptr);
}

double json_logprob(float logprob) {
  return std::isfinite(logprob) ? static_cast<double>(logprob) : -9999.0;
}

std::string token_text(const Tokenizer& tokenizer, int id) {
  return replace_ill_formed(tokenizer.token_bytes(id));
}

void ApiAnswer::add_headers(HttpResponse& response) const {
  response.headers.emplace_back("x-request-id", info_.id);
  if (!info_.cors.empty()) response.headers.emplace_back("Access-Control-Allow-Origin", info_.cors);
}

void ApiAnswer::respond(HttpResponse response) {
  add_headers(response);
  info_.exchange->respond(std::move(response));
}

void ApiAnswer::begin() {
  if (over_ || !info_.stream) return;
  HttpResponse head{.content_type = "text/event-stream; charset=utf-8",
                    .headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}},
                    .body = ""};
  add_headers(head);
  info_.exchange->start(std::move(head), ": keep-alive\n\n");
  write_first();
}

void ApiAnswer::abandon() {
  if (over_) return;
  over_ = true;
  info_.cancel();
}

void ApiAnswer::on_event(std::size_t prompt, const TokenEvent& event) {
  if (over_) return;
  if (event.finish == FinishReason::kError) return fail_with({500, "server_error", event.error});
  if (event.finish == FinishReason::kCancelled)
    return fail_with({503, "unavailable_error", "the server is stopping", "", "stopping"});
  if (event.choice < 0) return on_prompt_token(prompt, event);
  on_token(prompt, prompt * static_cast<std::size_t>(info_.n) + static_cast<std::size_t>(event.choice), event);
  if (event.finish == FinishReason::kNone) return;
  counted_.resize(info_.prompts.size(), false);
  if (!counted_[prompt]) {
    counted_[prompt] = true;
    prompt_tokens_ += event.usage.prompt_tokens;
    cached_tokens_ += event.usage.cached_tokens;
  }
  completion_tokens_ += event.usage.completion_tokens;
  drafted_tokens_ += event.usage.drafted_tokens, accepted_tokens_ += event.usage.accepted_tokens;
  queue_seconds_ = std::max(queue_seconds_, event.usage.queue_seconds);
  prefill_seconds_ = std::max(prefill_seconds_, event.usage.prefill_seconds);
  decode_seconds_ = std::max(decode_seconds_, event.usage.decode_seconds);
  if (--open_ == 0) end();
}

JsonObject ApiAnswer::head(const char* object) const {
  return {{"id", info_.id},
          {"object", object},
          {"created", info_.created},
          {"model", info_.model},
          {"system_fingerprint", str_cat("fp_", build_info().git_hash)}};
}

JsonObject ApiAnswer::usage() const {
  JsonObject details{{"accepted_prediction_tokens", accepted_tokens_},
                     {"rejected_prediction_tokens", drafted_tokens_ - accepted_tokens_}};
  add_details(details);
  return {{"prompt_tokens", prompt_tokens_},
          {"completion_tokens", completion_tokens_},
          {"total_tokens", prompt_tokens_ + completion_tokens_},
          {"prompt_cache_hit_tokens", cached_tokens_},
          {"prompt_cache_miss_tokens", prompt_tokens_ - cached_tokens_},
          {"prompt_tokens_details", JsonObject{{"cached_tokens", cached_tokens_}}},
          {"completion_tokens_details", std::move(details)}};
}

void ApiAnswer::write_event(const JsonObject& event) {
  info_.exchange->write(str_cat("data: ", json_line(event), "\n\n"));
}

void ApiAnswer::write_chunk(JsonObject choice) {
  JsonObject chunk = head(chunk_object());
  chunk["choices"] = JsonArray{std::move(choice)};
  if (info_.include_usage) chunk["usage"] = nullptr;
  write_event(chunk);
}

void ApiAnswer::end() {
  over_ = true;
  const auto milliseconds = [](double seconds) { return std::round(seconds * 1e6) / 1e3; };
  const JsonObject timings{{"queue_ms", milliseconds(queue_seconds_)},
                           {"prompt_ms", milliseconds(prefill_seconds_)},
                           {"predicted_ms", milliseconds(decode_seconds_)}};
  if (!info_.stream) {
    JsonObject body = head(object());
    body["choices"] = choices();
    body["usage"] = usage();
    body["timings"] = timings;
    return respond(json_response(body));
  }
  if (info_.include_usage) {
    JsonObject chunk = head(chunk_object());
    chunk["choices"] = JsonArray();
    chunk["usage"] = usage();
    chunk["timings"] = timings;
    write_event(chunk);
  }
  info_.exchange->write("data: [DONE]\n\n");
  info_.exchange->finish();
}

// A stream that has begun cannot change its status: it ends with an error and without [DONE].
void ApiAnswer::fail_with(const ApiError& error) {
  over_ = true;
  log_warning(info_.id, ": ", error.what());
  if (info_.stream) {
    write_event(error_json(error));
    info_.exchange->finish();
  } else {
    respond(error_response(error));
  }
  info_.cancel();
}

}  // namespace hadal
