#include "serve/cmd_serve.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "base/log.h"
#include "infer/chat_prompt.h"
#include "infer/loaded_model.h"
#include "serve/api.h"
#include "serve/engine_source.h"

namespace hadal {
namespace {

struct ServeOptions {
  LoadOptions load;
  EngineOptions engine;
  HttpOptions http;
  std::string name, api_key_file, cors, reasoning_format = "deepseek";
  std::int64_t seed = -1;
  int thinking_budget = -1, repetition_guard = 0;
  template <class V>
  void visit(V&& v) {
    load.visit(v);
    v("name", name, "what the API calls the model; default: the name of its folder");
    v("api_key_file", api_key_file, "file with one key a line; requests must bring one of them",
      {.placeholder = "FILE"});
    v("cors", cors, "origin whose pages may ask, or *", {.placeholder = "ORIGIN"});
    v("reasoning_format", reasoning_format, "deepseek: thinking goes to reasoning_content; none: it stays in content",
      {.choices = {"deepseek", "none"}});
    v("seed", seed, "of requests that bring none; -1: by the clock");
    v("thinking_budget", thinking_budget,
      "most tokens of thinking where a request says nothing; then the model has to answer; -1: as many as it wants");
    v("repetition_guard", repetition_guard,
      "an answer ends when so many tokens are one passage over and over, thinking first; 0: never");
    http.visit(v);
    v.group("engine", engine, "how requests run beside each other");
  }
};

std::string name_of(const ServeOptions& o) {
  if (!o.name.empty()) return o.name;
  const std::filesystem::path path = std::filesystem::weakly_canonical(o.load.model);
  return path.filename().empty() ? path.parent_path().filename() : path.filename();
}

ApiOptions api_options(const ServeOptions& o) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  ApiOptions api;
  api.model = name_of(o);
  if (!o.api_key_file.empty()) api.api_keys = read_api_keys(o.api_key_file);
  api.cors = o.cors;
  api.thinking_budget = o.thinking_budget;
  api.repetition_guard = o.repetition_guard;
  api.reasoning_format = o.reasoning_format;
  api.seed = static_cast<std::uint64_t>(o.seed >= 0 ? o.seed : std::chrono::nanoseconds(now).count());
  api.loopback = o.http.host == "127.0.0.1" || o.http.host == "::1" || o.http.host == "localhost";
  api.created = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  return api;
}

}  // namespace

int cmd_serve(Args args) {
  ServeOptions o;
  if (!parse_options(o, args,
                     {.verb = "serve",
                      .about = "serve a model over HTTP: OpenAI's API and a chat page",
                      .config = true,
                      .example = "hadal serve --model DIR --port 8080"}))
    return 0;
  const ApiOptions api_opts = api_options(o);
  // The server comes first: it is bound before a large model is read, and outlives the engine, which holds exchanges.
  Api* api = nullptr;
  HttpServer server(o.http, [&](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
    if (server.stopping()) api->drain();
    api->handle(request, exchange);
  });
  LoadedModel loaded(o.load, o.engine);
  HADAL_CHECK(loaded.tokenizer() != nullptr, "serve: ", o.load.model, " has no tokenizer");
  const std::optional<ChatTemplate> chat_template = chat_template_of(*loaded.tokenizer(), o.load.model);
  EngineSource source(loaded, loaded.engine);
  Api routes(source, *loaded.tokenizer(), chat_template ? &*chat_template : nullptr, api_opts);
  api = &routes;
  log_info("cache of ", source.stats().cache_tokens_total, " tokens, context of ", source.context());
  if (!chat_template) log_warning("the model has no chat template: only /v1/completions will answer");
  if (!api_opts.loopback && api_opts.api_keys.empty())
    log_warning("everybody who reaches ", o.http.host, " may use the model: there is no --api-key-file");
  fmt::print("listening on http://{}:{}/\n", o.http.host, server.port());
  std::fflush(stdout);
  server.run(/*signals=*/true);
  loaded.log_experts();
  return 0;
}

}  // namespace hadal
