#include "infer/sampler.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/random.h"

namespace hadal {
namespace {

void check_range(const char* name, double value, double low, double high) {
  HADAL_CHECK(value >= low && value <= high, name, ": got ", value, ", want ", low, " to ", high);
}

void check_params(const SamplingParams& p, int vocab_size) {
  for (const auto& [id, bias] : p.logit_bias) {
    HADAL_CHECK(id >= 0 && id < vocab_size, "logit_bias: token ", id, " is outside the vocabulary of ", vocab_size);
    HADAL_CHECK(bias < std::numeric_limits<float>::infinity(), "logit_bias: token ", id, " has ", bias,
                ", want a number or -infinity");
  }
  check_range("repetition_penalty", p.repetition_penalty, 1e-3, 1e3);
  check_range("frequency_penalty", p.frequency_penalty, -100, 100);
  check_range("presence_penalty", p.presence_penalty, -100, 100);
  check_range("temperature", p.temperature, 0, 100);
  HADAL_CHECK(p.top_k >= 0, "top_k: got ", p.top_k, ", want 0 (all) or more");
  check_range("typical_p", p.typical_p, 0, 1);
  check_range("top_p", p.top_p, 0, 1);
  check_range("min_p", p.min_p, 0, 1);
  check_range("top_n_sigma", p.top_n_sigma, 0, 1e6);
}

}  // namespace

Sampler::Sampler(const SamplingParams& params, std::span<const int> prompt, int vocab_size)
    : params_(params), vocab_size_(vocab_size) {
  check_params(params, vocab_size);
  if (params.temperature > 0)
    inverse_temperature_ = std::min(1 / params.temperature, std::numeric_limits<double>::max());
  for (const int id : prompt)
    HADAL_CHECK(id >= 0 && id < vocab_size, "prompt: token ", id, " is outside the vocabulary of ", vocab_size);
  if (params.repetition_penalty == 1) return;
  is_seen_.resize(static_cast<std::size_t>(vocab_size));
  for (const int id : prompt) {
    if (is_seen_[static_cast<std::size_t>(id)]) continue;
    is_seen_[static_cast<std::size_t>(id)] = true;
    seen_.push_back(id);
  }
}

void Sampler::ban(std::span<const int> ids) {
  for (const int id : ids) {
    HADAL_CHECK(id >= 0 && id < vocab_size_, "banned token ", id, " is outside the vocabulary of ", vocab_size_);
    banned_.push_back(id);
  }
}

void Sampler::accept(int id) {
  HADAL_CHECK(id >= 0 && id < vocab_size_, "token ", id, " is outside the vocabulary of ", vocab_size_);
  if (counts()) ++generated_[id];
  if (is_seen_.empty() || is_seen_[static_cast<std::size_t>(id)]) return;
  is_seen_[static_cast<std::size_t>(id)] = true;
  seen_.push_back(id);
}

bool Sampler::counts() const {
  return params_.frequency_penalty != 0 || params_.presence_penalty != 0;
}

bool Sampler::adjusts() const {
  return !params_.logit_bias.empty() || !seen_.empty() || !banned_.empty() || !generated_.empty();
}

void Sampler::adjust(std::span<const float> logits_V) {
  adjusted_V_.assign(logits_V.begin(), logits_V.end());
  for (const auto& [id, bias] : params_.logit_bias) adjusted_V_[static_cast<std::size_t>(id)] += bias;
  penalise();
  for (const int id : banned_) adjusted_V_[static_cast<std::size_t>(id)] = -std::numeric_limits<float>::infinity();
  banned_.clear();
}

void Sampler::penalise() {
  for (const int id : seen_) {
    float& logit = adjusted_V_[static_cast<std::size_t>(id)];
    const auto x = static_cast<double>(logit);
    logit = static_cast<float>(x > 0 ? x / params_.repetition_penalty : x * params_.repetition_penalty);
  }
  for (const auto& [id, count] : generated_) {
    float& logit = adjusted_V_[static_cast<std::size_t>(id)];
    logit =
        static_cast<float>(static_cast<double>(logit) - count * params_.frequency_penalty - params_.presence_penalty);
  }
}

Sampler::Choice Sampler::choose(std::span<const float> logits_V, std::uint64_t position, int num_top) {
  HADAL_CHECK(logits_V.size() == static_cast<std::size_t>(vocab_size_), "sampling: got ", logits_V.size(),
              " logits, want ", vocab_size_);
  const bool adjusted = adjusts();
  if (adjusted) adjust(logits_V);
  row_.assign(adjusted ? std::span<const float>(adjusted_V_) : logits_V);
  Choice choice;
  if (params_.temperature == 0) {
    choice.id = row_.argmax();
  } else {
    const double u = random_uniform(params_.seed, Stream::kSample, position);
    if (truncates(params_, vocab_size_)) {
      truncate(row_, params_, inverse_temperature_, candidates_);
      choice.id = draw(candidates_, u);
    } else {
      row_.weigh(inverse_temperature_);
      choice.id = row_.draw(u);
    }
  }
  if (num_top >= 0) {
    if (adjusted) row_.assign(logits_V);
    report(logits_V, num_top, choice);
  }
  return choice;
}

Sampler::Choice Sampler::impose(int id, std::span<const float> logits_V, int num_top) {
  Choice choice;
  choice.id = id;
  banned_.clear();
  if (num_top < 0) return choice;
  row_.assign(logits_V);
  report(logits_V, num_top, choice);
  return choice;
}

void Sampler::report(std::span<const float> logits_V, int num_top, Choice& choice) {
  const double log_sum = row_.log_sum_exp();
  const auto logprob = [&](int id) {
    return static_cast<float>(static_cast<double>(logits_V[static_cast<std::size_t>(id)]) - log_sum);
  };
  choice.logprob = logprob(choice.id);
  row_.likeliest(num_top, ids_);
  for (const int id : ids_) choice.top.push_back({id, logprob(id)});
}

}  // namespace hadal
