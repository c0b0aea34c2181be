#include "post/recipe/answers.h"

#include <fmt/format.h>

#include <map>
#include <set>

#include "train/metrics.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

constexpr int kOfAClass = 4;  // questions

std::string text_of(const JsonObject& object, const char* key) {
  const Json* const value = object.if_contains(key);
  return value == nullptr ? "" : json_as<std::string>(*value, key);
}

fs::path candidates_of(const Json& evaluation, const fs::path& out) {
  return out / ("eval-" + text_of(evaluation.as_object(), "stage")) / "candidates.jsonl";
}

}  // namespace

JsonArray side_by_side(const JsonObject& summary, const fs::path& out) {
  const JsonArray& evaluations = summary.at("evaluations").as_array();
  JsonArray questions;
  if (evaluations.empty()) return questions;
  std::map<std::string, std::size_t> place;  // of a question, by id
  std::map<std::string, int> of_class;
  for (const JsonObject& line : read_json_log(candidates_of(evaluations[0], out))) {
    const std::string id = text_of(line, "id");
    if (place.contains(id) || ++of_class[text_of(line, "class")] > kOfAClass) continue;
    place[id] = questions.size();
    questions.push_back(
        JsonObject{{"question", line.at("messages").as_array().front().at("content")}, {"answers", JsonArray()}});
  }
  for (const Json& evaluation : evaluations) {
    std::set<std::string> answered;  // of several answers to a question, the first
    for (const JsonObject& line : read_json_log(candidates_of(evaluation, out))) {
      const auto found = place.find(text_of(line, "id"));
      if (found == place.end() || !answered.insert(found->first).second) continue;
      const JsonObject& said = line.at("messages").as_array().back().as_object();
      questions[found->second].at("answers").as_array().push_back(
          JsonObject{{"model", evaluation.at("title")},
                     {"reasoning", text_of(said, "reasoning_content")},
                     {"answer", text_of(said, "content")},
                     {"correct", line.at("correct")}});
    }
  }
  return questions;
}

std::string answers_text(const JsonArray& questions, std::size_t count) {
  std::string text;
  for (std::size_t q = 0; q < std::min(count, questions.size()); ++q) {
    const JsonArray& answers = questions[q].at("answers").as_array();
    text += fmt::format("{}\n", text_of(questions[q].as_object(), "question"));
    for (const Json* answer : {&answers.front(), &answers.back()}) {
      const JsonObject& a = answer->as_object();
      text += fmt::format("  {}: <think>{}</think>{} ({})\n", text_of(a, "model"), text_of(a, "reasoning"),
                          text_of(a, "answer"), a.at("correct").as_bool() ? "right" : "wrong");
    }
  }
  return text;
}

}  // namespace hadal
