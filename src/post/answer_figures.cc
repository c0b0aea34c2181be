#include "post/answer_figures.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "post/rl_metrics.h"

namespace hadal {
namespace {

constexpr const char* kWhere = "candidates.jsonl";

struct Tally {
  double answers = 0, correct = 0, questions = 0, solved = 0, reward = 0, tokens = 0, truncated = 0, reflective = 0;
  std::map<std::string, double> parts;
  bool right_before = false;  // an earlier answer to this question is right

  void add(const JsonObject& line, bool new_question) {
    const bool right = line.at("correct").as_bool();
    right_before = right_before && !new_question;
    questions += new_question ? 1 : 0, solved += right && !right_before ? 1 : 0;
    right_before = right_before || right;
    answers += 1, correct += right ? 1 : 0, truncated += line.at("truncated").as_bool() ? 1 : 0;
    tokens += json_as<double>(line.at("tokens"), kWhere), reward += json_as<double>(line.at("reward"), kWhere);
    for (const auto& [name, value] : line.at("parts").as_object()) parts[name] += json_as<double>(value, kWhere);
    const JsonObject& said = line.at("messages").as_array().back().as_object();
    if (const Json* const reasoning = said.if_contains("reasoning_content"))
      reflective += static_cast<double>(count_reflective_words(json_as<std::string>(*reasoning, kWhere)));
  }
  JsonObject to_json() const {
    const double each = 1 / std::max(answers, 1.0), share = correct * each;
    const auto [low, high] = wilson_interval(share * questions, questions);
    JsonObject json{{"questions", static_cast<std::int64_t>(questions)},
                    {"answers", static_cast<std::int64_t>(answers)},
                    {"accuracy", share},
                    {"low", low},
                    {"high", high},
                    {"solved", solved / std::max(questions, 1.0)},
                    {"reward", reward * each},
                    {"mean_tokens", tokens * each},
                    {"truncated", truncated * each},
                    {"reflective_words", reflective * each}};
    for (const auto& [name, sum] : parts)
      if (!json.contains(name)) json[name] = sum * each;
    return json;
  }
};

}  // namespace

std::pair<double, double> wilson_interval(double hits, double trials) {
  if (trials <= 0) return {0, 1};
  const double z = 1.959964, share = hits / trials, z2 = z * z / trials;
  const double middle = (share + z2 / 2) / (1 + z2),
               reach = z / (1 + z2) * std::sqrt(share * (1 - share) / trials + z2 / (4 * trials));
  return {std::max(0.0, middle - reach), std::min(1.0, middle + reach)};
}

AnswerFigures answer_figures(std::span<const JsonObject> lines) {
  std::map<std::string, Tally> by_class;
  Tally all;
  std::string last;
  for (const JsonObject& line : lines) {
    const std::string id = json_as<std::string>(line.at("id"), kWhere);
    for (Tally* tally : {&all, &by_class[json_as<std::string>(line.at("class"), kWhere)]}) tally->add(line, id != last);
    last = id;
  }
  AnswerFigures figures{.all = all.to_json(), .classes = {}};
  for (const auto& [name, tally] : by_class) figures.classes[name] = tally.to_json();
  return figures;
}

}  // namespace hadal
