#include "serve/api.h"

#include <algorithm>
#include <chrono>

#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "kernels/attention.h"
#include "serve/metrics_text.h"
#include "serve/openai/chat_answer.h"
#include "serve/openai/chat_request.h"
#include "serve/openai/completion_answer.h"
#include "serve/openai/completion_request.h"
#include "serve/page.h"

namespace hadal {
namespace {

// Bodies are short beside what a JSON value of them takes.
constexpr JsonLimits kBodyLimits{.max_bytes = std::int64_t{1} << 30, .max_depth = 64};

/// Takes as long whatever the strings hold.
bool equal_keys(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b.empty() ? '\0' : b[i % b.size()]);
  return difference == 0;
}

Json read_body(const HttpRequest& request) {
  Result<Json> body = try_parse_json(request.body, "body", kBodyLimits);
  if (!body) throw ApiError(400, "invalid_request_error", body.message());
  return std::move(body).value();
}

std::string hex(std::uint64_t bits) {
  return fmt::format("{:016x}", bits);
}

/// The path without "/v1": the same handlers stand under both.
std::string_view without_version(std::string_view path) {
  if (path.starts_with("/v1/")) path.remove_prefix(3);
  return path;
}

void need_method(const HttpRequest& request, std::string_view method) {
  if (request.method != method)
    throw ApiError(405, "invalid_request_error", str_cat(request.path, ": got ", request.method, ", want ", method), "",
                   "method_not_allowed");
}

}  // namespace

std::vector<std::string> read_api_keys(const std::string& path) {
  std::vector<std::string> keys;
  const std::string text = read_file(path, 1 << 20);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    line.resize(std::min(line.find('#'), line.size()));
    line.erase(0, std::min(line.find_first_not_of(" \t\r"), line.size()));
    line.resize(line.find_last_not_of(" \t\r") + 1);
    if (!line.empty()) keys.push_back(std::move(line));
  }
  HADAL_CHECK(!keys.empty(), path, ": holds no key, want one a line");
  return keys;
}

Api::Api(TokenSource& source, const Tokenizer& tokenizer, const ChatTemplate* chat_template, const ApiOptions& options)
    : source_(source), tokenizer_(tokenizer), template_(chat_template), options_(options) {}

void Api::handle(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  const auto reply = [&](HttpResponse response) {
    if (!options_.cors.empty()) response.headers.emplace_back("Access-Control-Allow-Origin", options_.cors);
    exchange->respond(std::move(response));
  };
  try {
    check_host(request);
    if (request.method == "OPTIONS") {
      HttpResponse response{.status = 204, .content_type = "", .headers = {}, .body = ""};
      if (!options_.cors.empty())
        response.headers = {{"Access-Control-Allow-Headers", "Authorization, Content-Type, *"},
                            {"Access-Control-Allow-Methods", "GET, POST, OPTIONS"}};
      return reply(std::move(response));
    }
    route(request, exchange);
  } catch (const ApiError& e) {
    reply(error_response(e));
  } catch (const QueueFull& e) {
    reply(error_response({429, "rate_limit_error", e.what(), "", "rate_limit_exceeded"}));
  } catch (const std::exception& e) {
    log_error(request.method, " ", request.path, ": ", e.what());
    reply(error_response({500, "server_error", e.what()}));
  }
}

// A page of another site may have its own name point at 127.0.0.1; the Host header still shows that name.
void Api::check_host(const HttpRequest& request) const {
  std::string_view host = request.header("host");
  if (!options_.loopback || host.empty()) return;
  host = host.starts_with('[') ? host.substr(0, host.find(']') + 1) : host.substr(0, host.find(':'));
  if (host != "localhost" && host != "127.0.0.1" && host != "[::1]")
    throw ApiError(403, "permission_error", str_cat("host \"", host, "\" is not this machine"));
}

