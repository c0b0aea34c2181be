#include "post/scorers.h"

#include <cctype>
#include <memory>
#include <mutex>

#include "base/file.h"
#include "data/tasks/response.h"
#include "infer/chat_prompt.h"
#include "infer/loaded_model.h"
#include "infer/remote_model.h"
#include "post/preference_data.h"
#include "post/reward_model.h"
#include "post/rollout.h"

namespace hadal {
namespace {

using Ask = std::function<Result<std::string>(const JsonArray& messages)>;

RewardScorer judge_scorer(Ask ask) {
  return [ask = std::move(ask)](const RewardQuery& query) {
    const Result<std::string> said = ask(judge_messages(query));
    HADAL_CHECK(said.ok(), "judge: ", said.message());
    return verdict_of(said.value()).value_or(0);  // no verdict is none in favour
  };
}

Ask remote_judge(const ScorerOptions& o) {
  RemoteModelOptions options{.url = o.judge_url, .model = o.judge_name, .timeout = o.timeout};
  if (!o.api_key_file.empty()) {
    options.api_key = read_file(o.api_key_file, 4096);
    while (!options.api_key.empty() && std::isspace(static_cast<unsigned char>(options.api_key.back())) != 0)
      options.api_key.pop_back();
  }
  return [remote = std::make_shared<RemoteModel>(std::move(options)), tokens = o.judge_tokens](const JsonArray& m) {
    return remote->chat(m, {{"temperature", 0}, {"max_tokens", tokens}});
  };
}

/// A judge in this process, asked by one thread at a time.
struct LocalJudge {
  LoadedModel loaded;
  Engine engine;
  std::optional<ChatTemplate> chat;
  std::mutex mutex;
  explicit LocalJudge(const ScorerOptions& o)
      : loaded(LoadOptions{.model = o.judge, .weights = o.judge_weights}),
        engine(loaded.ctx, loaded.model, loaded.tokenizer(), {.max_batch = 1}) {
    HADAL_CHECK(loaded.tokenizer() != nullptr, o.judge, " has no tokenizer");
    chat = chat_template_of(*loaded.tokenizer(), o.judge);
    HADAL_CHECK(chat, o.judge, " has no chat template");
  }
  std::string ask(const JsonArray& messages, int max_tokens) {
    const std::lock_guard lock(mutex);
    const std::vector<int> prompt = chat_prompt(*chat, *loaded.tokenizer(), messages, {}).ids;
    const std::vector<Rollout> answer =
        sample_answers(engine, {&prompt, 1}, 1, {.max_tokens = max_tokens, .temperature = 0}, 0, 0);
    return loaded.tokenizer()->decode(answer[0].tokens, /*skip_special=*/true);
  }
};

RewardScorer reward_model_scorer(ThreadPool& pool, const std::string& folder, bool answer_only) {
  struct Scorer {
    Exec exec;
    RewardModel model;
    PreferenceEncoder encoder;
    std::mutex mutex;
    Scorer(ThreadPool& p, const std::string& f) : exec(p), model(exec, f), encoder(model.tokenizer(), f) {}
  };
  return [scorer = std::make_shared<Scorer>(pool, folder), answer_only](const RewardQuery& query) {
    const std::string_view read =
        answer_only ? split_response(query.response, opens_think(query.prompt)).answer : query.response;
    JsonArray messages = query.task.messages;
    messages.push_back(JsonObject{{"role", "assistant"}, {"content", std::string(read)}});
    const Result<std::vector<int>> ids = scorer->encoder.ids_of(JsonObject{{"messages", std::move(messages)}});
    HADAL_CHECK(ids.ok(), "reward model: ", ids.message());
    const std::lock_guard lock(scorer->mutex);
    return scorer->model.score(ids.value());
  };
}

}  // namespace

JsonArray judge_messages(const RewardQuery& query) {
  const std::string question =
      query.task.messages.empty()
          ? std::string()
          : json_as<std::string>(query.task.messages.back().as_object().at("content"), query.task.id);
  std::string text = str_cat("Question:\n", question, "\n\n");
  if (!query.task.answer.empty()) text += str_cat("Known answer:\n", query.task.answer, "\n\n");
  text += str_cat("Answer to grade:\n", split_response(query.response, opens_think(query.prompt)).answer,
                  "\n\nDoes the answer to grade ",
                  query.task.answer.empty() ? "answer the question correctly" : "mean the same as the known answer",
                  "? Think if you need to. End with one word: CORRECT or INCORRECT.");
  return {JsonObject{{"role", "user"}, {"content", text}}};
}

std::optional<double> verdict_of(std::string_view text) {
  const std::size_t at = text.rfind("CORRECT");
  if (at == text.npos) return std::nullopt;
  return text.substr(0, at).ends_with("IN") ? 0 : 1;
}

std::map<std::string, RewardScorer> make_scorers(ThreadPool& pool, const ScorerOptions& o) {
  HADAL_CHECK(o.judge.empty() || o.judge_url.empty(), "give judge or judge_url, not both");
  std::map<std::string, RewardScorer> scorers;
  if (!o.reward_model.empty())
    scorers["reward_model"] = reward_model_scorer(pool, o.reward_model, o.reward_model_reads == "answer");
  if (!o.judge_url.empty()) scorers["judge"] = judge_scorer(remote_judge(o));
  if (!o.judge.empty())
    scorers["judge"] = judge_scorer([local = std::make_shared<LocalJudge>(o), tokens = o.judge_tokens](
                                        const JsonArray& m) -> Result<std::string> { return local->ask(m, tokens); });
  return scorers;
}

}  // namespace hadal
