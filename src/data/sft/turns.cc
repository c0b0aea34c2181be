#include "data/sft/turns.h"

#include <algorithm>

#include "data/chat_template/text.h"

namespace hadal {
namespace {

std::string string_or_empty(const JsonObject& message, const char* key) {
  const Json* value = message.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string().data(), value->get_string().size())
                                                : "";
}

std::string reasoning_of(const JsonObject& message) {
  for (const char* key : {"reasoning_content", "reasoning", "thinking"})
    if (std::string text = string_or_empty(message, key); !text.empty()) return text;
  return "";
}

/// What somebody said, as opposed to roles and names that the template prints around it.
bool is_said(const PromptSegment& s) {
  return s.message >= 0 && (s.source == PromptSource::kContent || s.source == PromptSource::kReasoning ||
                            s.source == PromptSource::kToolCalls);
}

struct Extent {
  std::size_t begin = std::string::npos, end = 0;
  bool empty() const { return begin == std::string::npos; }
};

/// What message i says, from its first to its last byte.
Extent extent_of(const RenderedPrompt& prompt, int i) {
  Extent extent;
  for (const PromptSegment& s : prompt.segments)
    if (is_said(s) && s.message == i) {
      extent.begin = std::min(extent.begin, s.begin);
      extent.end = s.end;
    }
  return extent;
}

/// Behind the last byte before `limit` that a message before i says.
std::size_t end_before(const RenderedPrompt& prompt, int i, std::size_t limit) {
  std::size_t end = 0;
  for (const PromptSegment& s : prompt.segments)
    if (is_said(s) && s.message < i && s.end <= limit) end = s.end;
  return end;
}

std::size_t common_prefix(std::string_view a, std::string_view b) {
  const std::size_t n = std::min(a.size(), b.size());
  return static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin()).first - a.begin());
}

/// The ends of the tokens of prompt.text[begin, end), and which of them are added tokens.
struct TokenEnd {
  std::size_t end;
  bool added;
};
std::vector<TokenEnd> token_ends(const RenderedPrompt& prompt, const Tokenizer& tokenizer, std::size_t begin,
                                 std::size_t end) {
  std::vector<TokenEnd> ends;
  const auto& added = tokenizer.files().spec.added_tokens;
  for (const int id : tokenizer.encode(prompt.text_segments(begin, end))) {
    begin += tokenizer.token_bytes(id).size();
    ends.push_back({begin, std::any_of(added.begin(), added.end(), [&](const AddedToken& t) { return t.id == id; })});
  }
  return ends;
}

class TurnFinder {
 public:
  TurnFinder(const ChatTemplate& chat, const Tokenizer& tokenizer, const Conversation& conversation,
             const RenderedPrompt& all)
      : chat_(chat), tokenizer_(tokenizer), conversation_(conversation), all_(all) {}

  Turn find(int i) const {
    const RenderedPrompt asked = first_messages(i, true), answered = first_messages(i + 1, false);
    const Extent own = extent_of(all_, i);
    const std::size_t limit = own.empty() ? all_.text.size() : own.begin;
    const std::size_t from = end_before(all_, i, limit);
    Turn turn{.message = i};
    turn.begin = behind_prompt(asked, i, from, own);
    const Extent answer = extent_of(answered, i);
    // Where the message says nothing, the answer ends where it would have begun.
    const std::size_t said = own.empty() ? turn.begin : std::max(own.end, turn.begin);
    const std::size_t said_alone = answer.empty() ? end_before(answered, i, answered.text.size()) + (turn.begin - from)
                                                  : std::max(answer.end, answer.end + (said - own.end));
    turn.end = behind_end(said, std::string_view(answered.text).substr(std::min(said_alone, answered.text.size())));
    return turn;
  }

 private:
  RenderedPrompt first_messages(int count, bool add_generation_prompt) const {
    const JsonArray messages(conversation_.messages.begin(), conversation_.messages.begin() + count);
    return chat_.render(messages, conversation_.tools,
                        {.add_generation_prompt = add_generation_prompt, .variables = conversation_.variables});
  }

