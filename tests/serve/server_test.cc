// The server over a real socket, with an engine that says what the test tells it to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <map>
#include <thread>

#include "http_client.h"
#include "serve/api.h"
#include "support/tiny_model.h"

namespace hadal {
namespace {

using testing::HasSubstr;
using testing::Not;

class ScriptedSource final : public TokenSource {
 public:
  std::uint64_t submit(Request request) override {
    const std::lock_guard lock(mutex_);
    if (full) throw QueueFull("1024 requests wait already");
    requests_.push_back(std::move(request));
    changed_.notify_all();
    return requests_.size();
  }
  void cancel(std::uint64_t request) override {
    const std::lock_guard lock(mutex_);
    cancelled_.push_back(request);
    changed_.notify_all();
  }
  EngineStats stats() const override {
    EngineStats stats;
    stats.cache_tokens_total = 960;
    return stats;
  }
  std::int64_t context() const override { return 200; }

  /// The request of this number, as soon as it is there.
  const Request& request(std::uint64_t id) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return requests_.size() >= id; }));
    return requests_.at(id - 1);
  }
  bool cancelled(std::uint64_t id) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20),
                             [&] { return std::ranges::find(cancelled_, id) != cancelled_.end(); });
  }
  std::size_t num_cancelled() {
    const std::lock_guard lock(mutex_);
    return cancelled_.size();
  }
  void say(std::uint64_t id, const std::string& text, FinishReason finish = FinishReason::kNone, int choice = 0) {
    TokenEvent event;
    event.request = id, event.choice = choice, event.token = text.empty() ? -1 : text[0], event.text = text;
    event.finish = finish, event.error = finish == FinishReason::kError ? "the model computed NaN" : "";
    event.logprob = {event.token, -0.5F};
    event.top = {event.logprob};
    event.usage = {
        .prompt_tokens = 7, .cached_tokens = 3, .completion_tokens = 2, .drafted_tokens = 5, .accepted_tokens = 4};
    request(id).sink(event);
  }

  bool full = false;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Request> requests_;
  std::vector<std::uint64_t> cancelled_;
};

class Server : public testing::Test {
 protected:
  void start(HttpOptions http = {}, ApiOptions options = {}) {
    http.port = 0;
    options.model = "tiny";
    template_.set_special_token("bos_token", "<bos>");
    api_.emplace(source, tokenizer_, &template_, options);
    server_.emplace(http, [this](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
      api_->handle(request, exchange);
    });
    thread_ = std::thread([this] { server_->run(); });
  }
  void TearDown() override { stop(); }
  void stop() {
    if (server_) server_->stop();
    if (thread_.joinable()) thread_.join();
  }
  int port() const { return server_->port(); }
  Reply ask(const std::string& method, const std::string& path, const std::string& body = "",
            const std::string& headers = "") {
    Client client(port());
    client.send(method, path, body, headers + "Connection: close\r\n");
    return client.take();
  }
  static std::string body(const std::string& more = "") {
    return R"({"messages":[{"role":"user","content":"x"}])" + more + "}";
  }

  std::optional<HttpServer> server_;  // outlives the source, which holds exchanges
  ScriptedSource source;

 private:
  Tokenizer tokenizer_{byte_tokenizer_files()};
  ChatTemplate template_ = ChatTemplate::parse(kTinyTemplate);
  std::optional<Api> api_;
  std::thread thread_;
};

std::vector<Json> events(const std::string& body) {
  std::vector<Json> result;
  for (std::size_t at = 0; (at = body.find("data: {", at)) != std::string::npos;) {
    const std::size_t end = body.find("\n\n", at);
    result.push_back(parse_json(body.substr(at + 6, end - at - 6), "event"));
    at = end;
  }
  return result;
}

