#include "infer/chat_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "infer/chat_prompt.h"
#include "infer/loaded_model.h"
#include "support/byte_tokenizer.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace hadal {
namespace {

using testing::HasSubstr;

class Chat : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(folder_.path());
    loaded_.emplace(LoadOptions{.model = folder_.path().string(), .weights = "f32", .threads = 1});
    engine_.emplace(loaded_->ctx, loaded_->model, loaded_->tokenizer(), EngineOptions{.max_batch = 1});
    template_ = chat_template_of(*loaded_->tokenizer(), "tiny");
    session_.emplace(*engine_, *loaded_->tokenizer(), template_.value(), ChatSettings{.max_tokens = 8}, "Be kind.");
  }
  ChatTurn say(const std::string& message) {
    shown_ = "";
    return session_->answer(
        message, [&](std::string_view text, bool reasoning) { shown_ += reasoning ? "" : std::string(text); }, stop_);
  }
  TempDir folder_;
  std::optional<LoadedModel> loaded_;
  std::optional<ChatTemplate> template_;
  std::optional<Engine> engine_;
  std::optional<ChatSession> session_;
  std::atomic<bool> stop_ = false;
  std::string shown_;
};

TEST_F(Chat, TheConversationGrows) {
  const ChatTurn first = say("one");
  EXPECT_EQ(first.content, shown_);
  EXPECT_LE(first.usage.completion_tokens, 8);
  const ChatTurn second = say("two");
  EXPECT_GT(second.usage.prompt_tokens, first.usage.prompt_tokens);
  const JsonArray messages = session_->messages();
  ASSERT_EQ(messages.size(), 5U);
  EXPECT_EQ(messages[0].at("content"), "Be kind.");
  EXPECT_EQ(messages[2].at("content"), Json(first.content));
  EXPECT_EQ(messages[3].at("content"), "two");
}

TEST_F(Chat, ATurnIsReadAgainAsItWasWritten) {
  const auto prompt = [&](const std::string& answer, const OwnAnswers& own) {
    const JsonArray messages = {JsonObject{{"role", "system"}, {"content", "s"}},
                                JsonObject{{"role", "user"}, {"content", answer}},
                                JsonObject{{"role", "assistant"}, {"content", answer}}};
    return chat_prompt(*template_, *loaded_->tokenizer(), messages, std::nullopt, nullptr, own).ids;
  };
  // The name of a control token in a text is letters; what the model generated may have been the token.
  const std::vector<int> read = prompt("o<eos>", {}), kept = prompt("o<eos>", {{2, {'o', kByteEos}}});
  EXPECT_EQ(std::ranges::count(read, kByteEos), 0);
  EXPECT_EQ(std::ranges::count(kept, kByteEos), 1);
  EXPECT_EQ(kept.size() + 4, read.size());
  EXPECT_EQ(prompt("oh", {{2, {'o', kByteEos}}}), prompt("oh", {})) << "the text is not that of the ids";
  EXPECT_EQ(prompt("o<eos>", {{1, {'o', kByteEos}}}), read) << "only what the assistant said";
}

TEST_F(Chat, ThinkingAndCirclesHaveBounds) {
  EXPECT_EQ(session_->command("/set thinking_budget 5"), "thinking-budget is 5");
  EXPECT_EQ(session_->command("/set repetition_guard 0"), "repetition-guard is 0");
  EXPECT_FALSE(say("one").usage.thinking_cut) << "it never thought";
}

TEST_F(Chat, CommandsChangeWhatComes) {
  say("one");
  EXPECT_THAT(session_->command("/reset"), HasSubstr("forgotten"));
  EXPECT_EQ(session_->messages().size(), 1U);
  session_->command("/system");
  EXPECT_EQ(session_->messages().size(), 0U);
  session_->command("/system Be rude.");
  EXPECT_EQ(session_->messages()[0].at("content"), "Be rude.");
  EXPECT_EQ(session_->command("/set max_tokens 3"), "max-tokens is 3");
  EXPECT_LE(say("x").usage.completion_tokens, 3);
  EXPECT_THAT(session_->command("/set temprature 3"), HasSubstr("temperature"));
  EXPECT_THAT(session_->command("/set temperature hot"), HasSubstr("hot"));
  EXPECT_EQ(session_->command("/set thinking off"), "thinking is off");
  EXPECT_THAT(session_->command("/set"), HasSubstr("want"));
  EXPECT_THAT(session_->command("/dance"), HasSubstr("unknown command /dance"));
  session_->command("/set temperature 0");
  session_->command("/reset");
  const std::string greedy = say("x").content;
  session_->command("/reset");
  EXPECT_EQ(say("x").content, greedy);
}

TEST_F(Chat, AnInterruptedAnswerStaysAsFarAsItCame) {
  stop_ = true;
  const ChatTurn turn = say("one");
  EXPECT_EQ(turn.finish, FinishReason::kCancelled);
  EXPECT_EQ(session_->messages().size(), 3U);
  stop_ = false;
  EXPECT_NE(say("two").finish, FinishReason::kCancelled);
}

TEST_F(Chat, WhatDoesNotFitIsForgotten) {
  EXPECT_THAT(error_of([&] { say(std::string(2000, 'x')); }), HasSubstr("/reset"));
  EXPECT_EQ(session_->messages().size(), 1U);
  EXPECT_NO_THROW(say("short"));
}

TEST(ChatTemplateOf, IsNothingForModelsWithoutOne) {
  EXPECT_FALSE(chat_template_of(Tokenizer(byte_tokenizer_files()), "tiny").has_value());
}

}  // namespace
}  // namespace hadal
