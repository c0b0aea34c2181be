#include "serve/openai/completion_answer.h"

#include <algorithm>

#include "base/utf8.h"

namespace hadal {
namespace {

std::int64_t code_points(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
}

}  // namespace

CompletionAnswer::CompletionAnswer(AnswerInfo answer_info, bool echo, int logprobs)
    : ApiAnswer(std::move(answer_info)),
      echo_(echo),
      logprobs_(logprobs),
      choices_(info().prompts.size() * static_cast<std::size_t>(info().n)),
      prompt_events_(info().prompts.size()) {}

void CompletionAnswer::on_prompt_token(std::size_t prompt, const TokenEvent& event) {
  prompt_events_[prompt].push_back(event);
}

// event nullptr: the first token of a prompt, which has no probability.
void CompletionAnswer::add(Choice& choice, int id, const TokenEvent* event) {
  if (logprobs_ < 0) return;
  const std::string text = token_text(*info().tokenizer, id);
  Logprobs& l = choice.logprobs;
  l.tokens.emplace_back(text);
  l.text_offset.emplace_back(choice.offset);
  choice.offset += code_points(text);
  if (event == nullptr) {
    l.token_logprobs.emplace_back(nullptr);
    l.top_logprobs.emplace_back(nullptr);
    return;
  }
  l.token_logprobs.emplace_back(json_logprob(event->logprob.logprob));
  // By text: of two ids with the same text the likelier one stays. The token itself is always there.
  JsonObject top;
  const auto put = [&](const std::string& key, double logprob) {
    const auto [at, added] = top.emplace(key, logprob);
    if (!added && at->value().get_double() < logprob) at->value() = logprob;
  };
  for (const TokenLogprob& t : event->top) put(token_text(*info().tokenizer, t.id), json_logprob(t.logprob));
  put(text, json_logprob(event->logprob.logprob));
  l.top_logprobs.emplace_back(std::move(top));
}

void CompletionAnswer::add_echo(Choice& choice, std::size_t prompt) {
  choice.echoed = true;
  const std::vector<int>& ids = info().prompts[prompt];
  choice.text += replace_ill_formed(info().tokenizer->decode(ids));
  const std::vector<TokenEvent>& events = prompt_events_[prompt];
  for (std::size_t i = 0; i < ids.size(); ++i)
    add(choice, ids[i], i > 0 && i <= events.size() ? &events[i - 1] : nullptr);
}

void CompletionAnswer::on_token(std::size_t prompt, std::size_t index, const TokenEvent& event) {
  Choice& choice = choices_[index];
  if (echo_ && !choice.echoed) add_echo(choice, prompt);
  if (event.token >= 0) add(choice, event.token, &event);
  choice.text += event.text;
  choice.finish = event.finish;
  if (!info().stream) return;
  if (choice.text.empty() && choice.logprobs.tokens.empty() && event.finish == FinishReason::kNone) return;
  write_chunk(choice_json(index, std::exchange(choice.text, "")));
}

JsonObject CompletionAnswer::Logprobs::take() {
  return {{"tokens", std::exchange(tokens, {})},
          {"token_logprobs", std::exchange(token_logprobs, {})},
          {"top_logprobs", std::exchange(top_logprobs, {})},
          {"text_offset", std::exchange(text_offset, {})}};
}

JsonObject CompletionAnswer::choice_json(std::size_t index, std::string text) {
  Choice& choice = choices_[index];
  const bool over = choice.finish != FinishReason::kNone;
  return {{"index", index},
          {"text", std::move(text)},
          {"logprobs", logprobs_ >= 0 ? Json(choice.logprobs.take()) : Json(nullptr)},
          {"finish_reason", over ? Json(finish_name(choice.finish)) : Json(nullptr)},
          {"stop_reason", stop_reason(choice.finish)}};
}

JsonArray CompletionAnswer::choices() {
  JsonArray result;
  for (std::size_t i = 0; i < choices_.size(); ++i) result.push_back(choice_json(i, choices_[i].text));
  return result;
}

}  // namespace hadal
