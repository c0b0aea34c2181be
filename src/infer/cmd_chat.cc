#include "infer/cmd_chat.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "infer/chat_prompt.h"
#include "infer/chat_session.h"
#include "infer/loaded_model.h"

namespace hadal {
namespace {

struct ChatOptions {
  LoadOptions load;
  std::string system;
  ChatSettings settings;
  EngineOptions engine{.max_batch = 1};
  template <class V>
  void visit(V&& v) {
    load.visit(v);
    v("system", system, "system message");
    settings.visit(v);
    v.group("engine", engine, "how answers are computed");
  }
};

// The handler of a signal can reach nothing else.
std::atomic<bool> interrupted = false;

void on_interrupt(int) {
  interrupted = true;
}

/// Without SA_RESTART, so that Ctrl-C also ends the wait for a line.
void catch_interrupts() {
  struct sigaction action{};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
}

/// A line without its end; nothing at the end of the input.
std::optional<std::string> read_line() {
  char* bytes = nullptr;
  std::size_t size = 0;
  const ssize_t n = ::getline(&bytes, &size, stdin);
  const std::unique_ptr<char, decltype(&std::free)> owner(bytes, std::free);
  if (n < 0) return std::nullopt;
  std::string line(bytes, static_cast<std::size_t>(n));
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  return line;
}

std::string read_all() {
  std::string text;
  char block[4096];
  for (std::size_t n = 0; (n = std::fread(block, 1, sizeof block, stdin)) > 0;) text.append(block, n);
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

/// Input from a pipe is one message; only what is meant to be read goes to stdout.
int answer_once(ChatSession& session) {
  const std::string message = read_all();
  HADAL_CHECK(!message.empty(), "chat: stdin holds no message");
  const ChatTurn turn = session.answer(
      message,
      [](std::string_view text, bool reasoning) {
        if (!reasoning) fmt::print("{}", text);
      },
      interrupted);
  fmt::print("\n");
  return turn.finish == FinishReason::kCancelled ? 1 : 0;
}

void talk(ChatSession& session, bool colours) {
  const auto dim = [&](std::string_view text) {
    if (colours)
      fmt::print("\x1b[2m{}\x1b[0m", text);
    else
      fmt::print("{}", text);
    std::fflush(stdout);
  };
  dim("/help lists the commands\n");
  for (;;) {
    fmt::print("> ");
    std::fflush(stdout);
    interrupted = false;
    const std::optional<std::string> line = read_line();
    if (!line && interrupted) {
      std::clearerr(stdin);
      fmt::print("\n");
      continue;
    }
    if (!line || *line == "/quit") break;
    if (line->empty()) continue;
    if (line->starts_with('/')) {
      dim(session.command(*line) + "\n");
      continue;
    }
    bool thought = false;
    const auto write = [&](std::string_view text, bool reasoning) {
      if (reasoning) return thought = true, dim(text);
      if (std::exchange(thought, false)) fmt::print("\n\n");
      fmt::print("{}", text);
      std::fflush(stdout);
    };
    try {
      const ChatTurn turn = session.answer(*line, write, interrupted);
      fmt::print("\n");
      if (turn.finish == FinishReason::kLength) dim("(cut: no more tokens)\n");
      if (turn.finish == FinishReason::kRepetition) dim("(ended: it repeated itself)\n");
      if (turn.usage.thinking_cut)
        dim(str_cat("(its thinking was ended after ", turn.usage.thinking_tokens, " tokens)\n"));
    } catch (const Error& e) {
      dim(str_cat("error: ", e.what(), "\n"));
    }
  }
}

}  // namespace

int cmd_chat(Args args) {
  ChatOptions o;
  if (!parse_options(o, args,
                     {.verb = "chat",
                      .about = "talk to a model; a message from a pipe is answered once",
                      .example = "hadal chat --model DIR"}))
    return 0;
  LoadedModel loaded(o.load, o.engine);
  HADAL_CHECK(loaded.tokenizer() != nullptr, "chat: ", o.load.model, " has no tokenizer");
  const std::optional<ChatTemplate> chat_template = chat_template_of(*loaded.tokenizer(), o.load.model);
  HADAL_CHECK(chat_template.has_value(), "chat: ", o.load.model,
              " has no chat template; hadal generate continues text");
  Engine engine(loaded.ctx, loaded.model, loaded.tokenizer(), loaded.engine);
  ChatSession session(engine, *loaded.tokenizer(), *chat_template, o.settings, o.system);
  catch_interrupts();
  if (isatty(STDIN_FILENO) == 0) {
    const int code = answer_once(session);
    loaded.log_experts();
    return code;
  }
  talk(session, isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr);
  loaded.log_experts();
  return 0;
}

}  // namespace hadal
