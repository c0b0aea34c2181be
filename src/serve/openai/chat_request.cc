#include "serve/openai/chat_request.h"

#include <algorithm>
#include <array>

#include "serve/openai/api_error.h"

namespace hadal {
namespace {

constexpr std::array<std::string_view, 6> kRoles = {"system", "developer", "user", "assistant", "tool", "function"};

/// The text of "content": a string, or parts of type text.
std::string content_text(Fields& message, const Json& content) {
  if (content.is_string()) return std::string(content.get_string());
  if (!content.is_array()) message.reject("content", "a string or an array of parts");
  std::string text;
  std::size_t index = 0;
  for (const Json& value : content.get_array()) {
    Fields part(value, str_cat(message.at("content"), "[", index++, "]"));
    const std::string type = part.string("type").value_or("text");
    if (type != "text") part.reject("type", "\"text\": this model reads nothing else");
    text += json_as<std::string>(part.require("text"), part.at("text"));
  }
  return text;
}

/// Tool calls with arguments as JSON text, as the API has them, or as objects, as some templates want them.
JsonArray tool_calls(Fields& message, const JsonArray& calls, bool as_objects) {
  JsonArray result;
  for (const Json& value : calls) {
    Json call = value;
    Fields fields(call, str_cat(message.at("tool_calls"), "[", result.size(), "]"));
    if (fields.object("function") == nullptr)
      throw bad_field(fields.at("function"), fields.at("function") + " is missing");
    JsonObject& function = call.get_object()["function"].get_object();
    if (const Json* arguments = function.if_contains("arguments"); as_objects && arguments && arguments->is_string()) {
      const std::string where = fields.at("function.arguments");
      Result<Json> parsed = try_parse_json(arguments->get_string(), where);
      if (!parsed) throw bad_field(where, parsed.message());
      function["arguments"] = std::move(parsed).value();
    }
    result.push_back(std::move(call));
  }
  return result;
}

Json read_message(const Json& value, const std::string& path, bool argument_objects) {
  Fields fields(value, path);
  std::string role = fields.string("role").value_or("");
  if (std::ranges::find(kRoles, role) == kRoles.end())
    throw bad_field(fields.at("role"), str_cat(fields.at("role"), ": got \"", role,
                                               "\", want system, developer, user, assistant or tool"));
  if (role == "developer") role = "system";
  if (role == "function") role = "tool";
  if (fields.boolean("prefix").value_or(false)) throw not_supported(fields.at("prefix"), "continuing a message");
  JsonObject message{{"role", role}};
  const Json* content = fields.find("content");
  const JsonArray* calls = fields.array("tool_calls");
  if (content == nullptr && role != "assistant")
    throw bad_field(fields.at("content"), fields.at("content") + " is missing");
  if (content != nullptr)
    message["content"] = content_text(fields, *content);
  else
    message["content"] = calls != nullptr && !calls->empty() ? Json(nullptr) : Json("");
  if (calls != nullptr && !calls->empty()) message["tool_calls"] = tool_calls(fields, *calls, argument_objects);
  for (const char* key : {"name", "tool_call_id"})
    if (const auto text = fields.string(key)) message[key] = *text;
  for (const char* key : {"reasoning", "reasoning_content"})
    if (const auto text = fields.string(key)) message["reasoning_content"] = *text;
  return message;
}

Json read_messages(Fields& fields, bool argument_objects) {
  const Json& value = fields.require("messages");
  if (!value.is_array() || value.get_array().empty()) fields.reject("messages", "an array with at least one message");
  JsonArray messages;
  for (const Json& message : value.get_array())
    messages.push_back(read_message(message, str_cat("messages[", messages.size(), "]"), argument_objects));
  return messages;
}

void read_budget(Fields& fields, const char* key, ChatRequest& request) {
  if (const auto budget = fields.integer(key, 0, 1 << 30)) request.thinking_budget = static_cast<int>(*budget);
}

/// thinking {"type": "disabled"}, reasoning_effort "none", chat_template_kwargs: one switch, and variables; thinking
/// {"budget_tokens": n} or thinking_budget n.
void read_thinking(Fields& fields, ChatRequest& request) {
  JsonObject variables;
  if (const JsonObject* thinking = fields.object("thinking")) {
    const Json value(*thinking);
    Fields inner(value, "thinking");
    const std::string type = inner.string("type").value_or("enabled");
    if (type != "enabled" && type != "disabled") inner.reject("type", "\"enabled\" or \"disabled\"");
    request.thinking = type == "enabled";
    read_budget(inner, "budget_tokens", request);
  }
  read_budget(fields, "thinking_budget", request);
  if (const auto effort = fields.string("reasoning_effort")) request.thinking = *effort != "none";
  if (const JsonObject* more = fields.object("chat_template_kwargs")) {
    for (const auto& [key, value] : *more) variables[key] = value;
    for (const char* key : {"thinking", "enable_thinking"})
      if (const Json* value = more->if_contains(key); value != nullptr && value->is_bool())
        request.thinking = value->get_bool();
  }
  request.variables = variables;
}

void refuse_what_is_not_there(Fields& fields) {
  const std::string choice = fields.find("tool_choice") != nullptr && fields.find("tool_choice")->is_string()
                                 ? fields.string("tool_choice").value()
                                 : "";
  const JsonArray* tools = fields.array("tools");
  if (tools != nullptr && !tools->empty() && choice != "none") throw not_supported("tools", "calling tools");
  if (fields.find("functions") != nullptr) throw not_supported("functions", "calling functions");
  if (const JsonObject* format = fields.object("response_format")) {
    const Json* type = format->if_contains("type");
    if (type == nullptr || *type != "text") throw not_supported("response_format", "a format other than text");
  }
  if (fields.find("audio") != nullptr) throw bad_field("audio", "audio: this model writes text only");
  fields.accept({"modalities", "web_search_options"});
}

}  // namespace

ChatRequest read_chat_request(const Json& body, const Tokenizer& tokenizer, const ChatTemplate& chat_template) {
  Fields fields(body);
  ChatRequest request;
  request.fields = read_request_fields(fields, tokenizer);
  request.messages = read_messages(fields, chat_template.wants_argument_objects());
  read_thinking(fields, request);
  refuse_what_is_not_there(fields);
  const auto low = fields.integer("max_tokens", 1, 1 << 30), high = fields.integer("max_completion_tokens", 1, 1 << 30);
  if (low || high) request.fields.max_tokens = std::min(low.value_or(1 << 30), high.value_or(1 << 30));
  const auto top = fields.integer("top_logprobs", 0, 20);
  if (fields.boolean("logprobs").value_or(false))
    request.top_logprobs = static_cast<int>(top.value_or(0));
  else if (top)
    throw bad_field("top_logprobs", "top_logprobs: want logprobs to be true as well");
  request.fields.unknown = fields.unknown();
  return request;
}

ChatPrompt render_chat(const ChatRequest& request, const Tokenizer& tokenizer, const ChatTemplate& chat_template) {
  try {
    return chat_prompt(chat_template, tokenizer, request.messages, request.thinking, request.variables);
  } catch (const Error& e) {
    throw bad_field("messages", str_cat("messages: the chat template refuses them: ", e.what()));
  }
}

}  // namespace hadal
