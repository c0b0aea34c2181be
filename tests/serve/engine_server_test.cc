// The whole way: HTTP, template, engine, model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "http_client.h"
#include "infer/chat_prompt.h"
#include "serve/engine_source.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace hadal {
namespace {

using testing::HasSubstr;

class EngineServer : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(folder_.path());
    loaded_.emplace(LoadOptions{.model = folder_.path().string(), .weights = "f32", .threads = 1});
    source_.emplace(*loaded_, EngineOptions{.max_batch = 8, .prefill_chunk = 16});
    template_ = chat_template_of(*loaded_->tokenizer(), "tiny");
    api_.emplace(*source_, *loaded_->tokenizer(), &template_.value(), ApiOptions{.model = "tiny"});
    server_.emplace(HttpOptions{.port = 0},
                    [this](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
                      api_->handle(request, exchange);
                    });
    thread_ = std::thread([this] { server_->run(); });
  }
  void TearDown() override {
    server_->stop();
    thread_.join();
  }
  Reply get(const std::string& path) {
    Client client(server_->port());
    client.send("GET", path, "");
    return client.take();
  }
  Reply post(const std::string& path, const std::string& body) {
    Client client(server_->port());
    client.send("POST", path, body);
    return client.take();
  }

 private:
  TempDir folder_;
  std::optional<HttpServer> server_;  // outlives the engine, which holds exchanges
  std::optional<LoadedModel> loaded_;
  std::optional<ChatTemplate> template_;
  std::optional<EngineSource> source_;
  std::optional<Api> api_;
  std::thread thread_;
};

std::string chat_body(int seed, bool stream) {
  return R"({"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Why?"}],"max_tokens":24,"seed":)" +
         std::to_string(seed) + R"(,"ignore_eos":true,"stream":)" + (stream ? "true" : "false") + "}";
}

std::string streamed_content(const std::string& body) {
  std::string text;
  for (std::size_t at = 0; (at = body.find("data: {", at)) != std::string::npos;) {
    const std::size_t end = body.find("\n\n", at);
    const Json event = parse_json(body.substr(at + 6, end - at - 6), "event");
    const JsonObject& delta = event.at("choices").at(0).at("delta").as_object();
    if (delta.contains("content")) text += delta.at("content").as_string();
    at = end;
  }
  return text;
}

TEST_F(EngineServer, AStreamSaysWhatAWholeAnswerSays) {
  const Json whole = post("/v1/chat/completions", chat_body(3, false)).json();
  const std::string text(whole.at("choices").at(0).at("message").at("content").as_string());
  EXPECT_FALSE(text.empty());
  EXPECT_EQ(whole.at("usage").at("completion_tokens"), 24);
  EXPECT_EQ(streamed_content(post("/v1/chat/completions", chat_body(3, true)).body), text);
}

TEST_F(EngineServer, MetricsCountWhatWasAnswered) {
  post("/v1/chat/completions", chat_body(3, false));
  // An answer leaves within a step of the engine; the counts are those of whole steps.
  Reply reply = get("/metrics");
  for (int i = 0; i < 1000 && reply.body.find("\nhadal_requests_finished_total 1\n") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    reply = get("/metrics");
  }
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, HasSubstr("\nhadal_completion_tokens_total 24\n"));
  EXPECT_THAT(reply.body, HasSubstr("\nhadal_requests_finished_total 1\n"));
  EXPECT_EQ(post("/metrics", "").status, 405);
}

TEST_F(EngineServer, NeighboursChangeNothing) {
  std::vector<std::string> alone, together(6);
  for (int i = 0; i < 6; ++i) alone.push_back(streamed_content(post("/v1/chat/completions", chat_body(i, true)).body));
  std::vector<std::thread> clients;
  for (int i = 0; i < 6; ++i)
    clients.emplace_back([&, i] {
      together[static_cast<std::size_t>(i)] = streamed_content(post("/v1/chat/completions", chat_body(i, true)).body);
    });
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(together, alone);
  EXPECT_NE(alone[0], alone[1]);
}

