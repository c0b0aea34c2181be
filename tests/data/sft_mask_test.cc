// Which tokens are trained.
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/random.h"
#include "data/sft/encoder.h"
#include "data/sft/show.h"
#include "support/shared.h"
#include "support/temp_dir.h"
#include "support/tiny_tokenizer.h"

namespace hadal {
namespace {

Conversation conversation(const std::string& messages) {
  return {.messages = parse_json(messages, "test").get_array()};
}

/// A tokenizer with a template.
struct Model {
  Tokenizer tokenizer;
  ChatTemplate chat;

  explicit Model(Tokenizer t)
      : tokenizer(std::move(t)), chat(ChatTemplate::from_config(tokenizer.files().config, "test")) {}
  Model(Tokenizer t, const std::string& file)
      : tokenizer(std::move(t)),
        chat(ChatTemplate::parse(
            read_file(std::filesystem::path(HADAL_SOURCE_DIR) / "tests/data/templates" / (file + ".jinja")), file)) {
    chat.set_special_token("bos_token", tokenizer.files().config.bos_token);
    chat.set_special_token("eos_token", tokenizer.files().config.eos_token);
  }

  MaskedSample encode(const Conversation& c, const MaskOptions& options = {}) const {
    return SftEncoder(chat, tokenizer, options).encode(c);
  }
  /// Everything, with what is trained in [[ ]].
  std::string shown(const Conversation& c, const MaskOptions& options = {}) const {
    const MaskedSample s = encode(c, options);
    return show_mask(tokenizer, s.ids, s.trained, false);
  }
};

const Model* deepseek_v3() {
  if (shared_dir().empty()) return nullptr;
  static const Model model(Tokenizer::load(shared_dir() / "tokenizers/deepseek-v3"));
  return &model;
}

constexpr char kChat[] = R"([{"role":"system","content":"S"},{"role":"user","content":"q1"},)"
                         R"({"role":"assistant","content":"a1"},{"role":"user","content":"q2"},)"
                         R"({"role":"assistant","reasoning_content":"r2","content":"a2"}])";
constexpr char kTools[] =
    R"([{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[)"
    R"({"type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},)"
    R"({"type":"function","function":{"name":"g","arguments":"{}"}}]},{"role":"tool","content":"x"},)"
    R"({"role":"tool","content":"y"},{"role":"assistant","content":"done"}])";

TEST(SftMask, CoversAnswersAndTheirEnd) {
  const Model model(tiny_tokenizer());
  EXPECT_EQ(model.shown(conversation(kChat)),
            "<bos>S<user>q1<bot>[[a1<eos>]]<user>q2<bot>[[<think>r2</think>a2<eos>]]");
  EXPECT_EQ(model.shown(conversation(kTools)),
            "<bos><user>q<bot>[[<call>f{\"a\":1}</call><call>g{}</call><eos>]]<user>[x]<user>[y]<bot>[[done<eos>]]");
}

TEST(SftMask, OptionsNarrowIt) {
  const Model model(tiny_tokenizer());
  EXPECT_EQ(model.shown(conversation(kChat), {.last_turn_only = true}),
            "<bos>S<user>q1<bot>a1<eos><user>q2<bot>[[<think>r2</think>a2<eos>]]");
  EXPECT_EQ(model.shown(conversation(kChat), {.reasoning = "masked"}),
            "<bos>S<user>q1<bot>[[a1<eos>]]<user>q2<bot><think>r2</think>[[a2<eos>]]");
  EXPECT_EQ(model.shown(conversation(kTools), {.tool_calls = false}),
            "<bos><user>q<bot><call>f{\"a\":1}</call><call>g{}</call><eos><user>[x]<user>[y]<bot>[[done<eos>]]");
}