  /// Behind the part of the generation prompt that the rendered conversation has, too. Both are compared from the last
  /// thing that was said on: templates may move what stands before.
  std::size_t behind_prompt(const RenderedPrompt& asked, int i, std::size_t from, const Extent& own) const {
    const std::string_view prompt = std::string_view(asked.text).substr(end_before(asked, i, asked.text.size()));
    const std::size_t common = common_prefix(prompt, std::string_view(all_.text).substr(from));
    if (common == prompt.size()) return from + common;
    // They part inside of the prompt ("<think>" there, "</think>" here): at a border of tokens, and not in the answer.
    const std::size_t most = std::min(from + common, own.empty() ? all_.text.size() : own.begin);
    std::size_t begin = from;
    for (const TokenEnd& token : token_ends(all_, tokenizer_, from, std::min(from + common + 64, all_.text.size())))
      if (token.end <= most) begin = token.end;
    return begin;
  }

  /// Behind the last added token of what the template prints after the answer, whatever follows; where the tokenizer
  /// has no token in it, behind the last that is no white space.
  std::size_t behind_end(std::size_t said, std::string_view tail) const {
    const std::string_view all = all_.text;
    const std::size_t most = said + common_prefix(tail, all.substr(said));
    std::size_t end = most - jinja::trailing_space(all.substr(said, most - said));
    bool added = false;
    for (const TokenEnd& token : token_ends(all_, tokenizer_, said, most)) {
      if (!token.added) continue;
      end = token.end;
      added = true;
    }
    // A stretch in which the two part may end inside of the next turn.
    return added || most == said + tail.size() ? end : said;
  }

  const ChatTemplate& chat_;
  const Tokenizer& tokenizer_;
  const Conversation& conversation_;
  const RenderedPrompt& all_;
};

bool is_assistant(const Json& message) {
  return message.get_object().at("role").get_string() == "assistant";
}

/// Throws when something that an assistant said is not in the text.
void check_nothing_lost(const Conversation& conversation, const RenderedPrompt& prompt) {
  const std::size_t count = conversation.messages.size();
  std::vector<char> content(count, 0), calls(count, 0);
  for (const PromptSegment& s : prompt.segments) {
    if (s.message < 0) continue;
    content[static_cast<std::size_t>(s.message)] |= s.source == PromptSource::kContent;
    calls[static_cast<std::size_t>(s.message)] |= s.source == PromptSource::kToolCalls;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const JsonObject& m = conversation.messages[i].get_object();
    if (!is_assistant(m)) continue;
    HADAL_CHECK(!m.contains("tool_calls") || calls[i], "messages[", i, "].tool_calls: the template leaves them out");
    const std::string text = string_or_empty(m, "content");
    HADAL_CHECK(content[i] || text.find_first_not_of(" \t\r\n") == std::string::npos || text.ends_with("</think>"),
                "messages[", i, "].content: the template leaves it out");
  }
}

/// Templates differ in what they want as the content of a message that only calls tools: null, or "".
Conversation with_other_empty_content(const Conversation& conversation) {
  Conversation other = conversation;
  for (Json& message : other.messages) {
    JsonObject& m = message.get_object();
    if (m.contains("tool_calls") && string_or_empty(m, "content").empty())
      m["content"] = m.at("content").is_null() ? Json("") : Json();
  }
  return other;
}

RenderedPrompt render_checked(const ChatTemplate& chat, Conversation& conversation) {
  const auto render = [&](const Conversation& c) {
    RenderedPrompt prompt = chat.render(c.messages, c.tools, {.variables = c.variables});
    check_nothing_lost(c, prompt);
    return prompt;
  };
  try {
    return render(conversation);
  } catch (const Error&) {  // the other form of nothing is the plan B
    Conversation other = with_other_empty_content(conversation);
    if (other.messages == conversation.messages) throw;
    RenderedPrompt prompt = render(other);
    conversation = std::move(other);
    return prompt;
  }
}

/// Throws when a turn holds what somebody else said: the texts that were compared did not fit together.
void check_only_answers(const RenderedConversation& rendered) {
  for (const Turn& turn : rendered.turns)
    for (const PromptSegment& s : rendered.prompt.segments)
      HADAL_CHECK(!is_said(s) || s.end <= turn.begin || s.begin >= turn.end || s.message == turn.message, "messages[",
                  turn.message, "]: cannot tell where its answer begins and ends in the text of the template");
}

std::vector<Turn> turns_of_blocks(const RenderedPrompt& prompt) {
  std::vector<Turn> turns;
  for (const auto& [begin, end] : prompt.generation) {
    Turn turn{.message = -1, .begin = begin, .end = end};
    for (const PromptSegment& s : prompt.segments)
      if (s.message >= 0 && s.begin < end && s.end > begin) turn.message = s.message;
    turns.push_back(turn);
  }
  return turns;
}

