#pragma once
// Models that grade answers where no rule can: a judge that is asked in words, a reward model that gives a number.
#include <map>
#include <string>

#include "data/tasks/reward.h"

namespace hadal {

struct ScorerOptions {
  std::string reward_model, judge, judge_url, judge_name, api_key_file, judge_weights = "bf16",
                                                                        reward_model_reads = "answer";
  double timeout = 300;
  int judge_tokens = 512;
  template <class V>
  void visit(V&& v) {
    v("reward_model", reward_model, "folder of a reward model (hadal reward)", {.placeholder = "DIR"});
    v("reward_model_reads", reward_model_reads, "what follows the reasoning (helpfulness), or all (harmlessness)",
      {.choices = {"answer", "response"}});
    v("judge", judge, "model folder of a judge", {.placeholder = "DIR"});
    v("judge_url", judge_url, "or an OpenAI-compatible URL of one: http://host:port/v1", {.placeholder = "URL"});
    v("judge_name", judge_name, "the judge's name in requests to the URL");
    v("api_key_file", api_key_file, "file with the key for the URL", {.placeholder = "FILE"});
    v("judge_weights", judge_weights, "form of the weights of a judge in a folder",
      {.choices = {"f32", "bf16", "fp8", "int8", "int4", "int4-experts"}});
    v("timeout", timeout, "seconds that an answer from the URL may take");
    v("judge_tokens", judge_tokens, "tokens that the judge may write");
  }
};

/// What Reward wants to have: "reward_model" and "judge", those that the options name. Throws Error when a model cannot
/// be loaded, or both kinds of judge are given.
std::map<std::string, RewardScorer> make_scorers(ThreadPool& pool, const ScorerOptions& options);

/// What a judge is asked: question, known answer where there is one, the answer behind the reasoning.
JsonArray judge_messages(const RewardQuery& query);
/// The verdict in a judge's words: 1 for CORRECT, 0 for INCORRECT, whichever stands last; nothing when neither does.
std::optional<double> verdict_of(std::string_view text);

}  // namespace hadal
