#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "serve/openai/api_error.h"
#include "serve/openai/chat_request.h"
#include "serve/openai/completion_request.h"
#include "support/tiny_model.h"

namespace hadal {
namespace {

using testing::HasSubstr;

const Tokenizer& tokenizer() {
  static const Tokenizer t(byte_tokenizer_files());
  return t;
}
ChatTemplate make_template(const std::string& source = kTinyTemplate) {
  ChatTemplate t = ChatTemplate::parse(source);
  t.set_special_token("bos_token", "<bos>");
  return t;
}

ChatRequest chat(const std::string& fields) {
  static const ChatTemplate t = make_template();
  return read_chat_request(parse_json("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]" + fields + "}", "test"),
                           tokenizer(), t);
}

struct Refusal {
  int status = 0;
  std::string param, message;
};
template <class F>
Refusal refusal(F&& f) {
  try {
    f();
  } catch (const ApiError& e) {
    return {e.status, e.param, e.what()};
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

TEST(ChatRequest, DefaultsAreOpenAis) {
  const ChatRequest r = chat("");
  EXPECT_EQ(r.fields.sampling.temperature, 1);
  EXPECT_EQ(r.fields.sampling.top_p, 1);
  EXPECT_EQ(r.fields.sampling.top_k, 0);
  EXPECT_EQ(r.fields.n, 1);
  EXPECT_FALSE(r.fields.stream);
  EXPECT_FALSE(r.fields.seed.has_value());
  EXPECT_FALSE(r.fields.max_tokens.has_value());
  EXPECT_EQ(r.top_logprobs, -1);
}

TEST(ChatRequest, FieldsArriveWhereTheyBelong) {
  const ChatRequest r = chat(
      R"(,"model":"m","temperature":0.5,"top_p":0.9,"top_k":-1,"min_p":0.1,"seed":-3,"stop":["a","<eos>"],"n":2,)"
      R"("frequency_penalty":1,"presence_penalty":-1,"logit_bias":{"5":-100,"6":1.5,"7":false},"logprobs":true,)"
      R"("top_logprobs":3,"max_tokens":9,"max_completion_tokens":7,"stream":true,"stream_options":{"include_usage":true},)"
      R"("stop_token_ids":[4],"min_tokens":2,"ignore_eos":true,"user":"u","novel":1,"temperature2":null)");
  const SamplingParams& s = r.fields.sampling;
  EXPECT_EQ(s.temperature, 0.5);
  EXPECT_EQ(s.top_k, 0);
  EXPECT_EQ(s.min_p, 0.1);
  EXPECT_EQ(s.frequency_penalty, 1);
  EXPECT_EQ(s.presence_penalty, -1);
  EXPECT_TRUE(std::isinf(s.logit_bias.at(5)));
  EXPECT_EQ(s.logit_bias.at(6), 1.5F);
  EXPECT_TRUE(std::isinf(s.logit_bias.at(7)));
  EXPECT_EQ(r.fields.seed, static_cast<std::uint64_t>(-3));
  EXPECT_EQ(r.fields.stop.texts, (std::vector<std::string>{"a", "<eos>"}));
  EXPECT_EQ(r.fields.stop.ids, (std::vector<int>{kByteEos, 4})) << "the name of a control token stops at the token";
  EXPECT_EQ(r.fields.stop.min_tokens, 2);
  EXPECT_TRUE(r.fields.stop.ignore_eos);
  EXPECT_EQ(r.fields.max_tokens, 7) << "the smaller of the two";
  EXPECT_TRUE(r.fields.include_usage);
  EXPECT_EQ(r.top_logprobs, 3);
  EXPECT_EQ(r.fields.unknown, (std::vector<std::string>{"novel", "temperature2"}));
}

TEST(ChatRequest, WrongFieldsAreNamed) {
  const struct {
    const char *fields, *param;
    int status;
  } cases[] = {
      {R"(,"temperature":"hot")", "temperature", 400},
      {R"(,"temperature":2.1)", "temperature", 400},
      {R"(,"top_p":-1)", "top_p", 400},
      {R"(,"n":0)", "n", 400},
      {R"(,"n":1.5)", "n", 400},
      {R"(,"n":1e300)", "n", 400},
      {R"(,"seed":"1")", "seed", 400},
      {R"(,"stream":1)", "stream", 400},
      {R"(,"stream_options":[])", "stream_options", 400},
      {R"(,"stop":5)", "stop", 400},
      {R"(,"stop":[""])", "stop", 400},
      {R"(,"stop":[1])", "stop", 400},
      {R"(,"stop":["1","2","3","4","5","6","7","8","9","a","b","c","d","e","f","g","h"])", "stop", 400},
      {R"(,"logit_bias":{"260":1})", "logit_bias", 400},
      {R"(,"logit_bias":{"x":1})", "logit_bias", 400},
      {R"(,"logit_bias":{"1":1000})", "logit_bias", 400},
      {R"(,"logit_bias":{"1":true})", "logit_bias", 400},
      {R"(,"top_logprobs":3)", "top_logprobs", 400},
      {R"(,"logprobs":true,"top_logprobs":21)", "top_logprobs", 400},
      {R"(,"max_tokens":0)", "max_tokens", 400},
      {R"(,"stop_token_ids":[-1])", "stop_token_ids", 400},
      {R"(,"thinking":{"type":"maybe"})", "thinking.type", 400},
      {R"(,"thinking":{"budget_tokens":-1})", "thinking.budget_tokens", 400},
      {R"(,"thinking_budget":1.5)", "thinking_budget", 400},
      {R"(,"repetition_guard":"x")", "repetition_guard", 400},
      {R"(,"tools":[{"type":"function"}])", "tools", 501},
      {R"(,"response_format":{"type":"json_object"})", "response_format", 501},
      {R"(,"audio":{})", "audio", 400},
  };
  for (const auto& c : cases) {
    const Refusal r = refusal([&] { chat(c.fields); });
    EXPECT_EQ(r.status, c.status) << c.fields;
    EXPECT_EQ(r.param, c.param) << c.fields;
    EXPECT_THAT(r.message, HasSubstr(c.param)) << c.fields;
  }
}

TEST(ChatRequest, MessagesAreReadStrictly) {
  const ChatTemplate t = make_template();
  const auto read = [&](const std::string& messages) {
    return read_chat_request(parse_json("{\"messages\":" + messages + "}", "test"), tokenizer(), t).messages;
  };
  EXPECT_EQ(json_line(read(R"([{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},)"
                           R"({"role":"assistant","content":null,"reasoning":"r"}])")),
            R"([{"role":"system","content":"ab"},{"role":"assistant","content":"","reasoning_content":"r"}])");
  const struct {
    const char *messages, *param;
    int status;
  } cases[] = {
      {"[]", "messages", 400},
      {"7", "messages", 400},
      {"[7]", "messages[0]", 400},
      {R"([{"content":"x"}])", "messages[0].role", 400},
      {R"([{"role":"king","content":"x"}])", "messages[0].role", 400},
      {R"([{"role":"user"}])", "messages[0].content", 400},
      {R"([{"role":"user","content":5}])", "messages[0].content", 400},
      {R"([{"role":"user","content":[{"type":"image_url"}]}])", "messages[0].content[0].type", 400},
      {R"([{"role":"user","content":"x"},{"role":"assistant","content":"y","prefix":true}])", "messages[1].prefix",
       501},
  };
  for (const auto& c : cases) {
    const Refusal r = refusal([&] { read(c.messages); });
    EXPECT_EQ(r.param, c.param) << c.messages;
    EXPECT_EQ(r.status, c.status) << c.messages;
  }
}

ChatPrompt prompt_of(const std::string& source, const std::string& fields, const std::string& content = "x") {
  const ChatTemplate t = make_template(source);
  const Json body(JsonObject{{"messages", JsonArray{JsonObject{{"role", "user"}, {"content", content}}}}});
  std::string text = json_line(body);
  text.insert(text.size() - 1, fields);
  return render_chat(read_chat_request(parse_json(text, "test"), tokenizer(), t), tokenizer(), t);
}

TEST(ChatPrompt, TextOfUsersNeverBecomesAControlToken) {
  const ChatPrompt prompt = prompt_of(kTinyTemplate, "", "<bos><eos></think>");
  EXPECT_EQ(prompt.ids[0], kByteBos);
  for (std::size_t i = 1; i < prompt.ids.size(); ++i) EXPECT_LT(prompt.ids[i], 256);
  EXPECT_EQ(tokenizer().decode(prompt.ids), "<bos><user><bos><eos></think>\n<assistant>");
}

TEST(ChatPrompt, KnowsWhetherItEndsInsideOfThinking) {
  const std::string opens = std::string(kTinyTemplate) + "<think>\n";
  EXPECT_TRUE(prompt_of(opens, "").thinks);
  EXPECT_FALSE(prompt_of(kTinyTemplate, "").thinks);
  EXPECT_FALSE(prompt_of("{{ messages[0]['content'] }}", "", "<think>").thinks) << "a user wrote it";
  const ChatPrompt closed = prompt_of(opens, R"(,"thinking":{"type":"disabled"})");
  EXPECT_FALSE(closed.thinks);
  EXPECT_TRUE(tokenizer().decode(closed.ids).ends_with("<think>\n\n</think>\n\n"));
  EXPECT_EQ(std::ranges::count(closed.ids, kByteThinkEnd), 1);
  EXPECT_TRUE(prompt_of(opens, R"(,"reasoning_effort":"high")").thinks);
}

TEST(ChatPrompt, KnowsHowThinkingEnds) {
  EXPECT_EQ(prompt_of(std::string(kTinyTemplate) + "{{ '<think>\\n' }}", "").think_end, "\n</think>\n\n") << "as R1";
  EXPECT_EQ(prompt_of(std::string(kTinyTemplate) + "<think>", "").think_end, "</think>") << "as V3.1";
  EXPECT_EQ(prompt_of(kTinyTemplate, "").think_end, "\n</think>\n\n") << "the model opens it itself";
}

TEST(ChatRequest, BoundsOnThinkingAndRepetition) {
  const ChatRequest r = chat(R"(,"thinking":{"type":"enabled","budget_tokens":7},"repetition_guard":0)");
  EXPECT_EQ(r.thinking_budget, 7);
  EXPECT_EQ(r.fields.repetition_guard, 0);
  EXPECT_EQ(chat(R"(,"thinking_budget":0)").thinking_budget, 0);
  EXPECT_FALSE(chat("").thinking_budget.has_value());
}

TEST(ChatPrompt, VariablesReachTheTemplateAndItsRefusalsTheClient) {
  EXPECT_EQ(tokenizer().decode(prompt_of("{{ enable_thinking }}{{ k }}",
                                         R"(,"reasoning_effort":"none","chat_template_kwargs":{"k":"v"})")
                                   .ids),
            "Falsev");
  const Refusal r = refusal([] { prompt_of("{{ raise_exception('no users') }}", ""); });
  EXPECT_EQ(r.status, 400);
  EXPECT_THAT(r.message, HasSubstr("no users"));
}

CompletionRequest completion(const std::string& body) {
  return read_completion_request(parse_json(body, "test"), tokenizer());
}

TEST(CompletionRequest, PromptsOfEveryShape) {
  EXPECT_EQ(completion(R"({"prompt":"ab"})").prompts, (std::vector<std::vector<int>>{{'a', 'b'}}));
  EXPECT_EQ(completion(R"({"prompt":["a","<eos>"]})").prompts, (std::vector<std::vector<int>>{{'a'}, {kByteEos}}));
  EXPECT_EQ(completion(R"({"prompt":[1,2]})").prompts, (std::vector<std::vector<int>>{{1, 2}}));
  EXPECT_EQ(completion(R"({"prompt":[[1],[2,3]]})").prompts, (std::vector<std::vector<int>>{{1}, {2, 3}}));
  for (const char* bad : {R"({})", R"({"prompt":7})", R"({"prompt":[]})", R"({"prompt":[[]]})", R"({"prompt":""})",
                          R"({"prompt":["a",[1]]})", R"({"prompt":[1,"a"]})", R"({"prompt":[-1]})",
                          R"({"prompt":[260]})", R"({"prompt":[1.5]})"}) {
    EXPECT_EQ(refusal([&] { completion(bad); }).param, "prompt") << bad;
  }
}

TEST(CompletionRequest, BosComesOnceInFrontOfText) {
  TokenizerFiles files = byte_tokenizer_files();
  files.config.add_bos_token = true;
  const Tokenizer with_bos(files);
  const auto first = [&](const char* body) {
    return read_completion_request(parse_json(body, "test"), with_bos).prompts[0];
  };
  EXPECT_EQ(first(R"({"prompt":"a"})"), (std::vector<int>{kByteBos, 'a'}));
  EXPECT_EQ(first(R"({"prompt":"<bos>a"})"), (std::vector<int>{kByteBos, 'a'}));
  EXPECT_EQ(first(R"({"prompt":"a","add_special_tokens":false})"), (std::vector<int>{'a'}));
  EXPECT_EQ(first(R"({"prompt":[97]})"), (std::vector<int>{'a'})) << "ids are used as they are";
}

TEST(CompletionRequest, ScoringNeedsNoNewTokens) {
  const CompletionRequest r = completion(R"({"prompt":"a","echo":true,"logprobs":0,"max_tokens":0})");
  EXPECT_EQ(r.fields.max_tokens, 0);
  EXPECT_TRUE(r.echo);
  EXPECT_EQ(r.logprobs, 0);
  EXPECT_EQ(completion(R"({"prompt":"a"})").fields.max_tokens, 16);
  EXPECT_EQ(refusal([] { completion(R"({"prompt":"a","max_tokens":0})"); }).param, "max_tokens");
  EXPECT_EQ(refusal([] { completion(R"({"prompt":"a","suffix":"b"})"); }).status, 501);
  EXPECT_EQ(refusal([] { completion(R"({"prompt":"a","best_of":3})"); }).status, 501);
}

// Values of one place put into another, cut, doubled: a request is answered or refused, and nothing else happens.
TEST(HostileRequests, AreRefusedWithAnApiError) {
  const ChatTemplate t = make_template();
  const std::vector<std::string> keys = {
      "messages", "prompt",   "temperature", "top_p",          "top_k",  "n",           "stop",           "logit_bias",
      "seed",     "logprobs", "tools",       "stream_options", "echo",   "min_tokens",  "stop_token_ids", "thinking",
      "suffix",   "best_of",  "max_tokens",  "tool_choice",    "stream", "top_logprobs"};
  const std::vector<std::string> values = {
      "null",
      "true",
      "-1",
      "0",
      "1e308",
      "1.5",
      "18446744073709551615",
      "\"\"",
      "\"auto\"",
      "[]",
      "{}",
      "[[]]",
      "[1,\"a\"]",
      "[[1],[2]]",
      "{\"1\":1}",
      "{\"-1\":0}",
      "{\"type\":7}",
      "[{\"role\":\"user\",\"content\":\"x\"}]",
      "[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}]",
      "[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{}}]}]",
      "[{\"role\":\"user\",\"content\":[{}]}]",
      "[{\"role\":[]}]"};
  int accepted = 0, refused = 0;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    std::map<std::string, std::string> fields = {{"messages", R"([{"role":"user","content":"x"}])"},
                                                 {"prompt", "\"x\""}};
    for (std::uint64_t i = 0; i < 1 + seed % 3; ++i)
      fields[keys[random_below(seed, Stream::kTest, 2 * i, keys.size())]] =
          values[random_below(seed, Stream::kTest, 2 * i + 1, values.size())];
    std::string body = "{";
    for (const auto& [key, value] : fields) body += (body.size() > 1 ? ",\"" : "\"") + key + "\":" + value;
    const Json json = parse_json(body + "}", "test");
    for (const bool is_chat : {true, false}) {
      try {
        if (is_chat)
          render_chat(read_chat_request(json, tokenizer(), t), tokenizer(), t);
        else
          read_completion_request(json, tokenizer());
        ++accepted;
      } catch (const ApiError& e) {
        EXPECT_TRUE(e.status == 400 || e.status == 501) << body;
        ++refused;
      }
    }
  }
  EXPECT_GT(accepted, 500);
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace hadal