void Api::check_key(const HttpRequest& request) const {
  if (options_.api_keys.empty()) return;
  std::string_view key = request.header("authorization");
  if (key.starts_with("Bearer "))
    key.remove_prefix(7);
  else
    key = request.header("x-api-key");
  bool known = false;
  for (const std::string& k : options_.api_keys) known = equal_keys(k, key) || known;
  if (!known) throw ApiError(401, "authentication_error", "the API key is missing or wrong", "", "invalid_api_key");
}

JsonObject Api::model_json() const {
  return {{"id", options_.model},
          {"object", "model"},
          {"created", options_.created},
          {"owned_by", "hadal"},
          {"max_model_len", source_.context()}};
}

void Api::route(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  if (std::optional<HttpResponse> page = page_response(request.path)) {
    need_method(request, "GET");
    return exchange->respond(*std::move(page));
  }
  const std::string_view path = without_version(request.path);
  if (path == "/health") {
    need_method(request, "GET");
    if (draining_) throw ApiError(503, "unavailable_error", "the server is stopping", "", "stopping");
    return exchange->respond(json_response({{"status", "ok"}}));
  }
  check_key(request);
  HttpResponse response;
  if (path == "/models") {
    need_method(request, "GET");
    exchange->respond(json_response({{"object", "list"}, {"data", JsonArray{model_json()}}}));
  } else if (path.starts_with("/models/")) {
    need_method(request, "GET");
    if (path.substr(8) != options_.model)
      throw ApiError(404, "not_found_error",
                     str_cat("model \"", path.substr(8), "\" is not here; this is \"", options_.model, "\""), "model",
                     "model_not_found");
    exchange->respond(json_response(model_json()));
  } else if (path == "/metrics") {
    need_method(request, "GET");
    exchange->respond({.content_type = "text/plain; version=0.0.4; charset=utf-8",
                       .headers = {},
                       .body = metrics_text(source_.stats(), source_.expert_stats())});
  } else if (path == "/chat/completions") {
    need_method(request, "POST");
    chat(request, exchange);
  } else if (path == "/completions") {
    need_method(request, "POST");
    complete(request, exchange);
  } else {
    throw ApiError(404, "not_found_error", str_cat("there is no ", request.path), "", "not_found");
  }
}

void Api::chat(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  if (template_ == nullptr)
    throw ApiError(400, "invalid_request_error", "this model has no chat template; /v1/completions continues text");
  const ChatRequest chat = read_chat_request(read_body(request), tokenizer_, *template_);
  log_unknown(chat.fields.unknown);
  ChatPrompt prompt = render_chat(chat, tokenizer_, *template_);
  std::vector<Request> requests = {engine_request(chat.fields, std::move(prompt.ids))};
  requests[0].logprobs = chat.top_logprobs;
  requests[0].thinking = ThinkingParams{.inside = prompt.thinks,
                                        .budget = chat.thinking_budget.value_or(options_.thinking_budget),
                                        .end = prompt.think_end};
  AnswerInfo info = answer_info(exchange, chat.fields, "chatcmpl-");
  info.prompts.resize(1);
  const auto ids = std::make_shared<std::vector<std::uint64_t>>();
  info.cancel = [this, ids] {
    for (const std::uint64_t id : *ids) source_.cancel(id);
  };
  submit(std::move(requests),
         std::make_shared<ChatAnswer>(std::move(info),
                                      ChatAnswerOptions{.split_reasoning = options_.reasoning_format != "none",
                                                        .thinks = prompt.thinks,
                                                        .top_logprobs = chat.top_logprobs}),
         ids);
}

