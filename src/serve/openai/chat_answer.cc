#include "serve/openai/chat_answer.h"

namespace hadal {
namespace {

JsonObject token_json(const Tokenizer& tokenizer, const TokenLogprob& token) {
  JsonArray bytes;
  for (const char c : tokenizer.token_bytes(token.id)) bytes.push_back(static_cast<int>(static_cast<unsigned char>(c)));
  return {{"token", token_text(tokenizer, token.id)},
          {"logprob", json_logprob(token.logprob)},
          {"bytes", std::move(bytes)}};
}

}  // namespace

ChatAnswer::ChatAnswer(AnswerInfo answer_info, const ChatAnswerOptions& options)
    : ApiAnswer(std::move(answer_info)), options_(options), choices_(static_cast<std::size_t>(info().n)) {
  for (Choice& choice : choices_)
    if (options.split_reasoning) choice.splitter.emplace(*info().tokenizer, options.thinks);
}

void ChatAnswer::write_first() {
  for (std::size_t i = 0; i < choices_.size(); ++i) write_delta(i, {{"role", "assistant"}, {"content", ""}}, nullptr);
}

void ChatAnswer::write_delta(std::size_t index, JsonObject delta, Json logprobs, FinishReason finish) {
  JsonObject choice{{"index", index}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}};
  choice["finish_reason"] = finish == FinishReason::kNone ? Json(nullptr) : Json(finish_name(finish));
  if (finish != FinishReason::kNone) choice["stop_reason"] = stop_reason(finish);
  write_chunk(std::move(choice));
}

Json ChatAnswer::logprob_json(const TokenEvent& event) const {
  JsonObject json = token_json(*info().tokenizer, event.logprob);
  JsonArray top;
  for (const TokenLogprob& t : event.top) top.push_back(token_json(*info().tokenizer, t));
  json["top_logprobs"] = std::move(top);
  return json;
}

Json ChatAnswer::logprobs_json(JsonArray content, JsonArray reasoning) const {
  if (options_.top_logprobs < 0) return nullptr;
  JsonObject json{{"content", std::move(content)}, {"refusal", nullptr}};
  if (!reasoning.empty()) json["reasoning_content"] = std::move(reasoning);
  return json;
}

void ChatAnswer::on_token(std::size_t, std::size_t index, const TokenEvent& event) {
  Choice& choice = choices_[index];
  const bool inside = choice.splitter && choice.splitter->inside(), has_token = event.token >= 0;
  if (inside && has_token) ++reasoning_tokens_;
  ReasoningSplitter::Piece piece;
  if (choice.splitter) {
    piece = choice.splitter->push(event.token, event.text);
    if (event.finish != FinishReason::kNone) {
      ReasoningSplitter::Piece rest = choice.splitter->finish();
      piece.reasoning += rest.reasoning;
      piece.content += rest.content;
    }
  } else {
    piece.content = event.text;
  }
  const bool with_logprob = options_.top_logprobs >= 0 && has_token;
  JsonArray content_logprobs, reasoning_logprobs;
  if (with_logprob) (inside ? reasoning_logprobs : content_logprobs).push_back(logprob_json(event));
  choice.finish = event.finish;
  if (!info().stream) {
    choice.content += piece.content;
    choice.reasoning += piece.reasoning;
    for (Json& json : content_logprobs) choice.content_logprobs.push_back(std::move(json));
    for (Json& json : reasoning_logprobs) choice.reasoning_logprobs.push_back(std::move(json));
    return;
  }
  // A chunk has text of one kind; the number of a token goes with the first chunk that its event gives.
  Json logprobs = with_logprob ? logprobs_json(std::move(content_logprobs), std::move(reasoning_logprobs)) : nullptr;
  if (!piece.reasoning.empty())
    write_delta(index, {{"reasoning_content", piece.reasoning}}, std::exchange(logprobs, nullptr));
  if (!piece.content.empty() || !logprobs.is_null())
    write_delta(index, {{"content", piece.content}}, std::exchange(logprobs, nullptr));
  if (event.finish != FinishReason::kNone) write_delta(index, {}, nullptr, event.finish);
}

JsonArray ChatAnswer::choices() {
  JsonArray result;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    Choice& choice = choices_[i];
    JsonObject message{{"role", "assistant"}, {"content", choice.content}, {"refusal", nullptr}};
    if (!choice.reasoning.empty()) message["reasoning_content"] = choice.reasoning;
    result.push_back(JsonObject{
        {"index", i},
        {"message", std::move(message)},
        {"logprobs", logprobs_json(std::move(choice.content_logprobs), std::move(choice.reasoning_logprobs))},
        {"finish_reason", finish_name(choice.finish)},
        {"stop_reason", stop_reason(choice.finish)}});
  }
  return result;
}

void ChatAnswer::add_details(JsonObject& details) const {
  details["reasoning_tokens"] = reasoning_tokens_;
}

}  // namespace hadal
