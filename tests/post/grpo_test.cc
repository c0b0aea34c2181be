#include "post/grpo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <set>

#include "post/post_support.h"
#include "post/rl_metrics.h"
#include "train/stop_signal.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

/// Ten questions; the reward is the share of the answer's tokens that are ASCII: half of them by chance.
Questions ascii_questions() {
  Questions q;
  for (int i = 0; i < 10; ++i) q.prompts.push_back({kByteBos, 'q', '0' + i});
  q.grade = [](std::int64_t, const std::string& answer, index_t num_tokens) {
    const auto ascii = std::ranges::count_if(answer, [](char c) { return static_cast<unsigned char>(c) < 128; });
    const double share = static_cast<double>(ascii) / static_cast<double>(num_tokens);
    return Grade{.reward = share, .correct = share > 0.8, .parts = {{"ascii", share}}};
  };
  return q;
}

GrpoOptions tiny_options(const fs::path& out) {
  GrpoOptions o;
  o.out = out.string();
  o.steps = 6;
  o.exploration.questions = 4, o.exploration.group_size = 8;
  o.rollout.max_tokens = 6;
  o.minibatches = 2, o.max_batch = 16, o.micro_tokens = 100;
  o.trainer.precision = "f32", o.trainer.lr.lr = 3e-3;
  o.checkpoints = {.every = 2, .keep_last = 0};
  o.checkpoint_dtype = "f32";
  return o;
}

struct Ran {
  PostResult result;
  std::vector<JsonObject> metrics, evals, samples;
  double metric(std::size_t line, const char* key) const { return json_as<double>(metrics.at(line).at(key), key); }
};

using OnGrade = std::function<void(bool validation, Grade& grade)>;

Ran run(
    const fs::path& model_folder, const GrpoOptions& o, int threads = 2,
    const OnGrade& on_grade = [](bool, Grade&) {}) {
  ThreadPool pool(threads);
  Exec exec(pool);
  Model model = load_model(exec, model_folder, Precision::parse(o.trainer.precision), /*train=*/true);
  const Tokenizer tokenizer(byte_tokenizer_files());
  const auto name = [](bool, std::int64_t i) { return str_cat("q", i); };
  const auto none = [](bool, std::int64_t) { return std::string(); };
  const auto questions = [&](bool validation) {
    Questions q = ascii_questions();
    q.grade = [=, grade = q.grade](std::int64_t question, const std::string& answer, index_t num_tokens) {
      Grade result = grade(question, answer, num_tokens);
      on_grade(validation, result);
      return result;
    };
    return q;
  };
  GrpoInputs inputs{questions(false), questions(true), name, none, {}, {}};
  inputs.data["hash"] = "1";
  Ran ran{.result = run_grpo(exec, o, model, tokenizer, inputs)};
  ran.metrics = read_json_log(fs::path(o.out) / "metrics.jsonl");
  ran.evals = read_json_log(fs::path(o.out) / "eval.jsonl");
  ran.samples = read_json_log(fs::path(o.out) / "samples.jsonl");
  return ran;
}

TEST(Grpo, RewardRisesAndEverythingIsLogged) {
  const TempDir dir;
  write_tiny_model(dir / "model");
  GrpoOptions o = tiny_options(dir / "run");
  o.steps = 40, o.checkpoints.every = 0, o.validation_samples = 4;
  const Ran ran = run(dir / "model", o);
  ASSERT_EQ(ran.metrics.size(), 40U);
  EXPECT_GT(ran.metric(39, "reward"), ran.metric(0, "reward") + 0.2);
  EXPECT_LT(ran.metric(39, "entropy"), ran.metric(0, "entropy"));
  EXPECT_LT(ran.metric(0, "rollout_gap"), 1e-4);
  for (const char* key : {"reward_ascii", "accuracy", "pass_at_k", "length", "kl", "clip_low", "clip_high", "zero_std",
                          "truncated", "reflective_words", "generated_tokens", "grad_norm", "lr"})
    EXPECT_TRUE(ran.metrics[0].contains(key)) << key;
  EXPECT_EQ(ran.samples.size(), 20U * 32U);
  EXPECT_TRUE(ran.samples[0].at("parts").as_object().contains("ascii"));
  ASSERT_EQ(ran.evals.size(), 2U);
  EXPECT_TRUE(ran.evals[1].contains("pass_at_4"));
}

