#include "infer/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "base/random.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

using testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(int size, std::uint64_t seed, double scale = 3) {
  std::vector<float> logits;
  for (int i = 0; i < size; ++i)
    logits.push_back(static_cast<float>(scale * random_normal(seed, Stream::kTest, static_cast<std::uint64_t>(i))));
  return logits;
}

// Sampling as SamplingParams describes it, in the plainest loops: the probability of each id, 0 for what is removed.
class Reference {
 public:
  Reference(const SamplingParams& p, const std::vector<float>& logits, const std::vector<int>& prompt,
            const std::vector<int>& answer)
      : p_(p), logit_(logits.begin(), logits.end()) {
    for (const auto& [id, bias] : p.logit_bias) at(id) += static_cast<long double>(bias);
    std::set<int> seen(prompt.begin(), prompt.end());
    seen.insert(answer.begin(), answer.end());
    for (const int id : seen) at(id) = at(id) > 0 ? at(id) / p.repetition_penalty : at(id) * p.repetition_penalty;
    for (const int id : std::set<int>(answer.begin(), answer.end()))
      at(id) -= std::count(answer.begin(), answer.end(), id) * p.frequency_penalty + p.presence_penalty;
    for (long double& x : logit_) x /= p.temperature;
    for (std::size_t i = 0; i < logit_.size(); ++i)
      if (std::isfinite(logit_[i])) order_.push_back(static_cast<int>(i));
    sort_by_likelihood();
  }

  std::vector<long double> probabilities() {
    long double mean = 0, variance = 0;
    for (const int id : order_) mean += at(id) / order_.size();
    for (const int id : order_) variance += (at(id) - mean) * (at(id) - mean) / order_.size();
    if (p_.top_k > 0) order_.resize(std::min(order_.size(), static_cast<std::size_t>(p_.top_k)));
    if (p_.typical_p < 1) typical();
    if (p_.top_p < 1) {
      const auto probability = softmax();
      std::size_t n = 0;
      for (long double sum = 0; n < order_.size() && (n == 0 || sum < p_.top_p);) sum += probability.at(order_[n++]);
      order_.resize(n);
    }
    const long double best = at(order_[0]);
    if (p_.min_p > 0) std::erase_if(order_, [&](int id) { return std::exp(at(id) - best) < p_.min_p; });
    if (p_.top_n_sigma > 0)
      std::erase_if(order_, [&](int id) { return at(id) < best - p_.top_n_sigma * std::sqrt(variance); });
    std::vector<long double> result(logit_.size(), 0);
    for (const auto& [id, p] : softmax()) result[static_cast<std::size_t>(id)] = p;
    return result;
  }

 private:
  long double& at(int id) { return logit_[static_cast<std::size_t>(id)]; }
  void sort_by_likelihood() {
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int a, int b) { return at(a) != at(b) ? at(a) > at(b) : a < b; });
  }
  std::map<int, long double> softmax() {
    std::map<int, long double> result;
    long double sum = 0;
    for (const int id : order_) sum += std::exp(at(id) - at(order_[0]));
    for (const int id : order_) result[id] = std::exp(at(id) - at(order_[0])) / sum;
    return result;
  }
  void typical() {
    auto probability = softmax();
    long double entropy = 0;
    for (const auto& [id, p] : probability) entropy -= p * std::log(p);
    std::stable_sort(order_.begin(), order_.end(), [&](int a, int b) {
      const long double x = std::fabs(-std::log(probability[a]) - entropy),
                        y = std::fabs(-std::log(probability[b]) - entropy);
      return x != y ? x < y : a < b;
    });
    std::size_t n = 0;
    for (long double sum = 0; n < order_.size() && (n == 0 || sum < p_.typical_p);) sum += probability[order_[n++]];
    order_.resize(n);
    sort_by_likelihood();
  }

  SamplingParams p_;
  std::vector<long double> logit_;
  std::vector<int> order_;
};

int draw(const std::vector<long double>& probabilities, double u) {
  long double sum = 0;
  int last = -1;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    if (probabilities[i] == 0) continue;
    last = static_cast<int>(i);
    if ((sum += probabilities[i]) > static_cast<long double>(u)) break;
  }
  return last;
}