TEST_F(Server, PlainChat) {
  start();
  Client client(port());
  client.send("POST", "/v1/chat/completions", body(R"(,"model":"other","seed":5,"max_tokens":9)"));
  EXPECT_EQ(source.request(1).sampling.seed, 5U);
  EXPECT_EQ(source.request(1).stop.max_tokens, 9);
  source.say(1, "Hel");
  source.say(1, "lo", FinishReason::kStop);
  const Reply reply = client.take();
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.head, HasSubstr("x-request-id: chatcmpl-"));
  const Json json = reply.json();
  EXPECT_EQ(json.at("object"), "chat.completion");
  EXPECT_EQ(json.at("model"), "other") << "the name that was asked for";
  EXPECT_EQ(json.at("choices").at(0).at("message").at("content"), "Hello");
  EXPECT_EQ(json.at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(json.at("choices").at(0).at("logprobs"), nullptr);
  EXPECT_EQ(json.at("usage").at("prompt_tokens"), 7);
  EXPECT_EQ(json.at("usage").at("prompt_cache_miss_tokens"), 4);
  EXPECT_EQ(json.at("usage").at("total_tokens"), 9);
  const Json& details = json.at("usage").at("completion_tokens_details");
  EXPECT_EQ(details.at("accepted_prediction_tokens"), 4);
  EXPECT_EQ(details.at("rejected_prediction_tokens"), 1);
  // The connection goes on.
  client.send("GET", "/health");
  EXPECT_EQ(client.take().body, R"({"status":"ok"})");
  EXPECT_EQ(source.num_cancelled(), 0U);
}

TEST_F(Server, StreamedChat) {
  start();
  Client client(port());
  client.send("POST", "/chat/completions", body(R"(,"stream":true,"n":2,"stream_options":{"include_usage":true})"));
  // Head and role come before any token.
  const std::string first = client.wait_for(R"("role":"assistant")");
  EXPECT_THAT(first, HasSubstr("text/event-stream; charset=utf-8"));
  EXPECT_THAT(first, HasSubstr("X-Accel-Buffering: no"));
  source.say(1, "a");
  client.wait_for(R"("content":"a")");
  source.say(1, "<think>");
  source.say(1, "b", FinishReason::kLength, 1);
  source.say(1, "", FinishReason::kStop);
  const Reply reply = client.take();
  EXPECT_THAT(reply.body, testing::EndsWith("data: [DONE]\n\n"));
  std::string text[2], finish[2];
  int roles = 0;
  const std::vector<Json> all = events(reply.body);
  for (const Json& event : all) {
    EXPECT_EQ(event.at("object"), "chat.completion.chunk");
    EXPECT_EQ(event.at("id"), all[0].at("id"));
    for (const Json& choice : event.at("choices").as_array()) {
      EXPECT_EQ(event.at("usage"), nullptr);
      const auto i = static_cast<std::size_t>(choice.at("index").as_int64());
      const JsonObject& delta = choice.at("delta").as_object();
      roles += delta.contains("role") ? 1 : 0;
      if (delta.contains("content")) text[i] += delta.at("content").as_string();
      if (!choice.at("finish_reason").is_null()) {
        EXPECT_TRUE(delta.empty());
        finish[i] += choice.at("finish_reason").as_string();
      }
    }
  }
  EXPECT_EQ(roles, 2);
  EXPECT_EQ(text[0], "a<think>");
  EXPECT_EQ(text[1], "b");
  EXPECT_EQ(finish[0], "stop");
  EXPECT_EQ(finish[1], "length");
  EXPECT_TRUE(all.back().at("choices").as_array().empty());
  EXPECT_EQ(all.back().at("usage").at("completion_tokens"), 4);
  EXPECT_EQ(all.back().at("usage").at("prompt_tokens"), 7) << "of a prompt that both choices share";
}

TEST_F(Server, SilenceIsFilledWithComments) {
  start({.keep_alive = 0.03});
  Client client(port());
  client.send("POST", "/v1/completions", R"({"prompt":"a","stream":true})");
  client.wait_for(": keep-alive\n\n");
  source.say(1, "a", FinishReason::kStop);
  EXPECT_THAT(client.take().body, testing::EndsWith("data: [DONE]\n\n"));
}