TEST(Grpo, ResumesBitForBit) {
  for (const char* estimator : {"grpo", "gae"}) {
    const TempDir dir;
    write_tiny_v3_model(dir / "model");
    GrpoOptions o = tiny_options(dir / "run");
    o.advantage.estimator = estimator;
    o.loss.beta = 0.05, o.reference_every = 4;
    o.exploration.drop_equal = true;
    const Ran whole = run(dir / "model", o);
    const std::string want = outcome(dir / "run");
    // As if the process had been killed after step 4.
    fs::remove_all(dir / "run" / "checkpoints" / "step-6");
    o.resume = true;
    const Ran again = run(dir / "model", o, /*threads=*/1);
    EXPECT_TRUE(outcome(dir / "run") == want) << estimator;
    EXPECT_EQ(again.samples, whole.samples);
    EXPECT_EQ(again.metrics.size(), 6U);
  }
}

TEST(Grpo, ThreadsAndKillsChangeNoBit) {
  for (const int rank : {0, 4}) {
    const TempDir dir;
    write_tiny_v3_model(dir / "model");
    const auto options = [&](const std::string& name) {
      GrpoOptions o = tiny_options(dir / name);
      o.loss.beta = 0.05, o.lora.rank = rank, o.checkpoints.every = 1, o.checkpoints.keep_last = 1;
      return o;
    };
    const Ran whole = run(dir / "model", options("whole"), 2);
    const std::string want = outcome(dir / "whole");
    run(dir / "model", options("one"), 1);
    EXPECT_TRUE(outcome(dir / "one") == want) << "rank " << rank;
    for (const int milliseconds : {50, 150}) {
      const std::string name = str_cat("killed-", milliseconds);
      GrpoOptions o = options(name);
      run_and_kill([&] { run(dir / "model", o, 2); }, milliseconds);
      o.resume = true;
      const Ran again = run(dir / "model", o, 1);
      EXPECT_TRUE(outcome(dir / name) == want) << name << " rank " << rank;
      EXPECT_EQ(again.samples, whole.samples);
      EXPECT_EQ(again.evals, whole.evals);
    }
  }
}

std::map<std::string, std::vector<float>> weights_of(Model& model) {
  std::map<std::string, std::vector<float>> all;
  model.visit_params([&](const Param& p) {
    const auto values = p.value.flat<float>();
    all[p.name].assign(values.begin(), values.end());
  });
  return all;
}

TEST(Grpo, EqualRewardsMoveNothing) {
  const TempDir dir;
  write_tiny_model(dir / "model");
  for (const double beta : {0.0, 0.1}) {
    GrpoOptions o = tiny_options(dir / str_cat("run", beta));
    o.loss.beta = beta, o.minibatches = 1, o.steps = 3;
    const Ran ran = run(dir / "model", o, 2, [](bool, Grade& grade) { grade.reward = 0.3; });
    // The divergence pulls towards the reference; there is nothing to pull while the policy has not left it.
    for (const JsonObject& line : ran.metrics) EXPECT_EQ(json_as<double>(line.at("grad_norm"), "grad_norm"), 0) << beta;
    ThreadPool pool(1);
    Exec exec(pool);
    const Precision f32 = Precision::parse("f32");
    Model before = load_model(exec, dir / "model", f32, false), after = load_model(exec, ran.result.model, f32, false);
    EXPECT_EQ(weights_of(after), weights_of(before));
  }
}

// Latent attention over keys and values of every head has the bits of the training pass, in bf16 too: what is left is
// the rounding of a log-probability to f32. The latent cache differs by the rounding of the activations.
TEST(Grpo, RolloutsHaveTheLogProbabilitiesOfTraining) {
  for (const char* precision : {"f32", "bf16"}) {
    const TempDir dir;
    write_tiny_v3_model(dir / "model");
    GrpoOptions o = tiny_options(dir / "run");
    o.steps = 4, o.checkpoints.every = 0, o.trainer.precision = precision;
    const auto largest_gap = [&](const char* cache) {
      o.out = (dir / cache).string(), o.rollout_cache = cache;
      const Ran ran = run(dir / "model", o);
      double most = 0;
      for (std::size_t i = 0; i < ran.metrics.size(); ++i) most = std::max(most, ran.metric(i, "rollout_gap"));
      return most;
    };
    EXPECT_LT(largest_gap("training"), 1e-6) << precision;
    EXPECT_LT(largest_gap("latent"), std::string(precision) == "f32" ? 1e-4 : 0.5) << precision;
  }
}

