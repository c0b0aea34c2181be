#include "infer/chat_session.h"

#include <algorithm>

#include "base/options.h"
#include "infer/chat_prompt.h"
#include "infer/reasoning.h"

namespace hadal {
namespace {

constexpr char kHelp[] =
    "/reset             forget the conversation\n"
    "/system TEXT       another system message (none: without TEXT); forgets the conversation\n"
    "/set KEY VALUE     temperature, top_p, top_k, min_p, repetition_penalty, max_tokens, seed, thinking,\n"
    "                   thinking_budget, repetition_guard\n"
    "/quit              leave (also Ctrl-D); Ctrl-C stops an answer";

/// The first word, and what follows it.
std::pair<std::string, std::string> first_word(const std::string& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::size_t next = std::min(text.find_first_not_of(' ', end), text.size());
  return {text.substr(0, end), text.substr(next)};
}

/// The last of the generated ids, where they are the content to the byte: without thinking and the token that ended the
/// answer. Empty where no token begins with the content.
std::vector<int> ids_of_content(const Tokenizer& tokenizer, std::span<const int> generated,
                                const std::string& content) {
  while (!generated.empty() && tokenizer.is_special(generated.back()))
    generated = generated.first(generated.size() - 1);
  std::size_t first = generated.size(), bytes = 0;
  while (first > 0 && bytes < content.size()) bytes += tokenizer.token_bytes(generated[--first]).size();
  const std::span<const int> last = generated.subspan(first);
  if (tokenizer.decode(last) != content) return {};
  return {last.begin(), last.end()};
}

}  // namespace

ChatSession::ChatSession(Engine& engine, const Tokenizer& tokenizer, const ChatTemplate& chat_template,
                         const ChatSettings& settings, std::string system)
    : engine_(engine),
      tokenizer_(tokenizer),
      template_(chat_template),
      settings_(settings),
      system_(std::move(system)) {}

JsonArray ChatSession::messages() const {
  JsonArray all;
  if (!system_.empty()) all.push_back(JsonObject{{"role", "system"}, {"content", system_}});
  for (const Json& turn : turns_) all.push_back(turn);
  return all;
}

ChatTurn ChatSession::answer(const std::string& message, const Write& write, const std::atomic<bool>& interrupted) {
  JsonArray conversation = messages();
  conversation.push_back(JsonObject{{"role", "user"}, {"content", message}});
  OwnAnswers own;
  for (std::size_t i = 0; i < turns_.size(); ++i)
    if (!turn_ids_[i].empty()) own[static_cast<int>(i) + (system_.empty() ? 0 : 1)] = turn_ids_[i];
  ChatPrompt prompt = chat_prompt(template_, tokenizer_, conversation,
                                  settings_.thinking ? std::nullopt : std::optional(false), nullptr, own);
  ReasoningSplitter splitter(tokenizer_, prompt.thinks);
  ChatTurn turn;
  const auto show = [&](const ReasoningSplitter::Piece& piece) {
    turn.reasoning += piece.reasoning;
    turn.content += piece.content;
    if (!piece.reasoning.empty()) write(piece.reasoning, true);
    if (!piece.content.empty()) write(piece.content, false);
  };
  Request request;
  const std::int64_t room = std::min(engine_.context(), engine_.stats().cache_tokens_total) - std::ssize(prompt.ids);
  HADAL_CHECK(room > 0, "the conversation has ", prompt.ids.size(), " tokens, the context ", engine_.context(),
              ": /reset begins anew");
  request.prompt = std::move(prompt.ids);
  request.sampling = {.repetition_penalty = settings_.repetition_penalty,
                      .temperature = settings_.temperature,
                      .top_k = settings_.top_k,
                      .top_p = settings_.top_p,
                      .min_p = settings_.min_p,
                      .seed = static_cast<std::uint64_t>(settings_.seed)};
  request.stop.max_tokens =
      static_cast<int>(settings_.max_tokens > 0 ? std::min<std::int64_t>(settings_.max_tokens, room) : room);
  request.stop.repetition_guard = settings_.repetition_guard;
  request.thinking = ThinkingParams{prompt.thinks, settings_.thinking_budget, prompt.think_end};
  std::vector<int> generated;
  request.sink = [&](const TokenEvent& event) {
    if (event.token >= 0) generated.push_back(event.token);
    show(splitter.push(event.token, event.text));
    if (event.finish == FinishReason::kNone) return;
    show(splitter.finish());
    turn.finish = event.finish;
    turn.error = event.error;
    turn.usage = event.usage;
  };
  const std::uint64_t id = engine_.submit(std::move(request));
  bool cancelled = false;
  while (turn.finish == FinishReason::kNone) {
    if (interrupted && !cancelled) engine_.cancel(id), cancelled = true;
    engine_.step();
  }
  HADAL_CHECK(turn.finish != FinishReason::kError, turn.error);
  turns_.push_back(JsonObject{{"role", "user"}, {"content", message}});
  turns_.push_back(JsonObject{{"role", "assistant"}, {"content", turn.content}});
  turn_ids_.insert(turn_ids_.end(), {{}, ids_of_content(tokenizer_, generated, turn.content)});
  return turn;
}

std::string ChatSession::set(const std::string& words) {
  auto [key, value] = first_word(words);
  if (key.empty() || value.empty()) return "want /set KEY VALUE";
  std::ranges::replace(key, '_', '-');
  ChatSettings changed = settings_;
  const bool is_switch = value == "on" || value == "off";
  const std::string flag = (value == "off" ? "--no-" : "--") + key;
  std::vector<std::string_view> args = {flag};
  if (!is_switch) args.emplace_back(value);
  try {
    OptionTable(changed).read_args(args, {.verb = "chat"});
  } catch (const UsageError& e) {
    const std::string message = e.what();
    return message.substr(0, message.find('\n'));
  }
  settings_ = changed;
  return key + " is " + value;
}

std::string ChatSession::command(const std::string& line) {
  const auto [name, rest] = first_word(line);
  if (name == "/reset") {
    turns_.clear(), turn_ids_.clear();
    return "the conversation is forgotten";
  }
  if (name == "/system") {
    system_ = rest;
    turns_.clear(), turn_ids_.clear();
    return system_.empty() ? "no system message" : "the system message is set";
  }
  if (name == "/set") return set(rest);
  return name == "/help" ? kHelp : "unknown command " + name + "\n" + kHelp;
}

}  // namespace hadal
