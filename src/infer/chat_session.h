#pragma once
// One conversation with a model.
#include <atomic>
#include <functional>
#include <string>

#include "data/chat_template/chat_template.h"
#include "infer/engine.h"

namespace hadal {

struct ChatSettings {
  double temperature = 0.6, top_p = 0.95, min_p = 0, repetition_penalty = 1;
  int top_k = 0, max_tokens = 0, thinking_budget = -1, repetition_guard = 512;
  std::int64_t seed = 0;
  bool thinking = true;
  template <class V>
  void visit(V&& v) {
    v("temperature", temperature, "0: always the most likely token");
    v("top_p", top_p, "keep the likeliest tokens that together have this probability");
    v("min_p", min_p, "keep tokens with this times the probability of the likeliest");
    v("top_k", top_k, "keep the likeliest tokens; 0: all");
    v("repetition_penalty", repetition_penalty, "against tokens that were there already; 1: none");
    v("max_tokens", max_tokens, "most tokens of an answer; 0: as many as fit");
    v("seed", seed, "of the random choices");
    v("thinking_budget", thinking_budget, "most tokens of thinking; -1: as many as the model wants");
    v("repetition_guard", repetition_guard,
      "an answer ends when so many tokens are one passage over and over, thinking first; 0: never");
    v("thinking", thinking, "let the model think where its template has a choice");
  }
};

struct ChatTurn {
  FinishReason finish = FinishReason::kNone;  // kCancelled: it was interrupted
  std::string reasoning, content, error;
  Usage usage;
};

class ChatSession {
 public:
  /// Text as it comes; reasoning: what stands inside of <think>.
  using Write = std::function<void(std::string_view text, bool reasoning)>;

  /// The references must outlive the session; the tokenizer is the engine's.
  ChatSession(Engine& engine, const Tokenizer& tokenizer, const ChatTemplate& chat_template,
              const ChatSettings& settings, std::string system);

  /// Answers a message; both become part of the conversation, also when `interrupted` becomes true meanwhile. Throws
  /// Error, and forgets the message, when the conversation no longer fits or the template refuses it.
  ChatTurn answer(const std::string& message, const Write& write, const std::atomic<bool>& interrupted);

  /// Runs "/reset", "/system TEXT", "/set KEY VALUE", "/help" and gives back what to tell the user.
  std::string command(const std::string& line);
  /// The conversation so far, the system message included.
  JsonArray messages() const;

 private:
  std::string set(const std::string& words);

  Engine& engine_;
  const Tokenizer& tokenizer_;
  const ChatTemplate& template_;
  ChatSettings settings_;
  std::string system_;
  JsonArray turns_;
  std::vector<std::vector<int>> turn_ids_;  // of turns_: what the model generated, empty where that is not known
};

}  // namespace hadal
