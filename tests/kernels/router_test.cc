#include "kernels/router.h"

#include <fstream>
#include <limits>
#include <set>

#include <boost/json.hpp>

#include "formats/safetensors.h"
#include "support/kernel_case.h"
#include "support/shared.h"

namespace hadal {
namespace {

using namespace testing;
using kernels::RouterPolicy;
using kernels::ScoringFunc;
using kernels::TopkMethod;

/// What the router makes of logits, with the memory it needs.
struct Routed {
  std::vector<int> index;
  Matrix weight, scores;
  index_t chosen;
  Routed(DType dtype, index_t tokens, index_t num_experts, const RouterPolicy& policy)
      : index(static_cast<std::size_t>(tokens * policy.num_experts_per_tok)),
        weight(dtype, tokens, policy.num_experts_per_tok, 2),
        scores(dtype, tokens, num_experts, 3),
        chosen(policy.num_experts_per_tok) {}
  kernels::RouterChoice choice() {
    const auto rows = static_cast<index_t>(index.size()) / chosen;
    return {{index.data(), rows, chosen, chosen}, weight, scores};
  }
  std::set<int> of_token(index_t t) const { return {index.begin() + t * chosen, index.begin() + (t + 1) * chosen}; }
};

std::vector<std::pair<index_t, RouterPolicy>> policies() {
  const auto v3 = [](int groups, int kept, int chosen) {
    return RouterPolicy{ScoringFunc::kSigmoid, TopkMethod::kNoauxTc, groups, kept, chosen, true, 2.5F};
  };
  return {{16, v3(1, 1, 2)},
          {256, v3(8, 4, 8)},
          {12, v3(4, 2, 3)},
          {8, v3(8, 4, 4)},
          {160, {ScoringFunc::kSoftmax, TopkMethod::kGroupLimitedGreedy, 8, 3, 6, false, 16.0F}},
          {64, {ScoringFunc::kSoftmax, TopkMethod::kGreedy, 1, 1, 6, false, 1.0F}},
          {9, {ScoringFunc::kSoftmax, TopkMethod::kGreedy, 1, 1, 9, true, 1.0F}},
          {15, {ScoringFunc::kSigmoid, TopkMethod::kGreedy, 1, 1, 4, true, 1.0F}},
          {1, {ScoringFunc::kSigmoid, TopkMethod::kNoauxTc, 1, 1, 1, true, 1.0F}}};
}

TEST(Router, LikeReference) {
  for (const auto& [num_experts, policy] : policies()) {
    for (const index_t tokens : {1, 130}) {
      const Matrix logits = random_matrix(DType::kF32, tokens, num_experts, 1),
                   bias = random_matrix(DType::kF32, 1, num_experts, 2, 0.3);
      const Matrix dweight = random_matrix(DType::kF32, tokens, policy.num_experts_per_tok, 3);
      const Matrix dscores = random_matrix(DType::kF32, tokens, num_experts, 4);
      expect_like_reference(str_cat("router of ", num_experts), [&, n = num_experts, p = policy](Exec& ex) {
        Routed r(DType::kF32, tokens, n, p);
        kernels::router_forward(ex, r.choice(), logits, bias, p);
        std::vector<Output> out = {{"dlogits", Matrix(DType::kF32, tokens, n, 1), 1e-6, 1e-4},
                                   {"dlogits of weights alone", Matrix(DType::kF32, tokens, n, 1), 1e-6, 1e-4},
                                   {"index", Matrix(DType::kF32, tokens, p.num_experts_per_tok), 0, 0}};
        kernels::router_backward(ex, out[0].value, dweight, dscores, r.choice(), p);
        kernels::router_backward(ex, out[1].value, dweight, ConstView{}, r.choice(), p);
        for (std::size_t i = 0; i < r.index.size(); ++i) {
          const auto k = static_cast<index_t>(i);
          out[2].value.set(k / p.num_experts_per_tok, k % p.num_experts_per_tok, r.index[i]);
        }
        out.push_back({"weight", r.weight, 1e-7, 1e-5});
        out.push_back({"scores", r.scores, 1e-7, 1e-5});
        return out;
      });
    }
  }
}

TEST(Router, LowestIndexAmongEquals) {
  ThreadPool pool(1);
  std::vector<Isa> all = isas();
  all.push_back(Isa::kReference);
  for (const Isa isa : all) {
    Exec ex(pool, isa);
    for (const auto& [num_experts, policy] : policies()) {
      Matrix logits(DType::kF32, 1, num_experts);
      Routed r(DType::kF32, 1, num_experts, policy);
      kernels::router_forward(ex, r.choice(), logits, ConstView{}, policy);
      for (int a = 0; a < policy.num_experts_per_tok; ++a)
        EXPECT_EQ(r.index[static_cast<std::size_t>(a)], a) << isa_name(isa) << " " << num_experts;
    }
  }
}

// Spec T14: the bias steers the selection and nothing else.
TEST(Router, BiasLeavesWeightsAlone) {
  ThreadPool pool(1);
  const RouterPolicy policy{ScoringFunc::kSigmoid, TopkMethod::kNoauxTc, 1, 1, 4, true, 2.5F};
  for (const Isa isa : isas()) {
    Exec ex(pool, isa);
    const Matrix logits = random_matrix(DType::kF32, 50, 16, 1);
    Routed plain(DType::kF32, 50, 16, policy), biased(DType::kF32, 50, 16, policy);
    Matrix bias(DType::kF32, 1, 16);
    for (index_t e = 0; e < 16; ++e) bias.set(0, e, 7);
    kernels::router_forward(ex, plain.choice(), logits, ConstView{}, policy);
    kernels::router_forward(ex, biased.choice(), logits, bias, policy);
    for (index_t t = 0; t < 50; ++t) {
      ASSERT_EQ(plain.of_token(t), biased.of_token(t));
      for (index_t a = 0; a < 4; ++a) EXPECT_NEAR(plain.weight(t, a), biased.weight(t, a), 1e-6);
    }
    bias.set(0, 3, 9);
    kernels::router_forward(ex, biased.choice(), logits, bias, policy);
    for (index_t t = 0; t < 50; ++t) EXPECT_TRUE(biased.of_token(t).contains(3));
  }
}

// Spec T15: the chosen experts span at most topk_group groups, also when biased scores are negative.
TEST(Router, GroupLimits) {
  ThreadPool pool(1);
  for (const Isa isa : isas()) {
    Exec ex(pool, isa);
    for (const auto& [num_experts, policy] : policies()) {
      if (policy.topk_method == TopkMethod::kGreedy) continue;
      const Matrix logits = random_matrix(DType::kF32, 200, num_experts, 1);
      Matrix bias(DType::kF32, 1, num_experts);
      for (index_t e = 0; e < num_experts; ++e) bias.set(0, e, -3);
      Routed r(DType::kF32, 200, num_experts, policy);
      kernels::router_forward(ex, r.choice(), logits, bias, policy);
      for (index_t t = 0; t < 200; ++t) {
        std::set<index_t> groups;
        for (const int e : r.of_token(t)) groups.insert(e / (num_experts / policy.n_group));
        EXPECT_LE(static_cast<int>(groups.size()), policy.topk_group);
        EXPECT_EQ(static_cast<int>(r.of_token(t).size()), policy.num_experts_per_tok);
      }
    }
  }
}

TEST(Router, NotANumberChoosesInRange) {
  ThreadPool pool(1);
  std::vector<Isa> all = isas();
  all.push_back(Isa::kReference);
  for (const Isa isa : all) {
    Exec ex(pool, isa);
    for (const auto& [num_experts, policy] : policies()) {
      for (const bool everywhere : {false, true}) {
        Matrix logits(DType::kF32, 1, num_experts);
        for (index_t e = 0; e < num_experts; ++e)
          if (everywhere || e == num_experts / 2) logits.set(0, e, std::nan(""));
        Routed r(DType::kF32, 1, num_experts, policy);
        kernels::router_forward(ex, r.choice(), logits, ConstView{}, policy);
        EXPECT_EQ(static_cast<int>(r.of_token(0).size()), policy.num_experts_per_tok) << "no expert twice";
        for (const int e : r.index) EXPECT_TRUE(e >= 0 && e < num_experts);
      }
    }
  }
}

TEST(Router, GradientByDifferences) {
  ThreadPool pool(1);
  Exec ex(pool, Isa::kReference);
  for (const auto& [num_experts, policy] : policies()) {
    if (num_experts > 20) continue;
    constexpr index_t kTokens = 3;
    Matrix logits = random_matrix(DType::kF64, kTokens, num_experts, 1);
    const Matrix bias = random_matrix(DType::kF32, 1, num_experts, 2, 0.1);
    const Matrix dweight = random_matrix(DType::kF64, kTokens, policy.num_experts_per_tok, 3);
    const Matrix dscores = random_matrix(DType::kF64, kTokens, num_experts, 4);
    Routed r(DType::kF64, kTokens, num_experts, policy);
    Matrix dlogits(DType::kF64, kTokens, num_experts);
    kernels::router_forward(ex, r.choice(), logits, bias, policy);
    kernels::router_backward(ex, dlogits, dweight, dscores, r.choice(), policy);
    expect_gradient("dlogits", logits, dlogits, [&, n = num_experts, p = policy] {
      Routed moved(DType::kF64, kTokens, n, p);
      kernels::router_forward(ex, moved.choice(), logits, bias, p);
      return dot(moved.weight, dweight) + dot(moved.scores, dscores);
    });
  }
}

TEST(Router, WrongArguments) {
  ThreadPool pool(1);
  Exec ex(pool);
  Matrix logits(DType::kF32, 2, 12);
  const auto fails = [&](RouterPolicy policy) {
    Routed r(DType::kF32, 2, 12, policy);
    EXPECT_THROW(kernels::router_forward(ex, r.choice(), logits, ConstView{}, policy), Error);
  };
  fails({ScoringFunc::kSigmoid, TopkMethod::kNoauxTc, 5, 2, 2, true, 1});
  fails({ScoringFunc::kSigmoid, TopkMethod::kNoauxTc, 4, 5, 2, true, 1});
  fails({ScoringFunc::kSigmoid, TopkMethod::kNoauxTc, 4, 1, 4, true, 1});
  fails({ScoringFunc::kSigmoid, TopkMethod::kGreedy, 1, 1, 13, true, 1});
}

TEST(RouterFixture, AllCases) {
  if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
  std::ifstream text(shared_dir() / "fixtures/small/router.json");
  const boost::json::value cases = boost::json::parse(std::string(std::istreambuf_iterator<char>(text), {}));
  const SafetensorsFile file(shared_dir() / "fixtures/small/router.safetensors");
  ThreadPool pool(1);
  std::vector<Isa> all = isas();
  all.push_back(Isa::kReference);
  for (const auto& [name, c] : cases.as_object()) {
    const auto number = [&, &config = c](const char* key) { return config.at(key).to_number<int>(); };
    const std::string method(c.at("topk_method").as_string());
    const RouterPolicy policy{
        .scoring_func = c.at("scoring_func").as_string() == "sigmoid" ? ScoringFunc::kSigmoid : ScoringFunc::kSoftmax,
        .topk_method = method == "noaux_tc" ? TopkMethod::kNoauxTc
                       : method == "greedy" ? TopkMethod::kGreedy
                                            : TopkMethod::kGroupLimitedGreedy,
        .n_group = number("n_group"),
        .topk_group = number("topk_group"),
        .num_experts_per_tok = number("num_experts_per_tok"),
        .norm_topk_prob = c.at("norm_topk_prob").as_bool(),
        .routed_scaling_factor = c.at("routed_scaling_factor").to_number<float>()};
    const auto tensor = [&, n = std::string(name)](const char* part) {
      return file.tensors().at(n + "." + part).view();
    };
    const ConstView logits = tensor("logits"), want_weight = tensor("topk_weight"), want_index = tensor("topk_index");
    for (const Isa isa : all) {
      Exec ex(pool, isa);
      Routed r(DType::kF32, logits.rows, logits.cols, policy);
      kernels::router_forward(ex, r.choice(), logits, tensor("bias"), policy);
      for (index_t t = 0; t < logits.rows; ++t) {
        // The fixture may list the chosen experts in another order.
        for (index_t a = 0; a < policy.num_experts_per_tok; ++a) {
          const auto expert = static_cast<int>(want_index.as<std::int64_t>()(t, a));
          index_t at = 0;
          while (at < policy.num_experts_per_tok && r.choice().index_TA(t, at) != expert) ++at;
          ASSERT_LT(at, policy.num_experts_per_tok)
              << name << " on " << isa_name(isa) << ": token " << t << " misses expert " << expert;
          EXPECT_NEAR(r.weight(t, at), get(want_weight, t, a), 2e-6 * (1 + get(want_weight, t, a)))
              << name << " token " << t;
        }
      }
    }
  }
}

}  // namespace
}  // namespace hadal