TEST(Grpo, AdaptersTrainAlone) {
  const TempDir dir;
  write_tiny_v3_model(dir / "model");
  GrpoOptions o = tiny_options(dir / "run");
  o.steps = 60, o.checkpoints.every = 0, o.loss.beta = 0.001, o.trainer.lr.lr = 2e-2;
  o.trainer.balance.bias_speed = {.first = 0, .then = 0, .at = 1};
  o.lora = {.rank = 4, .alpha = 8, .targets = {"o_proj", "down_proj"}};
  const Ran ran = run(dir / "model", o);
  const auto mean_reward = [&](std::size_t first) {
    double sum = 0;
    for (std::size_t i = first; i < first + 12; ++i) sum += ran.metric(i, "reward") / 12;
    return sum;
  };
  EXPECT_GT(mean_reward(48), mean_reward(0) + 0.1);  // the head is frozen, so there is not much to win
  EXPECT_NEAR(ran.metric(0, "kl"), 0, 1e-12);        // the reference is the model without adapters
  EXPECT_GT(ran.metric(59, "kl"), 1e-2);
  // The engine samples from the merged weights.
  for (std::size_t i = 0; i < ran.metrics.size(); ++i) EXPECT_LT(ran.metric(i, "rollout_gap"), 1e-4);

  ThreadPool pool(2);
  Exec exec(pool);
  const Precision f32 = Precision::parse("f32");
  Model base = load_model(exec, dir / "model", f32, true), merged = load_model(exec, ran.result.model, f32, false);
  const auto before = weights_of(base), after = weights_of(merged);
  for (const auto& [name, values] : before) {
    const bool target = !name.starts_with("model.layers.2.") &&  // MTP, which takes no part
                        (name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight"));
    EXPECT_EQ(values != after.at(name), target) << name;
  }
  make_lora(exec, base, {.adapter = (ran.result.model / "adapter").string()}, /*seed=*/1);  // merges
  EXPECT_EQ(weights_of(base), after);
  EXPECT_FALSE(fs::exists(ran.result.model / "reference.safetensors"));
  o.out = (dir / "other").string(), o.reference_every = 4;
  EXPECT_THROW(run(dir / "model", o), Error);
}

TEST(Grpo, ResumedBeforeItsFirstStepItHasOneEvaluationOfIt) {
  const TempDir dir;
  write_tiny_model(dir / "model");
  GrpoOptions o = tiny_options(dir / "run");
  o.steps = 2;
  const Ran stopped = run(dir / "model", o, 2, [](bool validation, Grade&) {
    if (validation && !StopSignal::requested()) raise(SIGTERM);  // a second one would end the process
  });
  EXPECT_FALSE(stopped.result.finished);
  EXPECT_TRUE(stopped.metrics.empty());
  ASSERT_EQ(stopped.evals.size(), 1U);
  o.resume = true;
  for (int again = 0; again < 2; ++again) {  // and once more where nothing is left to do
    const Ran ran = run(dir / "model", o);
    EXPECT_TRUE(ran.result.finished);
    ASSERT_EQ(ran.evals.size(), 2U);
    EXPECT_EQ(ran.evals[0], stopped.evals[0]);
    EXPECT_EQ(ran.evals[1].at("step").as_int64(), 2);
    EXPECT_EQ(ran.result.validation.at("accuracy"), ran.evals[1].at("accuracy"));
  }
}

TEST(Grpo, StepsThatStandOutAreLoggedAndUndone) {
  const TempDir dir;
  write_tiny_model(dir / "model");
  GrpoOptions o = tiny_options(dir / "run");
  o.steps = 20;
  o.advantage.estimator = "gae";
  o.trainer.guard = {.window = 8, .min_history = 4, .loss_threshold = 0.5, .max_skips = 1, .max_rollbacks = 1000};
  EXPECT_TRUE(run(dir / "model", o).result.finished);
  std::set<std::string> verdicts;
  for (const JsonObject& line : read_json_log(dir / "run" / "guard.jsonl")) {
    verdicts.emplace(line.at("verdict").as_string());
    EXPECT_EQ(line.at("first_sequence").as_int64(), 16 * (line.at("step").as_int64() - 1));
  }
  EXPECT_EQ(verdicts, (std::set<std::string>{"roll back", "skip"}));
}

TEST(Grpo, DivergenceIsZeroWhereTheReferenceWasTaken) {
  const TempDir dir;
  write_tiny_model(dir / "model");
  GrpoOptions o = tiny_options(dir / "run");
  o.steps = 2, o.loss.beta = 0.1;
  const Ran ran = run(dir / "model", o);
  EXPECT_NEAR(ran.metric(0, "kl"), 0, 1e-12);
  EXPECT_GT(ran.metric(1, "kl"), 1e-9);
}

TEST(Grpo, EveryEstimatorAndRatioRuns) {
  const TempDir dir;
  write_tiny_model(dir / "model");
  int n = 0;
  for (const char* estimator : {"grpo", "dr_grpo", "rloo", "reinforce", "gae"}) {
    GrpoOptions o = tiny_options(dir / str_cat("run", n++));
    o.steps = 2, o.advantage.estimator = estimator;
    o.loss.ratio = n % 2 == 0 ? "token" : "sequence", o.loss.kl_in = "reward", o.loss.beta = 0.01, o.loss.kl = "k1";
    o.old_log_probs = "recompute", o.inner_epochs = 2, o.exploration.mask_truncated = true;
    const Ran ran = run(dir / "model", o);
    EXPECT_TRUE(ran.result.finished) << estimator;
    EXPECT_EQ(ran.metrics.size(), 2U);
  }
}

TEST(Grpo, ImpossibleSizesAreRefused) {
  const TempDir dir;
  write_tiny_model(dir / "model");
  GrpoOptions o = tiny_options(dir / "run");
  o.minibatches = 3;
  EXPECT_THROW(run(dir / "model", o), Error);
  o.minibatches = 1, o.exploration.group_size = 1;
  EXPECT_THROW(run(dir / "model", o), Error);
}

TEST(Exploration, GroupsWithoutSignalGiveWay) {
  const TempDir dir;
  write_tiny_model(dir / "model");
  ThreadPool pool(2);
  Exec exec(pool);
  Arena saved, scratch;
  Context ctx{exec, saved, scratch, Precision::parse("f32"), {}};
  Model model = load_model(exec, dir / "model", ctx.precision, true);
  const Tokenizer tokenizer(byte_tokenizer_files());
  Engine engine(ctx, model, nullptr, rollout_engine(16, 16));
  Questions q = ascii_questions();
  // Odd questions have no signal.
  q.grade = [](std::int64_t question, const std::string& answer, index_t) {
    return Grade{.reward = question % 2 == 1 ? 1.0 : static_cast<double>(answer.size() % 7) + answer.size() * 1e-3};
  };
  ExplorationOptions o{.questions = 4, .group_size = 6, .drop_equal = true, .max_refills = 8};
  const auto ask = [&](std::int64_t draws) {
    return explore(pool, engine, tokenizer, q, o, {.max_tokens = 5, .temperature = 2}, 5, draws);
  };
  const Exploration e = ask(0);
  ASSERT_EQ(e.groups.size(), 4U);
  for (const Group& g : e.groups) EXPECT_EQ(g.question % 2, 0);
  for (const Group& g : e.dropped) EXPECT_FALSE(g.has_signal());
  EXPECT_EQ(e.draws, static_cast<std::int64_t>(e.groups.size() + e.dropped.size()));
  // Nothing has signal: the step is full all the same, and the refills have an end.
  q.grade = [](std::int64_t, const std::string&, index_t) { return Grade{.reward = 0}; };
  o.max_refills = 2;
  const Exploration flat = ask(e.draws);
  EXPECT_EQ(flat.groups.size(), 4U);
  EXPECT_EQ(flat.refills, 2);
  EXPECT_EQ(flat.dropped.size(), 8U);
}

TEST(RlMetrics, PassAtK) {
  EXPECT_NEAR(pass_at_k(4, 1, 1), 0.25, 1e-15);
  EXPECT_NEAR(pass_at_k(4, 2, 2), 1 - 1.0 / 6, 1e-15);
  EXPECT_EQ(pass_at_k(4, 0, 4), 0);
  EXPECT_EQ(pass_at_k(4, 1, 4), 1);
  EXPECT_EQ(pass_at_k(8, 6, 3), 1);
  EXPECT_THROW(pass_at_k(2, 3, 1), Error);
  EXPECT_EQ(count_reflective_words("Wait, that is wrong. However: checked? Check! butter"), 4);
}

}  // namespace
}  // namespace hadal