TEST_F(Server, AClientThatGoesEndsItsRequests) {
  start();
  for (const char* stream : {"true", "false"}) {
    const std::uint64_t id = *stream == 't' ? 1 : 3;
    Client client(port());
    client.send("POST", "/v1/completions", std::string(R"({"prompt":["a","b"],"stream":)") + stream + "}");
    source.request(id + 1);
    source.say(id, "a");
    client.close();
    EXPECT_TRUE(source.cancelled(id));
    EXPECT_TRUE(source.cancelled(id + 1));
    source.say(id, "b", FinishReason::kCancelled);  // goes nowhere
  }
  EXPECT_EQ(ask("GET", "/health").status, 200);
}

TEST_F(Server, ErrorsOfTheEngine) {
  start();
  Client plain(port());
  plain.send("POST", "/v1/chat/completions", body());
  source.say(1, "", FinishReason::kError);
  const Reply reply = plain.take();
  EXPECT_EQ(reply.status, 500);
  EXPECT_THAT(reply.head, HasSubstr("x-should-retry: false"));
  EXPECT_EQ(reply.json().at("error").at("message"), "the model computed NaN");
  Client stream(port());
  stream.send("POST", "/v1/chat/completions", body(R"(,"stream":true)"));
  source.say(2, "a");
  source.say(2, "", FinishReason::kError);
  const Reply streamed = stream.take();
  EXPECT_THAT(streamed.body, HasSubstr(R"(data: {"error":{"message":"the model computed NaN","type":"server_error")"));
  EXPECT_THAT(streamed.body, Not(HasSubstr("[DONE]")));
  source.full = true;
  const Reply full = ask("POST", "/v1/chat/completions", body(R"(,"stream":true)"));
  EXPECT_EQ(full.status, 429) << "the status of a stream is not sent before the engine has taken the request";
  EXPECT_THAT(full.head, HasSubstr("Retry-After"));
  EXPECT_EQ(full.json().at("error").at("type"), "rate_limit_error");
}

TEST_F(Server, WrongRequestsGetTheErrorShape) {
  start();
  const struct {
    const char *method, *path, *body;
    int status;
  } cases[] = {
      {"GET", "/v1/nothing", "", 404},
      {"GET", "/nothing?x=1", "", 404},
      {"GET", "/v1/models/other", "", 404},
      {"DELETE", "/v1/models", "", 405},
      {"GET", "/v1/chat/completions", "", 405},
      {"POST", "/health", "", 405},
      {"POST", "/v1/chat/completions", "{", 400},
      {"POST", "/v1/chat/completions", "[]", 400},
      {"POST", "/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}],"max_tokens":200})", 400},
      {"POST", "/v1/completions", R"({"prompt":[1],"max_tokens":200})", 400},
  };
  for (const auto& c : cases) {
    const Reply reply = ask(c.method, c.path, c.body);
    EXPECT_EQ(reply.status, c.status) << c.path;
    const JsonObject error = reply.json().at("error").as_object();
    for (const char* key : {"message", "type", "param", "code"}) EXPECT_TRUE(error.contains(key)) << c.path;
  }
  EXPECT_EQ(ask("POST", "/v1/completions", R"({"prompt":[1],"max_tokens":200})").json().at("error").at("code"),
            "context_length_exceeded");
  EXPECT_EQ(ask("GET", "/v1/models").json().at("data").at(0).at("id"), "tiny");
  EXPECT_EQ(ask("GET", "/models/tiny").json().at("object"), "model");
}

TEST_F(Server, LimitsOfHttp) {
  start({.body_limit = 1000, .header_timeout = 0.2, .body_timeout = 0.2, .idle_timeout = 0.5});
  EXPECT_EQ(ask("POST", "/v1/completions", std::string(2000, ' ')).status, 413);
  Client garbage(port());
  garbage.send("what is this\r\n\r\n");
  EXPECT_EQ(garbage.take().status, 400);
  Client large(port());
  large.send("GET / HTTP/1.1\r\nX: " + std::string(100000, 'x') + "\r\n\r\n");
  EXPECT_EQ(large.take().status, 431);
  Client slow(port()), slow_body(port()), idle(port());
  slow.send("GET / HT");
  slow_body.send("POST /v1/completions HTTP/1.1\r\nContent-Length: 10\r\n\r\n");
  EXPECT_TRUE(slow.closed());
  EXPECT_TRUE(slow_body.closed());
  EXPECT_TRUE(idle.closed());
}

