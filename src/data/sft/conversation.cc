#include "data/sft/conversation.h"

#include <array>

#include "data/chat_template/heap.h"

namespace hadal {
namespace {

std::string text_of(const Json& value) {
  return {value.get_string().data(), value.get_string().size()};
}

const Json& field(const JsonObject& object, std::string_view key, std::string_view at) {
  const Json* value = object.if_contains({key.data(), key.size()});
  HADAL_CHECK(value != nullptr, at, ".", key, ": missing");
  return *value;
}

std::string string_field(const JsonObject& object, std::string_view key, std::string_view at) {
  const Json& value = field(object, key, at);
  HADAL_CHECK(value.is_string(), at, ".", key, ": got ", json_excerpt(value), ", want a string");
  return text_of(value);
}

const JsonObject& as_object(const Json& value, std::string_view at) {
  HADAL_CHECK(value.is_object(), at, ": got ", json_excerpt(value), ", want an object");
  return value.get_object();
}

const JsonArray& as_array(const Json& value, std::string_view at) {
  HADAL_CHECK(value.is_array(), at, ": got ", json_excerpt(value), ", want an array");
  return value.get_array();
}

JsonObject message(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

/// Contents may be lists of parts; those of text are joined.
Json checked_content(const Json& content, std::string_view at) {
  if (content.is_string() || content.is_null()) return content;
  std::string text;
  for (const Json& part : as_array(content, at)) {
    const JsonObject& object = as_object(part, at);
    HADAL_CHECK(string_field(object, "type", at) == "text", at, ": got a part that is no text: ", json_excerpt(part));
    text += string_field(object, "text", at);
  }
  return Json(text);
}

void check_tool_calls(const Json& calls, const std::string& at) {
  for (const Json& call : as_array(calls, at)) {
    const JsonObject& object = as_object(call, at);
    const JsonObject& function =
        object.contains("function") ? as_object(object.at("function"), at + ".function") : object;
    HADAL_CHECK(!string_field(function, "name", at).empty(), at, ".name: empty");
    const Json& arguments = field(function, "arguments", at);
    HADAL_CHECK(arguments.is_string() || arguments.is_object(), at, ".arguments: got ", json_excerpt(arguments),
                ", want an object or JSON text");
  }
}

/// Checks and completes one message.
JsonObject checked_message(const Json& value, const std::string& at) {
  JsonObject m = as_object(value, at);
  const std::string role = string_field(m, "role", at);
  constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant", "tool"};
  HADAL_CHECK(std::find(kRoles.begin(), kRoles.end(), role) != kRoles.end(), at, ".role: got \"", role,
              "\", want system|developer|user|assistant|tool");
  const Json* calls = m.if_contains("tool_calls");
  if (calls != nullptr && (calls->is_null() || (calls->is_array() && calls->get_array().empty()))) {
    m.erase("tool_calls");  // the same as none, but templates ask whether it is defined
    calls = nullptr;
  }
  HADAL_CHECK(calls == nullptr || role == "assistant", at, ".tool_calls: in a message of role ", role);
  if (calls != nullptr) check_tool_calls(*calls, at + ".tool_calls");
  const Json* content = m.if_contains("content");
  m["content"] = content == nullptr ? Json() : checked_content(*content, at + ".content");
  HADAL_CHECK(m["content"].is_string() || calls != nullptr, at, ".content: got nothing, want a string");
  for (const char* key : {"reasoning_content", "reasoning", "thinking"})
    if (const Json* reasoning = m.if_contains(key)) {
      HADAL_CHECK(reasoning->is_string() || reasoning->is_null(), at, ".", key, ": got ", json_excerpt(*reasoning),
                  ", want a string");
      if (reasoning->is_null()) m.erase(key);
    }
  return m;
}

/// Text or messages, as one side of prompt and completion.
void append_side(JsonArray& messages, const Json& side, std::string_view role, std::string_view key) {
  if (side.is_string()) {
    messages.push_back(message(role, text_of(side)));
  } else {
    for (const Json& m : as_array(side, key)) messages.push_back(m);
  }
}

Json parsed_tools(const JsonObject& line) {
  const Json* tools = line.if_contains("tools");
  if (tools == nullptr || tools->is_null()) return {};
  const Json value =
      tools->is_string() ? tools->get_string().empty() ? Json() : parse_json(text_of(*tools), "tools") : *tools;
  HADAL_CHECK(value.is_null() || value.is_array(), "tools: got ", json_excerpt(value), ", want an array");
  return value.is_array() && value.get_array().empty() ? Json() : value;
}

JsonArray alpaca_messages(const JsonObject& line) {
  JsonArray messages;
  if (const Json* system = line.if_contains("system");
      system != nullptr && system->is_string() && !system->get_string().empty())
    messages.push_back(message("system", text_of(*system)));
  if (const Json* history = line.if_contains("history"); history != nullptr && !history->is_null())
    for (const Json& pair : as_array(*history, "history")) {
      const JsonArray& both = as_array(pair, "history");
      HADAL_CHECK(both.size() == 2 && both[0].is_string() && both[1].is_string(), "history: got ", json_excerpt(pair),
                  ", want [question, answer]");
      messages.push_back(message("user", text_of(both[0])));
      messages.push_back(message("assistant", text_of(both[1])));
    }
  std::string question = string_field(line, "instruction", "line");
  if (const Json* input = line.if_contains("input"); input != nullptr && !input->is_null())
    if (const std::string text = string_field(line, "input", "line"); !text.empty())
      question += question.empty() ? text : "\n" + text;
  messages.push_back(message("user", question));
  messages.push_back(message("assistant", string_field(line, "output", "line")));
  return messages;
}

/// The calls of a "function_call" turn: {"name", "arguments"}, or an array of them, as JSON text.
JsonArray share_gpt_calls(const std::string& text, const std::string& at) {
  const Json parsed = parse_json(text, at);
  JsonArray calls;
  for (const Json& call : parsed.is_array() ? parsed.get_array() : JsonArray(1, parsed))
    calls.push_back(JsonObject{{"type", "function"}, {"function", as_object(call, at)}});
  return calls;
}

JsonArray share_gpt_messages(const JsonObject& line) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kRoles = {{{"human", "user"},
                                                                                     {"user", "user"},
                                                                                     {"gpt", "assistant"},
                                                                                     {"assistant", "assistant"},
                                                                                     {"chatgpt", "assistant"},
                                                                                     {"system", "system"},
                                                                                     {"tool", "tool"},
                                                                                     {"observation", "tool"},
                                                                                     {"function_response", "tool"},
                                                                                     {"function_call", "call"}}};
  JsonArray messages;
  if (const Json* system = line.if_contains("system");
      system != nullptr && system->is_string() && !system->get_string().empty())
    messages.push_back(message("system", text_of(*system)));
  const JsonArray& turns = as_array(line.at("conversations"), "conversations");
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const std::string at = str_cat("conversations[", i, "]");
    const JsonObject& turn = as_object(turns[i], at);
    const std::string from = string_field(turn, "from", at), value = string_field(turn, "value", at);
    const auto role = std::find_if(kRoles.begin(), kRoles.end(), [&](const auto& r) { return r.first == from; });
    HADAL_CHECK(role != kRoles.end(), at, ".from: got \"", from, "\", want human|gpt|system|function_call|observation");
    if (role->second == "call") {
      JsonObject m{{"role", "assistant"}, {"content", nullptr}, {"tool_calls", share_gpt_calls(value, at + ".value")}};
      messages.push_back(std::move(m));
    } else {
      messages.push_back(message(role->second, value));
    }
  }
  return messages;
}

void check_order(const JsonArray& messages) {
  HADAL_CHECK(!messages.empty(), "messages: empty");
  std::string before;
  bool called = false;  // by the last message of the assistant
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const JsonObject& m = messages[i].get_object();
    const std::string role = text_of(m.at("role"));
    HADAL_CHECK(role != "tool" || called || before == "tool", "messages[", i,
                "]: a tool result without a tool call before it");
    if (role == "assistant") called = m.contains("tool_calls");
    if (role == "user") called = false;
    before = role;
  }
  HADAL_CHECK(before == "assistant", "messages: the last one is of role ", before, ", want assistant");
}