struct Case {
  const char* name;
  std::function<void(SamplingParams&)> set;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {"nothing", [](SamplingParams&) {}},
      {"hot", [](SamplingParams& p) { p.temperature = 1.7; }},
      {"cold", [](SamplingParams& p) { p.temperature = 0.3; }},
      {"bias", [](SamplingParams& p) { p.logit_bias = {{0, 5.F}, {3, -kInf}, {7, -2.5F}}; }},
      {"repetition", [](SamplingParams& p) { p.repetition_penalty = 1.3; }},
      {"repetition below 1", [](SamplingParams& p) { p.repetition_penalty = 0.7; }},
      {"frequency", [](SamplingParams& p) { p.frequency_penalty = 0.8; }},
      {"presence", [](SamplingParams& p) { p.presence_penalty = -1.5; }},
      {"top_k 1", [](SamplingParams& p) { p.top_k = 1; }},
      {"top_k 5", [](SamplingParams& p) { p.top_k = 5; }},
      {"top_k beyond", [](SamplingParams& p) { p.top_k = 1 << 30; }},
      {"typical 0.6", [](SamplingParams& p) { p.typical_p = 0.6; }},
      {"typical 0", [](SamplingParams& p) { p.typical_p = 0; }},
      {"top_p 0.9", [](SamplingParams& p) { p.top_p = 0.9; }},
      {"top_p 0.2", [](SamplingParams& p) { p.top_p = 0.2; }},
      {"top_p 0", [](SamplingParams& p) { p.top_p = 0; }},
      {"min_p 0.1", [](SamplingParams& p) { p.min_p = 0.1; }},
      {"min_p 1", [](SamplingParams& p) { p.min_p = 1; }},
      {"sigma 1", [](SamplingParams& p) { p.top_n_sigma = 1, p.temperature = 2; }},
      {"deepseek", [](SamplingParams& p) { p.temperature = 0.6, p.top_p = 0.95; }},
      {"llama.cpp", [](SamplingParams& p) { p.temperature = 0.8, p.top_k = 40, p.top_p = 0.95, p.min_p = 0.05; }},
      {"top_k then top_p", [](SamplingParams& p) { p.top_k = 10, p.top_p = 0.5; }},
      {"typical then min_p", [](SamplingParams& p) { p.typical_p = 0.5, p.min_p = 0.3; }},
      {"everything",
       [](SamplingParams& p) {
         p = {.logit_bias = {{1, 1.F}, {2, -kInf}},
              .repetition_penalty = 1.1,
              .frequency_penalty = 0.2,
              .presence_penalty = 0.3,
              .temperature = 0.9,
              .top_k = 30,
              .typical_p = 0.95,
              .top_p = 0.9,
              .min_p = 0.02,
              .top_n_sigma = 2};
       }},
  };
  return list;
}

TEST(Sampler, EveryStepIsThatOfThePlainLoops) {
  for (const int size : {1, 9, 63, 64, 65, 700}) {
    for (const Case& c : cases()) {
      SCOPED_TRACE(testing::Message() << c.name << ", " << size << " logits");
      SamplingParams params;
      c.set(params);
      std::erase_if(params.logit_bias, [&](const auto& bias) { return bias.first >= size || size == 1; });
      for (std::uint64_t seed = 0; seed < 20; ++seed) {
        params.seed = seed;
        const std::vector<float> logits = random_logits(size, seed);
        const std::vector<int> prompt = {0, size / 2, size / 2}, answer = {size - 1, 0, size - 1};
        Sampler sampler(params, prompt, size);
        for (const int id : answer) sampler.accept(id);
        const int got = sampler.choose(logits, seed * 3, -1).id;
        const auto wanted = Reference(params, logits, prompt, answer).probabilities();
        ASSERT_EQ(got, draw(wanted, random_uniform(seed, Stream::kSample, seed * 3))) << "seed " << seed;
      }
    }
  }
}

// Chi-square with more degrees than 100 is normal enough: 5 standard deviations are one chance in 3 million, and the
// seeds are fixed.
TEST(Sampler, DrawsHaveTheProbabilitiesOfTheReference) {
  constexpr int kSize = 150, kDraws = 20000;
  const std::vector<float> logits = random_logits(kSize, 5, 1);
  const std::vector<int> prompt = {3, 4}, answer = {10, 10, 11};
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    SamplingParams params;
    c.set(params);
    params.seed = 77;
    Sampler sampler(params, prompt, kSize);
    for (const int id : answer) sampler.accept(id);
    std::vector<int> count(kSize, 0);
    for (std::uint64_t i = 0; i < kDraws; ++i) ++count[static_cast<std::size_t>(sampler.choose(logits, i, -1).id)];
    const auto probabilities = Reference(params, logits, prompt, answer).probabilities();
    double chi_square = 0, degrees = -1;
    for (std::size_t i = 0; i < kSize; ++i) {
      const auto expected = static_cast<double>(probabilities[i]) * kDraws;
      if (expected == 0) {
        EXPECT_EQ(count[i], 0) << "token " << i << " was removed";
        continue;
      }
      degrees += 1;
      chi_square += (count[i] - expected) * (count[i] - expected) / expected;
    }
    EXPECT_LE(chi_square, degrees + 5 * std::sqrt(2 * degrees) + 5);
    if (degrees > 20) {
      EXPECT_GE(chi_square, degrees - 5 * std::sqrt(2 * degrees));
    }
  }
}

