#include "data/cmd_template.h"

#include <fmt/format.h>

#include <array>

#include "base/command.h"
#include "base/file.h"
#include "base/json_lines.h"
#include "data/chat_template/chat_template.h"
#include "data/chat_template/describe.h"

namespace hadal {
namespace {

struct RenderVerbOptions {
  std::string tokenizer, jsonl, template_file, variables;
  bool segments = false;

  template <class V>
  void visit(V&& v) {
    v("tokenizer", tokenizer, "folder or tokenizer.json", {.required = true, .placeholder = "PATH"});
    v("jsonl", jsonl, "file with one object per line: messages, tools, add_generation_prompt, variables",
      {.required = true, .placeholder = "FILE"});
    v("template_file", template_file, "use this Jinja template, not the tokenizer's", {.placeholder = "FILE"});
    v("variables", variables, "further variables of the template, as a JSON object", {.placeholder = "JSON"});
    v("segments", segments, "print who wrote which bytes, too");
  }
};

ChatTemplate load_template(const Tokenizer& tokenizer, const std::string& path, const std::string& template_file) {
  TokenizerConfig config = tokenizer.files().config;
  if (!template_file.empty()) config.chat_template = read_file(template_file);
  return ChatTemplate::from_config(config, template_file.empty() ? path : template_file);
}

JsonArray segments_json(const RenderedPrompt& prompt) {
  constexpr std::array<std::string_view, 7> kNames = {"template", "content", "reasoning", "tool_calls",
                                                      "message",  "tools",   "argument"};
  JsonArray result;
  for (const PromptSegment& s : prompt.segments) {
    JsonObject segment{{"begin", s.begin}, {"end", s.end}, {"source", kNames[static_cast<std::size_t>(s.source)]}};
    if (s.message >= 0) segment["message"] = s.message;
    result.push_back(std::move(segment));
  }
  return result;
}

/// {"text":..., "ids":[...]} of one line of the input.
JsonObject render_line(const Json& line, const std::string& where, const ChatTemplate& chat, const Tokenizer& tokenizer,
                       const Json& common, bool segments) {
  ObjectReader reader(line, where);
  RenderOptions options{.add_generation_prompt = reader.get_or("add_generation_prompt", false), .variables = common};
  if (const Json* own = reader.find_value("variables")) {
    HADAL_CHECK(own->is_object(), reader.at("variables"), ": got ", json_excerpt(*own), ", want an object");
    if (options.variables.is_null()) options.variables = JsonObject();
    for (const auto& [key, value] : own->get_object()) options.variables.get_object()[key] = value;
  }
  const Json* tools = reader.find_value("tools");
  const RenderedPrompt prompt = chat.render(reader.value("messages"), tools == nullptr ? Json() : *tools, options);
  const std::vector<int> ids = prompt.encode(tokenizer);
  JsonObject out{{"text", prompt.text}, {"ids", JsonArray(ids.begin(), ids.end())}};
  if (segments) out["segments"] = segments_json(prompt);
  return out;
}

int render(Args args) {
  RenderVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "template render",
                      .about = "messages to the text and the ids of a prompt, one JSON object per line",
                      .example = "hadal template render --tokenizer DIR --jsonl chats.jsonl"}))
    return 0;
  const Tokenizer tokenizer = Tokenizer::load(o.tokenizer);
  const ChatTemplate chat = load_template(tokenizer, o.tokenizer, o.template_file);
  const Json variables = o.variables.empty() ? Json() : parse_json(o.variables, "--variables");
  for_each_json_line(o.jsonl, [&](const Json& chat_line, const std::string& where) {
    fmt::print("{}\n", json_line(render_line(chat_line, where, chat, tokenizer, variables, o.segments)));
  });
  return 0;
}

struct CheckVerbOptions {
  std::string tokenizer, template_file;

  template <class V>
  void visit(V&& v) {
    v("tokenizer", tokenizer, "folder or tokenizer.json", {.required = true, .placeholder = "PATH"});
    v("template_file", template_file, "use this Jinja template, not the tokenizer's", {.placeholder = "FILE"});
  }
};

int check(Args args) {
  CheckVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "template check",
                      .about = "what a template makes of a conversation, and what it can do, as one JSON object",
                      .example = "hadal template check --tokenizer DIR"}))
    return 0;
  const Tokenizer tokenizer = Tokenizer::load(o.tokenizer);
  const ChatTemplate chat = load_template(tokenizer, o.tokenizer, o.template_file);
  fmt::print("{}\n", json_line(describe_template(chat, tokenizer)));
  return 0;
}

constexpr std::array kCommands{
    Command{"render", "messages to the text and the ids of a prompt", render},
    Command{"check", "what a template can do", check},
};

}  // namespace

int cmd_template(Args args) {
  return run_command("hadal template", kCommands, args);
}

}  // namespace hadal