Conversation conversation_of(const JsonObject& line, SftShape shape) {
  JsonArray raw;
  switch (shape) {
    case SftShape::kMessages:
      raw = as_array(field(line, "messages", "line"), "messages");
      break;
    case SftShape::kPromptCompletion:
      append_side(raw, field(line, "prompt", "line"), "user", "prompt");
      append_side(raw, field(line, "completion", "line"), "assistant", "completion");
      break;
    case SftShape::kAlpaca:
      raw = alpaca_messages(line);
      break;
    case SftShape::kShareGpt:
      raw = share_gpt_messages(line);
      break;
  }
  Conversation result{.tools = parsed_tools(line)};
  for (const Json& m : raw)
    result.messages.push_back(checked_message(m, str_cat("messages[", result.messages.size(), "]")));
  check_order(result.messages);
  if (const Json* variables = line.if_contains("chat_template_kwargs"); variables != nullptr && !variables->is_null())
    result.variables = as_object(*variables, "chat_template_kwargs");
  return result;
}

}  // namespace

std::string_view shape_name(SftShape shape) {
  constexpr std::array<std::string_view, 4> kNames = {"messages", "prompt-completion", "alpaca", "sharegpt"};
  return kNames[static_cast<std::size_t>(shape)];
}

Result<SftShape> detect_shape(const Json& line) {
  if (!line.is_object()) return Failure{str_cat("got ", json_excerpt(line), ", want an object")};
  const JsonObject& o = line.get_object();
  if (o.contains("messages")) return SftShape::kMessages;
  if (o.contains("prompt") && o.contains("completion")) return SftShape::kPromptCompletion;
  if (o.contains("instruction") && o.contains("output")) return SftShape::kAlpaca;
  if (o.contains("conversations")) return SftShape::kShareGpt;
  return Failure{str_cat("no known shape: want messages, prompt and completion, instruction and output, or ",
                         "conversations; got ", json_excerpt(line))};
}

