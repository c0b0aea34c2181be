#pragma once
// The chat template of a model: messages -> the text of a prompt, of which every byte is known to be the template's or
// somebody else's.
#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/chat_template/heap.h"
#include "data/tokenizer/tokenizer.h"

namespace hadal {

/// Who wrote a stretch of a rendered prompt.
enum class PromptSource : std::uint8_t {
  kTemplate,   // the template itself: only here are the names of control tokens control tokens
  kContent,    // "content" of a message
  kReasoning,  // "reasoning_content", "reasoning" or "thinking" of a message
  kToolCalls,  // "tool_calls" of a message
  kMessage,    // anything else in a message
  kTools,      // the declared tools
  kArgument,   // a variable of the caller (RenderOptions::variables)
};

/// Bytes [begin, end) of RenderedPrompt::text.
struct PromptSegment {
  std::size_t begin = 0, end = 0;
  PromptSource source = PromptSource::kTemplate;
  int message = -1;        // index of the message, -1 for what is of none
  bool assistant = false;  // of a message with role "assistant"
};

struct PromptEncodeOptions {
  /// "<think>" and "</think>" inside of what the assistant wrote are these tokens where the tokenizer has them: they
  /// are how models write reasoning, and open no other turn.
  bool think_tags = true;
};

struct RenderedPrompt {
  std::string text;
  std::vector<PromptSegment> segments;                          // in order, without gaps
  std::vector<std::pair<std::size_t, std::size_t>> generation;  // bytes inside of {% generation %} blocks

  /// Bytes [begin, end) as the tokenizer takes them. The views are into `text`.
  std::vector<TextSegment> text_segments(std::size_t begin, std::size_t end,
                                         const PromptEncodeOptions& options = {}) const;
  /// The ids of all of it. BOS is where the template wrote it, and nowhere else.
  std::vector<int> encode(const Tokenizer& tokenizer, const PromptEncodeOptions& options = {}) const;
};

struct RenderOptions {
  bool add_generation_prompt = false;
  /// Further variables, an object: {"thinking": true}, {"enable_thinking": false}, ... null: none.
  Json variables;
  /// What strftime_now sees, local time; unset: the clock.
  std::optional<std::tm> now;
  jinja::RenderLimits limits;
};

/// A parsed template with the names of its model's control tokens. Immutable; usable from many threads at once.
class ChatTemplate {
 public:
  /// Jinja source. `where` opens error messages. Throws Error: where:line and what is wrong.
  static ChatTemplate parse(std::string_view source, std::string_view where = "chat template");
  /// The template of a tokenizer's files (tokenizer_config.json or chat_template.jinja), with its bos_token, eos_token
  /// and pad_token as variables. Throws Error when there is none.
  static ChatTemplate from_config(const TokenizerConfig& config, std::string_view where);
  /// The template of a folder, or of the folder that a tokenizer.json is in.
  static ChatTemplate load(const std::filesystem::path& path);

  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  const std::string& source() const;
  /// A variable for all renderings, as template text: its control tokens count. For bos_token and the like.
  void set_special_token(const std::string& name, const std::string& content);

  /// Renders messages: an array of objects with "role", "content", ... as the template wants them, passed on as they
  /// are. `tools`: an array, or null for none. Throws Error for what the template refuses, with its line.
  RenderedPrompt render(const Json& messages, const Json& tools = nullptr, const RenderOptions& options = {}) const;

  /// Whether the template prints the arguments of tool calls through tojson, and so wants them as objects, not as the
  /// JSON text that the OpenAI API has. Found by a trial.
  bool wants_argument_objects() const;

 private:
  ChatTemplate();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
