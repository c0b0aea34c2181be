#include "data/chat_template/describe.h"

namespace hadal {
namespace {

JsonObject message(std::string_view role, const Json& content) {
  return {{"role", role}, {"content", content}};
}

/// The text, or nothing and the reason.
struct Trial {
  std::string text, refused;
  bool has(std::string_view part) const { return text.find(part) != std::string::npos; }
};

Trial try_render(const ChatTemplate& chat, const JsonArray& messages, bool add_generation_prompt = false,
                 const Json& tools = nullptr) {
  try {
    return {.text = chat.render(messages, tools, {.add_generation_prompt = add_generation_prompt}).text};
  } catch (const Error& e) {
    return {.refused = e.what()};
  }
}

}  // namespace

JsonObject describe_template(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  const JsonObject user = message("user", "QUESTION"), answer = message("assistant", "ANSWER");
  const Trial plain = try_render(chat, {user, answer});
  const Trial asked = try_render(chat, {user}), prompted = try_render(chat, {user}, true);
  const Trial system = try_render(chat, {message("system", "SYSTEM"), user});
  JsonObject thinking = answer;
  thinking["reasoning_content"] = "REASONING";
  const Trial reasoning = try_render(chat, {user, thinking});
  JsonObject caller = message("assistant", chat.wants_argument_objects() ? Json("") : Json(nullptr));
  const Json arguments =
      chat.wants_argument_objects() ? Json(JsonObject{{"key", "VALUE"}}) : Json("{\"key\": \"VALUE\"}");
  caller["tool_calls"] =
      JsonArray{JsonObject{{"id", "call00001"},
                           {"type", "function"},
                           {"function", JsonObject{{"name", "FUNCTION"}, {"arguments", arguments}}}}};
  JsonObject result = message("tool", "RESULT");
  result["tool_call_id"] = "call00001";
  const Trial tool_call = try_render(chat, {user, caller, result});
  const JsonArray tools = {JsonObject{
      {"type", "function"},
      {"function", JsonObject{{"name", "DECLARED"},
                              {"description", "what it does"},
                              {"parameters", JsonObject{{"type", "object"}, {"properties", JsonObject{}}}}}}}};
  const Trial declared = try_render(chat, {user}, false, tools);

  JsonObject out{{"conversation", plain.text},
                 {"generation_prompt",
                  prompted.text.starts_with(asked.text) ? prompted.text.substr(asked.text.size()) : prompted.text},
                 {"system_messages", system.has("SYSTEM")},
                 {"reasoning_content", reasoning.has("REASONING")},
                 {"tool_calls", tool_call.has("FUNCTION") && tool_call.has("VALUE")},
                 {"tool_results", tool_call.has("RESULT")},
                 {"tools_declared", declared.has("DECLARED")},
                 {"wants_argument_objects", chat.wants_argument_objects()}};
  const std::size_t after = plain.text.rfind("ANSWER");
  bool ends = false;
  if (after != std::string::npos)
    for (const int id : tokenizer.encode(std::string_view(plain.text).substr(after + 6), {.parse_special = true}))
      ends = ends || tokenizer.is_special(id);
  out["answers_end_with_control_token"] = ends;
  JsonObject refused;
  for (const auto& [name, trial] : {std::pair{"conversation", &plain}, std::pair{"system", &system},
                                    std::pair{"tool_calls", &tool_call}, std::pair{"tools", &declared}})
    if (!trial->refused.empty()) refused[name] = trial->refused;
  if (!refused.empty()) out["refused"] = std::move(refused);
  return out;
}

}  // namespace hadal