// What lm-eval asks and how it reads the answer.
TEST_F(EngineServer, ScoresOfAPromptForEvaluation) {
  const Json json =
      post("/v1/completions",
           R"({"prompt":[256,72,105,33],"max_tokens":1,"logprobs":1,"echo":true,"temperature":0,"seed":1234})")
          .json();
  const Json& choice = json.at("choices").at(0);
  const JsonObject& l = choice.at("logprobs").as_object();
  const JsonArray &numbers = l.at("token_logprobs").as_array(), &top = l.at("top_logprobs").as_array();
  ASSERT_EQ(numbers.size(), 5U);
  ASSERT_EQ(top.size(), 5U);
  EXPECT_TRUE(numbers[0].is_null());
  EXPECT_TRUE(top[0].is_null());
  EXPECT_EQ(l.at("tokens").at(1), "H");
  EXPECT_EQ(json_line(l.at("text_offset")), "[0,5,6,7,8]");
  EXPECT_TRUE(std::string(choice.at("text").as_string()).starts_with("<bos>Hi!"));
  for (std::size_t i = 1; i < 5; ++i) {
    double best = -1e9;
    for (const auto& [token, number] : top[i].as_object()) best = std::max(best, number.as_double());
    EXPECT_LE(numbers[i].as_double(), best);
    EXPECT_EQ(top[i].at(std::string(l.at("tokens").at(i).as_string())), numbers[i]);
    if (i < 4) continue;
    EXPECT_EQ(numbers[i].as_double(), best) << "greedy, equal to the last digit";
  }
}

TEST_F(EngineServer, ChoicesOfSeveralPromptsComeInOrder) {
  const Json json =
      post("/v1/completions", R"({"prompt":["ab","c"],"n":2,"max_tokens":3,"seed":9,"ignore_eos":true})").json();
  ASSERT_EQ(json.at("choices").as_array().size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(json.at("choices").at(i).at("index"), i);
    EXPECT_EQ(json.at("choices").at(i).at("finish_reason"), "length");
  }
  EXPECT_EQ(json.at("usage").at("prompt_tokens"), 3);
  EXPECT_EQ(json.at("usage").at("completion_tokens"), 12);
  const Json alone =
      post("/v1/completions", R"({"prompt":"c","n":2,"max_tokens":3,"seed":9,"ignore_eos":true})").json();
  EXPECT_EQ(alone.at("choices").at(0).at("text"), json.at("choices").at(2).at("text"));
  EXPECT_EQ(alone.at("choices").at(1).at("text"), json.at("choices").at(3).at("text"));
}

TEST_F(EngineServer, BiasLogprobsAndStops) {
  const Json biased =
      post(
          "/v1/chat/completions",
          R"({"messages":[{"role":"user","content":"x"}],"max_tokens":5,"logit_bias":{"65":100},"logprobs":true,"top_logprobs":2})")
          .json();
  const Json& choice = biased.at("choices").at(0);
  EXPECT_EQ(choice.at("message").at("content"), "AAAAA");
  ASSERT_EQ(choice.at("logprobs").at("content").as_array().size(), 5U);
  const Json& first = choice.at("logprobs").at("content").at(0);
  EXPECT_EQ(first.at("token"), "A");
  EXPECT_EQ(json_line(first.at("bytes")), "[65]");
  EXPECT_LT(first.at("logprob").as_double(), -1) << "of the model's own distribution, not of the biased one";
  EXPECT_EQ(first.at("top_logprobs").as_array().size(), 2U);
  const Json stopped =
      post("/v1/completions", R"({"prompt":"x","max_tokens":50,"logit_bias":{"65":100},"stop":["AAA"]})").json();
  EXPECT_EQ(stopped.at("choices").at(0).at("text"), "");
  EXPECT_EQ(stopped.at("choices").at(0).at("finish_reason"), "stop");
  EXPECT_EQ(stopped.at("usage").at("completion_tokens"), 3);
}

TEST_F(EngineServer, TheEnginesRefusalsAre400) {
  EXPECT_EQ(post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}],"n":9,"max_tokens":2})").status,
            400);
  EXPECT_EQ(post("/v1/completions", R"({"prompt":"x","max_tokens":1024})").status, 400);
}

}  // namespace
}  // namespace hadal