TEST(Sampler, EqualLogitsGoToTheLowestId) {
  std::vector<float> logits(300, 1.F);
  logits[5] = logits[70] = logits[299] = 2.F;
  EXPECT_EQ(Sampler({.temperature = 0}, {}, 300).choose(logits, 0, -1).id, 5);
  EXPECT_EQ(Sampler({.temperature = 0}, {}, 300).choose(std::vector<float>(300, -1.F), 0, -1).id, 0);
  // With top_k 2 of three equal ones, the last can never come.
  std::set<int> drawn;
  Sampler sampler({.top_k = 2}, {}, 300);
  for (std::uint64_t i = 0; i < 200; ++i) drawn.insert(sampler.choose(logits, i, -1).id);
  EXPECT_EQ(drawn, (std::set<int>{5, 70}));
  const auto top = Sampler({}, {}, 300).choose(logits, 0, 5).top;
  std::vector<int> ids;
  for (const TokenLogprob& t : top) ids.push_back(t.id);
  EXPECT_EQ(ids, (std::vector<int>{5, 70, 299, 0, 1}));
}

TEST(Sampler, LogprobsAreThoseOfTheRawDistribution) {
  const std::vector<float> logits = random_logits(1000, 9);
  const auto wanted = Reference({}, logits, {}, {}).probabilities();
  Sampler sampler(
      {.logit_bias = {{4, 3.F}, {8, -kInf}}, .repetition_penalty = 2, .temperature = 0.5, .top_k = 3, .seed = 4},
      std::vector<int>{1, 2, 3}, 1000);
  const Sampler::Choice choice = sampler.choose(logits, 6, 20);
  ASSERT_EQ(choice.top.size(), 20U);
  EXPECT_NEAR(choice.logprob, std::log(wanted[static_cast<std::size_t>(choice.id)]), 1e-6);
  float before = 0;
  bool found = false;
  for (const TokenLogprob& t : choice.top) {
    EXPECT_NEAR(t.logprob, std::log(wanted[static_cast<std::size_t>(t.id)]), 1e-6);
    EXPECT_LE(t.logprob, before);
    before = t.logprob;
    if (t.id != choice.id) continue;
    found = true;
    EXPECT_EQ(t.logprob, choice.logprob);  // the same bits
  }
  EXPECT_TRUE(found) << "the choice of the three likeliest is among the 20 likeliest";
}

TEST(Sampler, LogprobsDoNotDependOnHowTheTokenWasDrawn) {
  const std::vector<float> logits = random_logits(5000, 10);
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    SamplingParams params;
    c.set(params);
    const Sampler::Choice plain = Sampler({.temperature = 0}, {}, 5000).choose(logits, 1, 5),
                          other = Sampler(params, {}, 5000).choose(logits, 1, 5);
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(plain.top[i].id, other.top[i].id);
      EXPECT_EQ(plain.top[i].logprob, other.top[i].logprob);
    }
  }
}

TEST(Sampler, BiasLeavesOneTokenWhichIsThenDrawn) {
  SamplingParams params;
  for (int id = 0; id < 100; ++id)
    if (id != 42) params.logit_bias[id] = -kInf;
  for (const double temperature : {0.0, 1.0, 1e-30, 100.0}) {
    params.temperature = temperature;
    for (const double top_p : {1.0, 0.5}) {
      params.top_p = top_p;
      for (std::uint64_t i = 0; i < 20; ++i)
        EXPECT_EQ(Sampler(params, {}, 100).choose(random_logits(100, i), i, 1).id, 42);
    }
  }
  params.logit_bias[42] = -kInf;
  Sampler none(params, {}, 100);
  EXPECT_THAT(error_of([&] { none.choose(random_logits(100, 1), 0, -1); }), HasSubstr("every token is banned"));
}