TEST_F(Server, OldAndUnusualWaysToAsk) {
  start();
  Client ahead(port());  // two requests at once
  ahead.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(ahead.take().status, 200);
  EXPECT_THAT(ahead.take().body, HasSubstr("\"tiny\""));
  Client expects(port());
  expects.send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(expects.take().status, 100);
  expects.send("{}");
  EXPECT_EQ(expects.take().status, 400);
  Client old(port());  // a stream without chunks, which ends with the connection
  old.send("POST /v1/completions HTTP/1.0\r\nContent-Length: 28\r\n\r\n{\"prompt\":\"a\",\"stream\":true}");
  source.say(1, "a", FinishReason::kStop);
  const Reply reply = old.take();
  EXPECT_THAT(reply.head, Not(HasSubstr("chunked")));
  EXPECT_THAT(reply.body, testing::EndsWith("data: [DONE]\n\n"));
}

TEST_F(Server, KeysHostsAndOrigins) {
  start({}, {.api_keys = {"secret", "other"}, .cors = "https://a.example"});
  EXPECT_EQ(ask("GET", "/health").status, 200);
  EXPECT_EQ(ask("GET", "/").status, 200);
  EXPECT_EQ(ask("GET", "/v1/models").status, 401);
  EXPECT_EQ(ask("GET", "/v1/models").json().at("error").at("code"), "invalid_api_key");
  for (const char* wrong : {"Bearer secre", "Bearer secrets", "Bearer ", "secret", ""})
    EXPECT_EQ(ask("GET", "/v1/models", "", std::string("Authorization: ") + wrong + "\r\n").status, 401) << wrong;
  EXPECT_EQ(ask("GET", "/v1/models", "", "authorization: Bearer other\r\n").status, 200);
  EXPECT_EQ(ask("GET", "/v1/models", "", "X-Api-Key: secret\r\n").status, 200);
  const Reply preflight = ask("OPTIONS", "/v1/chat/completions");
  EXPECT_EQ(preflight.status, 204);
  EXPECT_THAT(preflight.head, HasSubstr("Access-Control-Allow-Origin: https://a.example"));
  EXPECT_THAT(ask("GET", "/v1/models").head, HasSubstr("Access-Control-Allow-Origin: https://a.example"));
  Client rebound(port());
  rebound.send("GET /v1/models HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(rebound.take().status, 403);
}

TEST_F(Server, ThePageMayTalkToItsServerOnly) {
  start();
  for (const char* path : {"/", "/chat.js", "/chat.css", "/markdown.js"}) {
    const Reply reply = ask("GET", path);
    EXPECT_EQ(reply.status, 200) << path;
    EXPECT_THAT(reply.head, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'")) << path;
    EXPECT_THAT(reply.body, Not(HasSubstr("://"))) << path << " names another server";
  }
}

TEST_F(Server, StoppingLetsAnswersEnd) {
  start();
  Client idle(port()), client(port());
  idle.send("GET", "/health");
  EXPECT_EQ(idle.take().status, 200);
  client.send("POST", "/v1/completions", R"({"prompt":"a","stream":true})");
  source.request(1);
  server_->stop();
  EXPECT_TRUE(idle.closed());
  source.say(1, "late", FinishReason::kStop);
  EXPECT_THAT(client.take().body, HasSubstr("late"));
  EXPECT_TRUE(client.closed());
  const int old_port = port();
  stop();
  EXPECT_FALSE(Client(old_port).connected());
  EXPECT_EQ(source.num_cancelled(), 0U);
}

TEST_F(Server, StoppingDoesNotWaitForEver) {
  start({.drain_timeout = 0.05});
  Client client(port());
  client.send("POST", "/v1/completions", R"({"prompt":"a"})");
  source.request(1);
  stop();
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(source.cancelled(1));
}

TEST_F(Server, BadAddressesAreErrors) {
  start();
  EXPECT_THROW(HttpServer({.port = port()}, {}), Error);
  EXPECT_THROW(HttpServer({.host = "no.such.address"}, {}), Error);
  EXPECT_THROW(HttpServer({.port = 70000}, {}), Error);
}

}  // namespace
}  // namespace hadal