Result<Conversation> parse_conversation(const Json& line, SftShape shape) {
  try {
    const Result<SftShape> found = detect_shape(line);
    if (!found) return Failure{found.message()};
    if (found.value() != shape)
      return Failure{str_cat("a line of shape ", shape_name(found.value()), " in a file of shape ", shape_name(shape))};
    return conversation_of(line.get_object(), shape);
  } catch (const Error& e) {  // one bad line of many is the caller's to count
    return Failure{e.what()};
  }
}

void set_argument_kind(Conversation& conversation, bool objects) {
  for (std::size_t i = 0; i < conversation.messages.size(); ++i) {
    Json* calls = conversation.messages[i].get_object().if_contains("tool_calls");
    if (calls == nullptr) continue;
    for (Json& call : calls->get_array()) {
      Json* function = call.get_object().if_contains("function");
      Json& arguments = (function == nullptr ? call : *function).get_object().at("arguments");
      if (objects && arguments.is_string()) {
        const std::string at = str_cat("messages[", i, "].tool_calls: arguments");
        arguments = parse_json(text_of(arguments), at);
        HADAL_CHECK(arguments.is_object(), at, ": got ", json_excerpt(arguments), ", want an object");
      } else if (!objects && arguments.is_object()) {
        jinja::Heap heap({});
        arguments = jinja::to_json_text(heap.from_json(arguments, jinja::kTemplateOrigin)).bytes();
      }
    }
  }
}

}  // namespace hadal