TEST(Sampler, BansHoldForOneChoice) {
  std::vector<float> logits(10, 0.F);
  logits[7] = 50;
  Sampler sampler({}, {}, 10);
  sampler.ban(std::vector<int>{7});
  EXPECT_NE(sampler.choose(logits, 0, -1).id, 7);
  EXPECT_EQ(sampler.choose(logits, 0, -1).id, 7);
  EXPECT_THAT(error_of([&] { sampler.ban(std::vector<int>{10}); }), HasSubstr("token 10 is outside"));
}

TEST(Sampler, NanIsNeverChosenAndARowOfItIsAnError) {
  std::vector<float> logits(200, std::nanf(""));
  Sampler sampler({.top_p = 0.9}, {}, 200);
  EXPECT_THAT(error_of([&] { sampler.choose(logits, 0, -1); }), HasSubstr("none of 200 logits is finite"));
  std::ranges::fill(logits, -kInf);
  EXPECT_THAT(error_of([&] { sampler.choose(logits, 0, -1); }), HasSubstr("none of 200 logits is finite"));
  logits[9] = std::nanf("");
  logits[150] = -1e30F;
  const Sampler::Choice choice = sampler.choose(logits, 0, 5);
  EXPECT_EQ(choice.id, 150);
  EXPECT_EQ(choice.logprob, 0);
  EXPECT_EQ(choice.top.size(), 1U);
  logits[20] = kInf;
  EXPECT_THAT(error_of([&] { sampler.choose(logits, 0, -1); }), HasSubstr("token 20 is +infinity"));
  EXPECT_THAT(error_of([&] { sampler.choose(std::vector<float>(3), 0, -1); }), HasSubstr("got 3 logits, want 200"));
}

TEST(Sampler, ParametersOutsideOfTheirRangesAreRefused) {
  const auto error = [](const std::function<void(SamplingParams&)>& set) {
    SamplingParams params;
    set(params);
    return error_of([&] { Sampler(params, std::vector<int>{1}, 10); });
  };
  EXPECT_NO_THROW(Sampler({}, std::vector<int>{1}, 10));
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (const double bad : {kNan, -0.1, 1e300, static_cast<double>(kInf)}) {
    SCOPED_TRACE(bad);
    EXPECT_THAT(error([&](SamplingParams& p) { p.temperature = bad; }), HasSubstr("temperature: got"));
    EXPECT_THAT(error([&](SamplingParams& p) { p.top_p = bad; }), HasSubstr("top_p: got"));
    EXPECT_THAT(error([&](SamplingParams& p) { p.min_p = bad; }), HasSubstr("min_p: got"));
    EXPECT_THAT(error([&](SamplingParams& p) { p.typical_p = bad; }), HasSubstr("typical_p: got"));
    EXPECT_THAT(error([&](SamplingParams& p) { p.top_n_sigma = bad; }), HasSubstr("top_n_sigma: got"));
    EXPECT_THAT(error([&](SamplingParams& p) { p.repetition_penalty = bad; }), HasSubstr("repetition_penalty: got"));
  }
  EXPECT_THAT(error([&](SamplingParams& p) { p.frequency_penalty = kNan; }), HasSubstr("frequency_penalty: got"));
  EXPECT_THAT(error([&](SamplingParams& p) { p.presence_penalty = -1e9; }), HasSubstr("presence_penalty: got"));
  EXPECT_THAT(error([](SamplingParams& p) { p.top_k = -1; }), HasSubstr("top_k: got -1"));
  EXPECT_THAT(error([](SamplingParams& p) { p.logit_bias[10] = 1; }), HasSubstr("token 10 is outside"));
  EXPECT_THAT(error([](SamplingParams& p) { p.logit_bias[-1] = 1; }), HasSubstr("token -1 is outside"));
  EXPECT_THAT(error([](SamplingParams& p) { p.logit_bias[1] = kInf; }), HasSubstr("want a number or -infinity"));
  EXPECT_THAT(error([](SamplingParams& p) { p.logit_bias[1] = std::nanf(""); }), HasSubstr("want a number"));
  EXPECT_THAT(error_of([] { Sampler({}, std::vector<int>{10}, 10); }), HasSubstr("prompt: token 10"));
}

TEST(LogitRow, ExponentialsAreThoseOfTheLibrary) {
  for (double x = 0; x > -690; x -= 0.0137) ASSERT_NEAR(exp_of_negative(x) / std::exp(x), 1, 2e-15) << x;
  EXPECT_EQ(exp_of_negative(0), 1);
  EXPECT_EQ(exp_of_negative(-kInf), 0);
  EXPECT_EQ(exp_of_negative(std::nan("")), 0);
}

}  // namespace
}  // namespace hadal
