#include "data/sft/conversation.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "data/sft/reader.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

Result<Conversation> parse(const std::string& line) {
  const Json json = parse_json(line, "test");
  const Result<SftShape> shape = detect_shape(json);
  if (!shape) return Failure{shape.message()};
  return parse_conversation(json, shape.value());
}

TEST(SftConversation, ShapesMeanTheSameMessages) {
  const Json want = parse_json(
      R"([{"role":"system","content":"S"},{"role":"user","content":"Q"},{"role":"assistant","content":"A"}])", "want");
  for (
      const char* line :
      {R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]})",
       R"({"messages":[{"role":"system","content":[{"type":"text","text":"S"}]},{"role":"user","content":"Q"},)"
       R"({"role":"assistant","content":"A","tool_calls":[],"reasoning_content":null}]})",
       R"({"prompt":[{"role":"system","content":"S"},{"role":"user","content":"Q"}],"completion":"A"})",
       R"({"system":"S","instruction":"Q","input":"","output":"A"})",
       R"({"system":"S","conversations":[{"from":"human","value":"Q"},{"from":"gpt","value":"A"}]})",
       R"({"conversations":[{"from":"system","value":"S"},{"from":"user","value":"Q"},{"from":"assistant","value":"A"}]})"}) {
    const Result<Conversation> got = parse(line);
    ASSERT_TRUE(got.ok()) << line << "\n" << got.message();
    EXPECT_EQ(Json(got.value().messages), want) << line;
    EXPECT_TRUE(got.value().tools.is_null());
  }
}

TEST(SftConversation, AlpacaJoinsInputAndHistory) {
  const Conversation c =
      parse(R"({"instruction":"I","input":"X","output":"O","history":[["q","a"]],"tools":"[{\"type\":\"function\"}]"})")
          .value();
  ASSERT_EQ(c.messages.size(), 4U);
  EXPECT_EQ(c.messages[2].at("content"), "I\nX");
  EXPECT_EQ(c.tools.get_array().size(), 1U);
}

TEST(SftConversation, ShareGptCallsBecomeToolCalls) {
  const Conversation c = parse(R"({"conversations":[{"from":"human","value":"Q"},)"
                               R"({"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"a\":1}}"},)"
                               R"({"from":"observation","value":"R"},{"from":"gpt","value":"A"}]})")
                             .value();
  ASSERT_EQ(c.messages.size(), 4U);
  EXPECT_EQ(c.messages[1].at("tool_calls").at(0).at("function").at("name"), "f");
  EXPECT_EQ(c.messages[2].at("role"), "tool");
}

TEST(SftConversation, ArgumentsTakeTheKindAskedFor) {
  Conversation c =
      parse(R"({"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":)"
            R"([{"function":{"name":"f","arguments":"{\"a\": [1, \"é\"]}"}}]}]})")
          .value();
  const auto arguments = [&]() -> const Json& {
    return c.messages[1].at("tool_calls").at(0).at("function").at("arguments");
  };
  set_argument_kind(c, true);
  EXPECT_EQ(arguments().at("a").at(0), 1);
  set_argument_kind(c, false);
  EXPECT_EQ(arguments(), "{\"a\": [1, \"é\"]}");
}

TEST(SftConversation, ErrorsNameWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"([1])", "got [1], want an object"},
      {R"({"text":"x"})",
       "no known shape: want messages, prompt and completion, instruction and output, or "
       "conversations; got {\"text\":\"x\"}"},
      {R"({"messages":[]})", "messages: empty"},
      {R"({"messages":{}})", "messages: got {}, want an array"},
      {R"({"messages":[{"role":"user"}]})", "messages[0].content: got nothing, want a string"},
      {R"({"messages":[{"content":"x"}]})", "messages[0].role: missing"},
      {R"({"messages":[{"role":"bot","content":"x"}]})",
       "messages[0].role: got \"bot\", want system|developer|user|assistant|tool"},
      {R"({"messages":[{"role":"user","content":"x"}]})", "messages: the last one is of role user, want assistant"},
      {R"({"messages":[{"role":"user","content":5},{"role":"assistant","content":"x"}]})",
       "messages[0].content: got 5, want an array"},
      {R"({"messages":[{"role":"tool","content":"x"},{"role":"assistant","content":"x"}]})",
       "messages[0]: a tool result without a tool call before it"},
      {R"({"messages":[{"role":"user","content":"x","tool_calls":[1]}]})",
       "messages[0].tool_calls: in a message of role user"},
      {R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]})",
       "messages[0].tool_calls.arguments: missing"},
      {R"({"messages":[{"role":"assistant","content":"a","reasoning_content":1}]})",
       "messages[0].reasoning_content: got 1, want a string"},
      {R"({"prompt":1,"completion":"x"})", "prompt: got 1, want an array"},
      {R"({"instruction":"x","output":1})", "line.output: got 1, want a string"},
      {R"({"conversations":[{"from":"alien","value":"x"}]})",
       "conversations[0].from: got \"alien\", want human|gpt|system|function_call|observation"},
      {R"({"messages":[{"role":"assistant","content":"a"}],"tools":"[1"})", "tools:1:3: JSON ends too early"},
  };
  for (const auto& [line, want] : cases) {
    const Result<Conversation> got = parse(line);
    ASSERT_FALSE(got.ok()) << line;
    EXPECT_EQ(got.message(), want) << line;
  }
  EXPECT_EQ(parse_conversation(parse_json(R"({"instruction":"a","output":"b"})", "t"), SftShape::kMessages).message(),
            "a line of shape alpaca in a file of shape messages");
}

TEST(SftReader, ReadsLinesAndArrays) {
  const TempDir dir;
  write_file_atomically(dir / "a.jsonl", "{\"a\":1}\n\n{bad\r\n  \n{\"a\":\"\xE2\x80\xA8\"}");
  write_file_atomically(dir / "b.json", " [ {\"a\":1}, 2 ] ");
  write_file_atomically(dir / "c.json", "{\"a\":1}\n{\"a\":2}\n");
  const auto read = [&](const char* name) {
    std::string seen;
    read_records(dir / name,
                 [&](Result<Json>& value, index_t number) { seen += str_cat(number, value.ok() ? "+" : "-", " "); });
    return seen;
  };
  EXPECT_EQ(read("a.jsonl"), "1+ 3- 5+ ");
  EXPECT_EQ(read("b.json"), "1+ 2+ ");
  EXPECT_EQ(read("c.json"), "1+ 2+ ");
}

}  // namespace
}  // namespace hadal
