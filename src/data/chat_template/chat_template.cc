#include "data/chat_template/chat_template.h"

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "data/chat_template/evaluator.h"
#include "data/chat_template/parser.h"

namespace hadal {
namespace {

/// An origin of jinja::Text: 0 is the template; the others name a source and a message.
class Origins {
 public:
  static jinja::Origin of(PromptSource source, int message = -1) {
    return static_cast<jinja::Origin>(message + 1) * kSources + static_cast<jinja::Origin>(source);
  }
  static PromptSegment segment(jinja::Origin origin) {
    return {.source = static_cast<PromptSource>(origin % kSources), .message = static_cast<int>(origin / kSources) - 1};
  }

 private:
  static constexpr jinja::Origin kSources = 8;
};

PromptSource source_of(std::string_view key) {
  if (key == "content") return PromptSource::kContent;
  if (key == "reasoning_content" || key == "reasoning" || key == "thinking") return PromptSource::kReasoning;
  if (key == "tool_calls") return PromptSource::kToolCalls;
  return PromptSource::kMessage;
}

jinja::Value message_value(jinja::Heap& heap, const Json& message, int index) {
  HADAL_CHECK(message.is_object(), "messages[", index, "]: got ", json_excerpt(message), ", want an object");
  const jinja::Origin origin = Origins::of(PromptSource::kMessage, index);
  jinja::Dict dict{.origin = origin};
  for (const auto& [key, value] : message.get_object()) {
    const std::string_view name(key.data(), key.size());
    dict.entries.emplace_back(heap.string(name, origin), heap.from_json(value, Origins::of(source_of(name), index)));
  }
  return heap.dict(std::move(dict));
}

jinja::Value messages_value(jinja::Heap& heap, const Json& messages) {
  HADAL_CHECK(messages.is_array(), "messages: got ", json_excerpt(messages), ", want an array");
  HADAL_CHECK(messages.get_array().size() <= 1'000'000, "messages: got ", messages.get_array().size(),
              ", want at most 1000000");
  std::vector<jinja::Value> items;
  for (const Json& message : messages.get_array())
    items.push_back(message_value(heap, message, static_cast<int>(items.size())));
  return heap.list(std::move(items), false, Origins::of(PromptSource::kMessage));
}

bool is_assistant(const Json& messages, int index) {
  if (index < 0) return false;
  const Json* role = messages.get_array()[static_cast<std::size_t>(index)].get_object().if_contains("role");
  return role != nullptr && role->is_string() && role->get_string() == "assistant";
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm result{};
  ::localtime_r(&now, &result);
  return result;
}

}  // namespace

struct ChatTemplate::Impl {
  std::string source, where;
  std::unique_ptr<const jinja::Ast> ast;
  std::vector<std::pair<std::string, std::string>> special_tokens;
};

ChatTemplate::ChatTemplate() : impl_(std::make_unique<Impl>()) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

ChatTemplate ChatTemplate::parse(std::string_view source, std::string_view where) {
  ChatTemplate result;
  result.impl_->source = source;
  result.impl_->where = where;
  result.impl_->ast = jinja::parse_template(source, where);
  return result;
}

ChatTemplate ChatTemplate::from_config(const TokenizerConfig& config, std::string_view where) {
  HADAL_CHECK(!config.chat_template.empty(), where, ": has no chat template (tokenizer_config.json: chat_template, or ",
              "chat_template.jinja)");
  ChatTemplate result = parse(config.chat_template, str_cat(where, ": chat template"));
  // Those that are not set stay undefined, as in Hugging Face's environment.
  const std::array<std::pair<const char*, const std::string*>, 3> named = {
      {{"bos_token", &config.bos_token}, {"eos_token", &config.eos_token}, {"pad_token", &config.pad_token}}};
  for (const auto& [name, content] : named)
    if (!content->empty()) result.set_special_token(name, *content);
  return result;
}

ChatTemplate ChatTemplate::load(const std::filesystem::path& path) {
  return from_config(load_tokenizer_files(path).config, path.string());
}

const std::string& ChatTemplate::source() const {
  return impl_->source;
}

void ChatTemplate::set_special_token(const std::string& name, const std::string& content) {
  for (auto& [n, c] : impl_->special_tokens)
    if (n == name) {
      c = content;
      return;
    }
  impl_->special_tokens.emplace_back(name, content);
}

RenderedPrompt ChatTemplate::render(const Json& messages, const Json& tools, const RenderOptions& options) const {
  jinja::Evaluator evaluator(*impl_->ast, impl_->where, options.limits, options.now.value_or(local_time()));
  jinja::Heap& heap = evaluator.heap();
  evaluator.set_variable("messages", messages_value(heap, messages));
  evaluator.set_variable("tools", heap.from_json(tools, Origins::of(PromptSource::kTools)));
  evaluator.set_variable("documents", jinja::Value::none());
  evaluator.set_variable("add_generation_prompt", jinja::Value::boolean(options.add_generation_prompt));
  for (const auto& [name, content] : impl_->special_tokens) evaluator.set_variable(name, heap.string(content));
  if (!options.variables.is_null()) {
    HADAL_CHECK(options.variables.is_object(), "variables of the template: got ", json_excerpt(options.variables),
                ", want an object");
    for (const auto& [key, value] : options.variables.get_object())
      evaluator.set_variable(std::string_view(key.data(), key.size()),
                             heap.from_json(value, Origins::of(PromptSource::kArgument)));
  }
  jinja::RenderResult result = evaluator.run();
  RenderedPrompt prompt;
  result.text.for_each_run([&](std::string_view run, jinja::Origin origin) {
    PromptSegment segment = Origins::segment(origin);
    segment.begin = prompt.segments.empty() ? 0 : prompt.segments.back().end;
    segment.end = segment.begin + run.size();
    segment.assistant = is_assistant(messages, segment.message);
    prompt.segments.push_back(segment);
  });
  prompt.text = result.text.bytes();
  prompt.generation = std::move(result.generation);
  return prompt;
}

bool ChatTemplate::wants_argument_objects() const {
  const auto rendered = [&](const Json& arguments) {
    const Json call = {
        {"id", "call00001"}, {"type", "function"}, {"function", {{"name", "f"}, {"arguments", arguments}}}};
    for (const Json& content : {Json(nullptr), Json("")}) {
      const Json messages =
          JsonArray{JsonObject{{"role", "user"}, {"content", "x"}},
                    JsonObject{{"role", "assistant"}, {"content", content}, {"tool_calls", JsonArray{call}}}};
      try {
        return render(messages).text;
      } catch (const Error&) {  // the template does not take this shape
        continue;
      }
    }
    return std::string();
  };
  if (rendered("{\"probe\": 1}").find("{\"probe\": 1}") != std::string::npos) return false;
  const std::string text = rendered(JsonObject{{"probe", 1}});
  return text.find("\"probe\": 1") != std::string::npos || text.find("probe") != std::string::npos;
}

std::vector<TextSegment> RenderedPrompt::text_segments(std::size_t begin, std::size_t end,
                                                       const PromptEncodeOptions& options) const {
  std::vector<TextSegment> result;
  const auto add = [&](std::size_t from, std::size_t to, bool parse_special) {
    if (from < to) result.push_back({std::string_view(text).substr(from, to - from), parse_special});
  };
  for (const PromptSegment& segment : segments) {
    std::size_t from = std::max(segment.begin, begin);
    const std::size_t to = std::min(segment.end, end);
    if (from >= to) continue;
    const bool tags = options.think_tags && segment.assistant &&
                      (segment.source == PromptSource::kContent || segment.source == PromptSource::kReasoning);
    while (tags && from < to) {
      constexpr std::string_view kOpen = "<think>", kClose = "</think>";
      const std::size_t open = text.find(kOpen, from), close = text.find(kClose, from);
      const std::size_t at = std::min(open, close), length = open < close ? kOpen.size() : kClose.size();
      if (at == std::string::npos || at + length > to) break;
      add(from, at, false);
      add(at, at + length, true);
      from = at + length;
    }
    add(from, to, segment.source == PromptSource::kTemplate);
  }
  return result;
}

std::vector<int> RenderedPrompt::encode(const Tokenizer& tokenizer, const PromptEncodeOptions& options) const {
  return tokenizer.encode(text_segments(0, text.size(), options));
}

}  // namespace hadal