/// The first bytes of the reasoning in a message, wherever it stands; enough to look for it.
std::string inner_reasoning(const JsonObject& message) {
  std::string text = reasoning_of(message);
  if (text.empty()) {
    const std::string content = string_or_empty(message, "content");
    const std::size_t close = content.find("</think>"), open = content.find("<think>");
    if (close == std::string::npos) return "";
    const std::size_t begin = open < close ? open + 7 : 0;
    text = content.substr(begin, close - begin);
  }
  const std::size_t begin = jinja::leading_space(text);
  return text.substr(begin, std::min<std::size_t>(16, text.size() - begin - jinja::trailing_space(text.substr(begin))));
}

std::string said_text(const RenderedPrompt& prompt, int message) {
  std::string text;
  for (const PromptSegment& s : prompt.segments)
    if (is_said(s) && s.message == message) text += prompt.text.substr(s.begin, s.end - s.begin);
  return text;
}

}  // namespace

std::string generated_text(const JsonObject& message) {
  const std::string reasoning = reasoning_of(message), content = string_or_empty(message, "content");
  return reasoning.empty() ? content : str_cat("<think>\n", reasoning, "\n</think>\n\n", content);
}

RenderedConversation render_conversation(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                         const Conversation& conversation) {
  Conversation adapted = conversation;
  RenderedConversation result{.prompt = render_checked(chat, adapted)};
  if (!result.prompt.generation.empty()) {
    result.turns = turns_of_blocks(result.prompt);
  } else {
    const TurnFinder finder(chat, tokenizer, adapted, result.prompt);
    std::size_t last = 0;
    for (std::size_t i = 0; i < adapted.messages.size(); ++i) {
      if (!is_assistant(adapted.messages[i])) continue;
      Turn turn = finder.find(static_cast<int>(i));
      HADAL_CHECK(turn.begin >= last && turn.end >= turn.begin, "messages[", i,
                  "]: the template does not print the answers one after the other");
      last = turn.end;
      result.turns.push_back(turn);
    }
  }
  check_only_answers(result);
  const std::string reasoning = inner_reasoning(adapted.messages.back().get_object());
  result.reasoning_lost =
      !reasoning.empty() &&
      said_text(result.prompt, static_cast<int>(adapted.messages.size()) - 1).find(reasoning) == std::string::npos;
  return result;
}

RenderedConversation render_as_generated(const ChatTemplate& chat, const Tokenizer& tokenizer,
                                         const Conversation& conversation) {
  const JsonObject& answer = conversation.messages.back().get_object();
  HADAL_CHECK(!answer.contains("tool_calls"),
              "reasoning as it is generated cannot be kept in an answer with tool calls");
  // The end of answers is that of the rendered conversation.
  const RenderedConversation rendered = render_conversation(chat, tokenizer, conversation);
  HADAL_CHECK(!rendered.turns.empty(), "the template has no turn of the assistant");
  const int last = static_cast<int>(conversation.messages.size()) - 1;
  const Turn& turn = rendered.turns.back();
  const std::size_t said = std::clamp(extent_of(rendered.prompt, last).end, turn.begin, turn.end);
  const std::string end = rendered.prompt.text.substr(said, turn.end - said);

  const JsonArray before(conversation.messages.begin(), conversation.messages.end() - 1);
  RenderedConversation result{.prompt =
                                  chat.render(before, conversation.tools,
                                              {.add_generation_prompt = true, .variables = conversation.variables})};
  RenderedPrompt& prompt = result.prompt;
  std::string body = generated_text(answer);
  // What the generation prompt has of the answer already.
  for (const std::string_view open : {"<think>\n", "<think>"})
    if (prompt.text.ends_with(open)) {
      HADAL_CHECK(body.find("</think>") != std::string::npos, "messages[", last,
                  "]: the generation prompt opens <think>, and the answer has no reasoning");
      if (body.starts_with(open)) body.erase(0, open.size());
      break;
    }
  prompt.generation.clear();
  const std::size_t begin = prompt.text.size();
  const auto add = [&](const std::string& text, PromptSegment segment) {
    if (text.empty()) return;
    segment.begin = prompt.text.size();
    prompt.text += text;
    segment.end = prompt.text.size();
    prompt.segments.push_back(segment);
  };
  add(body, {.source = PromptSource::kContent, .message = last, .assistant = true});
  add(end, {.source = PromptSource::kTemplate});
  result.turns.push_back({.message = last, .begin = begin, .end = prompt.text.size()});
  return result;
}

}  // namespace hadal
