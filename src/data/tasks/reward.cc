#include "data/tasks/reward.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include "data/tasks/code_grader.h"
#include "data/tasks/response.h"
#include "data/tasks/text_rewards.h"

namespace hadal {
namespace {

// White space and commas separate; text without any is a sequence of characters ("1234").
std::vector<std::string_view> elements(std::string_view text) {
  constexpr std::string_view kSeparators = " \t\r\n,";
  std::vector<std::string_view> found;
  for (std::size_t at = 0; (at = text.find_first_not_of(kSeparators, at)) != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
    found.push_back(text.substr(at, end - at));
    at = end;
  }
  if (found.size() != 1) return found;
  const std::string_view only = found[0];
  found.clear();
  for (std::size_t i = 0; i < only.size(); ++i) found.push_back(only.substr(i, 1));
  return found;
}

// The share of places that hold the right element; extra elements count as wrong places.
double right_places(std::string_view gold, std::string_view answer) {
  const std::vector<std::string_view> g = elements(gold), a = elements(answer);
  const std::size_t most = std::max(g.size(), a.size());
  if (most == 0) return 0;
  std::size_t right = 0;
  for (std::size_t i = 0; i < std::min(g.size(), a.size()); ++i) right += g[i] == a[i];
  return static_cast<double>(right) / static_cast<double>(most);
}

std::string collapse(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
  if (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace

struct Reward::Code {
  std::once_flag once;
  std::optional<Sandbox> sandbox;
};

Reward::Reward(RewardOptions options, std::map<std::string, RewardScorer> scorers)
    : options_(std::move(options)), scorers_(std::move(scorers)), code_(std::make_unique<Code>()) {
  if (options_.routes.empty()) options_.routes.emplace_back();
  for (const RewardRoute& r : options_.routes) {
    for (const auto& [name, weight] :
         {std::pair<const char*, double>{"reward_model", r.reward_model}, {"judge", r.judge}})
      HADAL_CHECK(weight == 0 || scorers_.contains(name), "reward: ", name, " has weight ", weight,
                  ", but there is no such model here");
    HADAL_CHECK((r.overlong == 0 && r.cosine_length == 0) || options_.max_tokens > 0,
                "reward: overlong and cosine_length need max_tokens");
    HADAL_CHECK(r.overlong == 0 || (options_.overlong_buffer > 0 && options_.overlong_buffer <= options_.max_tokens),
                "reward: overlong needs an overlong_buffer between 1 and max_tokens=", options_.max_tokens, ", got ",
                options_.overlong_buffer);
    HADAL_CHECK(r.repetition == 0 || options_.repetition_ngram > 0, "reward: repetition_ngram must be positive");
  }
}

Reward::~Reward() = default;

const RewardRoute& Reward::route(std::string_view task_class) const {
  for (const RewardRoute& r : options_.routes)
    if (r.classes.empty() || std::find(r.classes.begin(), r.classes.end(), task_class) != r.classes.end()) return r;
  fail("reward: no route for tasks of class \"", task_class, "\"; a last route without classes takes all");
}

std::vector<std::string> Reward::prepare(const std::vector<TaskRecord>& tasks) const {
  for (const TaskRecord& task : tasks) {
    const RewardRoute& r = route(task.task_class);
    HADAL_CHECK(r.language == 0 || is_known_language(task.language), "task ", task.id, ": language \"", task.language,
                "\" is not known, and its route rewards the language");
    if (task.grader != Grader::kCode) continue;
    HADAL_CHECK(has_python(), "task ", task.id, ": programs are graded with /usr/bin/python3, which is missing");
    std::call_once(code_->once, [&] { code_->sandbox.emplace(options_.sandbox); });
  }
  return code_->sandbox ? code_->sandbox->layers() : std::vector<std::string>();
}

RewardResult Reward::operator()(const RewardQuery& query) const {
  const TaskRecord& task = query.task;
  const RewardRoute& weights = route(task.task_class);
  const Response parts = split_response(query.response, opens_think(query.prompt));
  RewardResult result;
  double partial = 0;
  switch (task.grader) {
    case Grader::kMath: {
      const std::string_view scope = parts.closed ? query.response : std::string_view();
      result.answer = extract_math_answer(scope, options_.math);
      result.correct = math_equal(task.answer, result.answer, options_.math);
      break;
    }
    case Grader::kExact:
      result.answer = parts.closed ? extract_plain_answer(query.response) : "";
      result.correct = collapse(result.answer) == collapse(task.answer);
      break;
    case Grader::kSequence:
      result.answer = parts.closed ? extract_plain_answer(query.response) : "";
      partial = right_places(task.answer, result.answer);
      result.correct = partial == 1;
      break;
    case Grader::kCode: {
      std::call_once(code_->once, [&] { code_->sandbox.emplace(options_.sandbox); });
      result.answer = std::string(parts.answer);
      const CodeVerdict verdict = grade_code(*code_->sandbox, task.code, parts.answer);
      result.correct = verdict.passed, result.note = verdict.note;
      break;
    }
    case Grader::kNone:
      break;
  }
  if (result.correct) partial = 1;

  const auto add = [&](std::string_view name, double weight, auto&& value) {
    if (weight == 0) return;
    result.parts.push_back({.name = name, .value = value(), .weight = weight});
    result.total += weight * result.parts.back().value;
  };
  const std::string_view said = parts.reasoning.empty() ? parts.answer : parts.reasoning;
  add("accuracy", weights.accuracy, [&] { return result.correct ? 1.0 : 0.0; });
  add("partial", weights.partial, [&] { return partial; });
  add("format", weights.format, [&] { return format_reward(query.prompt, query.response, options_.answer_tags); });
  add("tags", weights.tags, [&] { return tag_reward(query.prompt, query.response, options_.answer_tags); });
  add("language", weights.language, [&] { return language_consistency(said, task.language); });
  add("overlong", weights.overlong,
      [&] { return overlong_reward(query.num_tokens, options_.max_tokens, options_.overlong_buffer); });
  add("cosine_length", weights.cosine_length,
      [&] { return cosine_length_reward(query.num_tokens, options_.max_tokens, result.correct); });
  add("repetition", weights.repetition, [&] { return repetition_reward(query.response, options_.repetition_ngram); });
  add("reward_model", weights.reward_model, [&] { return scorers_.at("reward_model")(query); });
  add("judge", weights.judge, [&] { return scorers_.at("judge")(query); });
  return result;
}

std::string extract_plain_answer(std::string_view response) {
  const Response parts = split_response(response);
  std::string_view answer = parts.tagged_answer ? *parts.tagged_answer : parts.answer;
  if (const std::size_t box = answer.rfind("\\boxed{"); box != std::string_view::npos)
    if (const std::size_t end = answer.find('}', box); end != std::string_view::npos)
      answer = answer.substr(box + 7, end - box - 7);
  return collapse(answer);
}

}  // namespace hadal