TEST(SftMask, GoldenOnDeepseekV3) {
  const Model* model = deepseek_v3();
  if (model == nullptr) GTEST_SKIP() << "no shared data";
  const std::string bos = "<｜begin▁of▁sentence｜>", eos = "<｜end▁of▁sentence｜>";
  EXPECT_EQ(model->shown(conversation(kChat)),
            bos + "S<｜User｜>q1<｜Assistant｜>[[a1" + eos + "]]<｜User｜>q2<｜Assistant｜>[[a2" + eos + "]]");
  EXPECT_TRUE(model->encode(conversation(kChat)).reasoning_lost);
  EXPECT_EQ(
      model->shown(conversation(kTools)),
      bos +
          "<｜User｜>q<｜Assistant｜>[[<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f↵\n```json↵\n"
          "{\"a\":1}↵\n```<｜tool▁call▁end｜>↵\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g↵\n```json↵\n{}↵\n```"
          "<｜tool▁call▁end｜><｜tool▁calls▁end｜>" +
          eos +
          "]]<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>x<｜tool▁output▁end｜>↵\n"
          "<｜tool▁output▁begin｜>y<｜tool▁output▁end｜><｜tool▁outputs▁end｜>[[done" +
          eos + "]]");
  // The template does not close a single call: its last token is trained, and it is counted as a turn without an end.
  const Conversation single = conversation(
      R"([{"role":"user","content":"q"},{"role":"assistant","content":"","tool_calls":[{"type":"function",)"
      R"("function":{"name":"f","arguments":"{}"}}]},{"role":"tool","content":"x"},{"role":"assistant","content":"a"}])");
  EXPECT_EQ(
      model->shown(single),
      bos +
          "<｜User｜>q<｜Assistant｜>[[<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f↵\n```json↵\n"
          "{}↵\n```<｜tool▁call▁end｜>]]<｜tool▁outputs▁begin｜><｜tool▁output▁begin｜>x<｜tool▁output▁end｜>"
          "<｜tool▁outputs▁end｜>[[a" +
          eos + "]]");
  EXPECT_EQ(model->encode(single).turns_without_end, 1);
  EXPECT_EQ(model->encode(single).turns, 2);
  // Content beside tool calls: the template would leave the calls out.
  Conversation both = single;
  both.messages[1].get_object()["content"] = "text";
  EXPECT_EQ(error_of([&] { model->encode(both); }), "messages[1].tool_calls: the template leaves them out");
}

TEST(SftMask, FollowsTheTemplatesOfOtherModels) {
  const Model* v3 = deepseek_v3();
  if (v3 == nullptr) GTEST_SKIP() << "no shared data";
  const auto shown = [&](const char* file, const char* messages, const MaskOptions& options = {},
                         JsonObject variables = {}) {
    Conversation c = conversation(messages);
    c.variables = std::move(variables);
    return Model(Tokenizer(TokenizerFiles(v3->tokenizer.files())), file).shown(c, options);
  };
  const std::string bos = "<｜begin▁of▁sentence｜>", eos = "<｜end▁of▁sentence｜>";
  // "<think>" of the generation prompt and "</think>" of the history part inside of a token's text.
  for (const bool thinking : {false, true})
    EXPECT_EQ(shown("deepseek-v3.1", kChat, {}, {{"thinking", thinking}}),
              bos + "S<｜User｜>q1<｜Assistant｜>" + (thinking ? "[[</think>a1" : "</think>[[a1") + eos +
                  "]]<｜User｜>q2<｜Assistant｜>" + (thinking ? "[[</think>a2" : "</think>[[a2") + eos + "]]");
  EXPECT_EQ(shown("deepseek-v2", kChat),
            bos + "S↵\n↵\nUser: q1↵\n↵\nAssistant:[[ a1" + eos + "]]User: q2↵\n↵\nAssistant:[[ a2" + eos + "]]");
  // The tokenizer has no <|im_end|>: its text is trained.
  EXPECT_EQ(
      shown("qwen3", kChat),
      "<|im_start|>system↵\nS<|im_end|>↵\n<|im_start|>user↵\nq1<|im_end|>↵\n<|im_start|>assistant↵\n[[a1<|im_end|>]]↵\n"
      "<|im_start|>user↵\nq2<|im_end|>↵\n<|im_start|>assistant↵\n[[<think>↵\nr2↵\n</think>↵\n↵\na2<|im_end|>]]↵\n");
  // Generation blocks say it themselves.
  EXPECT_EQ(shown("chatml", R"([{"role":"user","content":"q"},{"role":"assistant","content":"a"}])"),
            "<|im_start|>user↵\nq<|im_end|>↵\n<|im_start|>assistant↵\n[[a<|im_end|>]]↵\n");
  // R1's template cuts reasoning out of every answer.
  EXPECT_EQ(shown("deepseek-r1",
                  R"([{"role":"user","content":"q"},{"role":"assistant","content":"<think>\nr\n</think>\n\na"}])"),
            bos + "<｜User｜>q<｜Assistant｜>[[↵\n↵\na" + eos + "]]");
  for (const char* answer : {R"({"role":"assistant","content":"<think>\nr\n</think>\n\na"})",
                             R"({"role":"assistant","reasoning_content":"r","content":"a"})"})
    EXPECT_EQ(shown("deepseek-r1", str_cat(R"([{"role":"user","content":"q"},)", answer, "]").c_str(),
                    {.reasoning = "generated"}),
              bos + "<｜User｜>q<｜Assistant｜><think>↵\n[[r↵\n</think>↵\n↵\na" + eos + "]]");
}