void Api::complete(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  CompletionRequest completion = read_completion_request(read_body(request), tokenizer_);
  log_unknown(completion.fields.unknown);
  std::vector<Request> requests;
  for (const std::vector<int>& prompt : completion.prompts) {
    Request& r = requests.emplace_back(engine_request(completion.fields, prompt));
    r.logprobs = completion.logprobs;
    r.prompt_logprobs = completion.echo && completion.logprobs >= 0;
  }
  AnswerInfo info = answer_info(exchange, completion.fields, "cmpl-");
  info.prompts = std::move(completion.prompts);
  const auto ids = std::make_shared<std::vector<std::uint64_t>>();
  info.cancel = [this, ids] {
    for (const std::uint64_t id : *ids) source_.cancel(id);
  };
  submit(std::move(requests), std::make_shared<CompletionAnswer>(std::move(info), completion.echo, completion.logprobs),
         ids);
}

AnswerInfo Api::answer_info(const std::shared_ptr<Exchange>& exchange, const RequestFields& fields,
                            const char* prefix) {
  if (draining_) throw ApiError(503, "unavailable_error", "the server is stopping", "", "stopping");
  AnswerInfo info;
  info.exchange = exchange;
  info.tokenizer = &tokenizer_;
  info.created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  info.id = str_cat(prefix, hex(random_bits(options_.seed ^ static_cast<std::uint64_t>(options_.created),
                                            Stream::kNoise, counter_++)));
  info.model = fields.model.empty() ? options_.model : fields.model;
  info.stream = fields.stream;
  info.include_usage = fields.include_usage;
  info.n = fields.n;
  info.cors = options_.cors;
  return info;
}

Request Api::engine_request(const RequestFields& fields, std::vector<int> prompt) {
  const std::int64_t context = source_.context(), num_prompt = std::ssize(prompt);
  // The cache is given in pages, whole ones to each choice.
  const std::int64_t cache =
      source_.stats().cache_tokens_total / fields.n / kernels::kAttentionPage * kernels::kAttentionPage;
  const std::int64_t room = std::min(context, cache) - num_prompt;
  const std::int64_t wanted = fields.max_tokens.value_or(std::max<std::int64_t>(room, 1));
  if (wanted > context - num_prompt || wanted > room)
    throw ApiError(
        400, "invalid_request_error",
        str_cat("the prompt has ", num_prompt, " tokens and ", wanted, " are wanted for ", fields.n,
                " answers; the context has ", context, " and the cache ", source_.stats().cache_tokens_total),
        "max_tokens", "context_length_exceeded", {{"n_prompt_tokens", num_prompt}, {"n_ctx", context}});
  Request request;
  request.prompt = std::move(prompt);
  request.n = fields.n;
  request.sampling = fields.sampling;
  request.sampling.seed = fields.seed.value_or(random_bits(options_.seed, Stream::kSample, counter_++));
  request.stop = fields.stop;
  request.stop.max_tokens = static_cast<int>(wanted);
  request.stop.repetition_guard = fields.repetition_guard.value_or(options_.repetition_guard);
  return request;
}

void Api::submit(std::vector<Request> requests, const std::shared_ptr<ApiAnswer>& answer,
                 const std::shared_ptr<std::vector<std::uint64_t>>& ids) {
  try {
    for (std::size_t i = 0; i < requests.size(); ++i) {
      // The engine's thread only hands the event over; `answer` lives on the connection.
      requests[i].sink = [exchange = answer->exchange(), answer, i](const TokenEvent& event) {
        exchange->post([answer, i, event] { answer->on_event(i, event); });
      };
      ids->push_back(source_.submit(std::move(requests[i])));
    }
  } catch (const QueueFull&) {
    answer->abandon();
    throw;
  } catch (const Error& e) {  // what the engine cannot do
    answer->abandon();
    throw ApiError(400, "invalid_request_error", e.what());
  }
  answer->begin();
  answer->exchange()->on_disconnect([answer] { answer->abandon(); });
}

void Api::log_unknown(const std::vector<std::string>& names) {
  const std::lock_guard lock(mutex_);
  for (const std::string& name : names)
    if (logged_.size() < 1000 && logged_.insert(name).second)
      log_warning("requests bring the field \"", json_excerpt(Json(name)),
                  "\", which is not known here and has no effect");
}

}  // namespace hadal