TEST(SftMask, EmptyMessagesHaveTurns) {
  const Model model(tiny_tokenizer());
  EXPECT_EQ(model.shown(conversation(R"([{"role":"user","content":""},{"role":"assistant","content":""}])")),
            "<bos><user><bot>[[<eos>]]");
  EXPECT_EQ(model.shown(conversation(R"([{"role":"assistant","content":"a"},{"role":"assistant","content":"b"},)"
                                     R"({"role":"user","content":""},{"role":"assistant","content":""}])")),
            "<bos><bot>[[a<eos>]]<bot>[[b<eos>]]<user><bot>[[<eos>]]");
  // Nothing was said before the answer, and the template moves a later system message in front of it.
  EXPECT_EQ(error_of([&] {
              model.shown(conversation(R"([{"role":"user","content":""},{"role":"assistant","content":"x"},)"
                                       R"({"role":"system","content":"late"},{"role":"assistant","content":"a"}])"));
            }),
            "messages[1]: cannot tell where its answer begins and ends in the text of the template");
}

std::string random_text(std::uint64_t seed, std::uint64_t index) {
  constexpr const char* kPieces[] = {
      "a",       " b",    "\n",  "\n\n",  "中文", "123", "<｜User｜>", "<｜end▁of▁sentence｜>",
      "<eos>",   "<bot>", "é ",  "{{x}}", "  ",   "<",   "😀",         ".",
      "</call>", "it's",  "```", "|"};
  std::string text;
  const std::uint64_t n = 1 + random_below(seed, Stream::kTest, index, 12);
  for (std::uint64_t i = 0; i < n; ++i)
    text += kPieces[random_below(seed, Stream::kTest, index * 1000 + i + 1, std::size(kPieces))];
  return text;
}

TEST(SftMask, OfRandomChatsIsExactlyTheAnswers) {
  std::vector<const Model*> models;
  const Model tiny(tiny_tokenizer());
  models.push_back(&tiny);
  if (deepseek_v3() != nullptr) models.push_back(deepseek_v3());
  for (const Model* model : models) {
    const SftEncoder encoder(model->chat, model->tokenizer, {});
    const std::string eos = model->tokenizer.files().config.eos_token;
    EXPECT_EQ(encoder.end_id(), model->tokenizer.eos_id());
    for (std::uint64_t seed = 0; seed < 150; ++seed) {
      Conversation c;
      std::vector<std::string> answers;
      const std::uint64_t rounds = 1 + random_below(seed, Stream::kTest, 1, 4);
      for (std::uint64_t i = 0; i < rounds; ++i) {
        if (random_below(seed, Stream::kTest, 50 + i, 3) == 0)
          c.messages.push_back(JsonObject{{"role", "system"}, {"content", random_text(seed, 3 * i)}});
        c.messages.push_back(JsonObject{{"role", "user"}, {"content", random_text(seed, 3 * i + 1)}});
        answers.push_back(random_text(seed, 3 * i + 2));
        c.messages.push_back(JsonObject{{"role", "assistant"}, {"content", answers.back()}});
      }
      const MaskedSample s = encoder.encode(c);
      EXPECT_FALSE(s.borders_differ) << json_line(c.messages);
      std::vector<std::string> trained;
      std::vector<int> all = s.ids;
      for (std::size_t t = 0; t < s.ids.size(); ++t) {
        if (!s.trained[t]) continue;
        if (t == 0 || !s.trained[t - 1]) trained.emplace_back();
        trained.back() += model->tokenizer.token_bytes(s.ids[t]);
        // Nothing but the end of the answer is a control token, whatever the text says.
        EXPECT_EQ(model->tokenizer.is_special(s.ids[t]), s.ids[t] == model->tokenizer.eos_id());
      }
      for (std::string& answer : answers) answer += eos;
      EXPECT_EQ(trained, answers) << json_line(c.messages);
      EXPECT_EQ(s.num_trained, std::count(s.trained.begin(), s.trained.end(), 1));
      EXPECT_EQ(s.turns_without_end, 0);
    }
  }
}

TEST(SftMask, ShowKeepsControlCharactersFromTheTerminal) {
  const Tokenizer tokenizer = tiny_tokenizer();
  const std::vector<int> ids = tokenizer.encode("\x1b[31m\xFF\n中");
  EXPECT_EQ(show_mask(tokenizer, ids, std::vector<char>(ids.size(), 0), false), "\u241B[31m\uFFFD↵\n中");
  EXPECT_EQ(show_mask(tokenizer, std::vector<int>{65, 257}, std::vector<char>{0, 1}, true),
            "\033[2mA\033[0m\033[32m\033[1m<eos>\033[0m");
}

}  // namespace
}  // namespace hadal
