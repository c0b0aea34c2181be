#include "post/grpo.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/stopwatch.h"
#include "data/permutation.h"
#include "post/policy_batch.h"
#include "post/reference_policy.h"
#include "post/rl_metrics.h"
#include "train/report.h"
#include "train/stop_signal.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

std::size_t longest(const std::vector<std::vector<int>>& prompts) {
  std::size_t length = 0;
  for (const std::vector<int>& p : prompts) length = std::max(length, p.size());
  return length;
}

/// The state of one run; run_grpo is its only user.
class GrpoRun {
 public:
  GrpoRun(Exec& exec, const GrpoOptions& options, Model& model, const Tokenizer& tokenizer, const GrpoInputs& inputs);
  PostResult go();

 private:
  std::uint64_t seed() const { return static_cast<std::uint64_t>(o_.seed); }
  std::int64_t step() const { return trainer_.position().step; }
  bool diverges() const { return o_.loss.beta > 0; }
  std::vector<std::vector<double>> reference_log_probs(std::span<const PolicySample> samples);
  EngineOptions engine_options() const;
  RunFolderOptions folder_options() const;
  std::vector<PolicySample> samples_of(const Exploration& exploration);
  void set_advantages(std::vector<PolicySample>& samples, const Exploration& exploration);
  void update(const Exploration& exploration);
  void log_answers(const Exploration& exploration);
  void validate();
  void save();

  Exec& exec_;
  const GrpoOptions& o_;
  Model& model_;
  const Tokenizer& tokenizer_;
  const GrpoInputs& in_;
  std::unique_ptr<Lora> lora_;
  Trainer trainer_;
  RunFolder run_;
  Engine engine_;
  std::optional<ReferencePolicy> reference_;  // without lora_, which has its own
  std::optional<Critic> critic_;
  std::int64_t draws_ = 0, generated_ = 0;
  double rollout_gap_ = 0;  // largest difference between log-probabilities of engine and training, of this exploration
  PostResult result_;
};

GrpoRun::GrpoRun(Exec& exec, const GrpoOptions& options, Model& model, const Tokenizer& tokenizer,
                 const GrpoInputs& inputs)
    : exec_(exec),
      o_(options),
      model_(model),
      tokenizer_(tokenizer),
      in_(inputs),
      lora_(make_lora(exec, model, options.lora, seed())),
      trainer_(exec, model, options.trainer, {options.steps, options.steps * options.rollout.max_tokens}, lora_.get()),
      run_(exec, trainer_, folder_options(), [] {}),
      engine_(trainer_.context(), model, options.rollout.stop.empty() ? nullptr : &tokenizer, engine_options()) {
  if (diverges() && !lora_) reference_.emplace(exec_, model_);
  if (o_.advantage.estimator == "gae") critic_.emplace(model_.config().hidden_size, o_.critic);
  if (!run_.resumed()) return;
  const fs::path folder = run_.resumed()->path, state = folder / "grpo_state.json";
  const Json json = read_json_file(state);
  ObjectReader reader(json, state.string());
  draws_ = reader.get_integer("draws", 0, INT64_MAX);
  generated_ = reader.get_integer("generated_tokens", 0, INT64_MAX);
  reader.finish();
  if (reference_) reference_->load(folder / "reference.safetensors");
  if (critic_) critic_->load(folder);
}

EngineOptions GrpoRun::engine_options() const {
  const std::size_t context = std::max(longest(in_.train.prompts), longest(in_.validation.prompts)) +
                              static_cast<std::size_t>(o_.rollout.max_tokens);
  return o_.rollout_cache == "training" ? on_policy_engine(model_, o_.max_batch, static_cast<std::int64_t>(context))
                                        : rollout_engine(o_.max_batch, static_cast<std::int64_t>(context));
}

RunFolderOptions GrpoRun::folder_options() const {
  return {.folder = o_.out,
          .resume = o_.resume,
          .manifest = {.verb = "grpo", .options = in_.options, .seed = o_.seed, .data = in_.data},
          .checkpoints = o_.checkpoints,
          .checkpoint_dtype = o_.checkpoint_dtype,
          .tokenizer = &tokenizer_};
}

std::vector<std::vector<double>> GrpoRun::reference_log_probs(std::span<const PolicySample> samples) {
  Context& ctx = trainer_.context();
  if (!lora_) return sample_log_probs(ctx, reference_->model(), samples, o_.micro_tokens);
  std::vector<std::vector<double>> result;
  lora_->without(exec_, [&] { result = sample_log_probs(ctx, model_, samples, o_.micro_tokens); });
  return result;
}

/// The answers of all groups, with what the loss needs to know of each token.
std::vector<PolicySample> GrpoRun::samples_of(const Exploration& exploration) {
  std::vector<PolicySample> samples;
  for (const Group& g : exploration.groups)
    for (const GradedAnswer& a : g.answers) {
      PolicySample& s = samples.emplace_back();
      s.prompt = in_.train.prompts[static_cast<std::size_t>(g.question)];
      s.tokens = a.rollout.tokens;
      s.old_T.assign(a.rollout.logprobs.begin(), a.rollout.logprobs.end());
      s.masked = o_.exploration.mask_truncated && a.rollout.truncated;
    }
  Context& ctx = trainer_.context();
  ctx.scratch.reset();
  rollout_gap_ = 0;
  if (o_.old_log_probs == "recompute") {
    std::vector<std::vector<double>> again = sample_log_probs(ctx, model_, samples, o_.micro_tokens);
    for (std::size_t i = 0; i < samples.size(); ++i) {
      for (std::size_t k = 0; k < again[i].size(); ++k)
        rollout_gap_ = std::max(rollout_gap_, std::abs(again[i][k] - samples[i].old_T[k]));
      samples[i].old_T = std::move(again[i]);
    }
  }
  if (diverges()) {
    std::vector<std::vector<double>> ref = reference_log_probs(samples);
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i].ref_T = std::move(ref[i]);
  }
  if (critic_) {
    std::vector<std::vector<double>> values = sample_values(ctx, model_, *critic_, samples);
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i].value_T = std::move(values[i]);
  }
  set_advantages(samples, exploration);
  return samples;
}

void GrpoRun::set_advantages(std::vector<PolicySample>& samples, const Exploration& exploration) {
  std::vector<double> rewards;
  for (const Group& g : exploration.groups)
    for (const GradedAnswer& a : g.answers) rewards.push_back(a.grade.reward);
  // The divergence as a part of the reward: of each token with a critic, else of the whole answer.
  const bool kl_in_reward = diverges() && o_.loss.kl_in == "reward";
  std::vector<std::vector<double>> token_rewards(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    PolicySample& s = samples[i];
    token_rewards[i].resize(s.tokens.size());
    if (kl_in_reward)
      for (std::size_t k = 0; k < s.tokens.size(); ++k) {
        const double cost = o_.loss.beta * kl_estimate(o_.loss.kl, s.old_T[k], s.ref_T[k]);
        token_rewards[i][k] -= cost;
        rewards[i] -= critic_ ? 0 : cost;
      }
    token_rewards[i].back() += rewards[i];
  }
  if (kl_in_reward)
    for (PolicySample& s : samples) s.ref_T.clear();
  if (!critic_) {
    const std::vector<double> advantages = group_advantages(rewards, o_.exploration.group_size, o_.advantage);
    for (std::size_t i = 0; i < samples.size(); ++i)
      samples[i].advantage_T.assign(samples[i].tokens.size(), advantages[i]);
    return;
  }
  double sum = 0, squares = 0, count = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    TokenAdvantages a = gae(token_rewards[i], samples[i].value_T, o_.advantage);
    for (const double x : a.advantage_T) sum += x, squares += x * x, count += 1;
    samples[i].advantage_T = std::move(a.advantage_T), samples[i].return_T = std::move(a.return_T);
  }
  // Over all tokens of the exploration: mean 0, deviation 1, as PPO has it.
  const double mean = sum / count, deviation = std::sqrt(std::max(0.0, squares / count - mean * mean));
  for (PolicySample& s : samples)
    for (double& x : s.advantage_T) x = (x - mean) / (deviation + o_.advantage.eps);
}

/// The optimizer steps of one exploration, and a line of metrics for each.
void GrpoRun::update(const Exploration& exploration) {
  const Stopwatch preparing;
  const std::vector<PolicySample> samples = samples_of(exploration);
  JsonObject shared = exploration_metrics(exploration);
  shared["generated_tokens"] = generated_;
  shared["prepare_seconds"] = preparing.seconds();
  const PolicyHeadLoss::Options options{
      .policy = o_.loss, .entropy_weight = o_.entropy_weight, .critic = critic_ ? &*critic_ : nullptr};
  const auto count = static_cast<std::int64_t>(samples.size()), size = count / o_.minibatches;
  bool first = true;
  for (int epoch = 0; epoch < o_.inner_epochs; ++epoch) {
    const Permutation order(static_cast<std::uint64_t>(count), seed(), static_cast<std::uint64_t>(step()));
    for (int m = 0; m < o_.minibatches && !trainer_.done(); ++m) {
      const Stopwatch updating;
      std::vector<int> minibatch;
      for (std::int64_t i = m * size; i < (m + 1) * size; ++i)
        minibatch.push_back(static_cast<int>(order(static_cast<std::uint64_t>(i))));
      const std::vector<PolicyMicroBatch> micros =
          make_micro_batches(samples, minibatch, o_.loss.aggregation, o_.rollout.max_tokens, o_.micro_tokens);
      std::vector<Batch> batches;
      for (const PolicyMicroBatch& micro : micros) batches.push_back(micro.batch);
      PolicyHeadLoss::Report told;
      const StepReport report = trainer_.step(
          batches, size, [&](std::size_t i) { return std::make_unique<PolicyHeadLoss>(micros[i], options, told); });
      if (critic_) critic_->step(exec_, step(), report.verdict == Verdict::kOk);
      if (first && o_.old_log_probs == "rollout") rollout_gap_ = told.policy.max_log_ratio;
      first = false;
      JsonObject extra = shared;
      const auto tokens = static_cast<double>(std::max<index_t>(told.policy.tokens, 1));
      extra["policy_loss"] = told.policy.policy_loss;
      extra["kl"] = told.policy.kl / tokens, extra["entropy"] = told.entropy / tokens;
      extra["ratio"] = told.policy.ratio / tokens, extra["max_log_ratio"] = told.policy.max_log_ratio;
      extra["clip_low"] = told.policy.clipped_low / tokens, extra["clip_high"] = told.policy.clipped_high / tokens;
      extra["rollout_gap"] = rollout_gap_;
      if (critic_) extra["value_loss"] = told.value_loss, extra["value_clipped"] = told.value_clipped / tokens;
      extra["update_seconds"] = updating.seconds();
      result_.metrics = to_json(report.metrics);
      for (const auto& [key, value] : extra) result_.metrics[key] = value;
      const std::optional<Checkpoint> back = run_.log_step(report, extra);
      if (critic_ && back) critic_->load(back->path);
    }
  }
  engine_.weights_changed();
}

void GrpoRun::log_answers(const Exploration& exploration) {
  if (!o_.log_samples) return;
  JsonLog& log = run_.log("samples");
  const auto write = [&](const Group& g, bool trained) {
    for (const GradedAnswer& a : g.answers) {
      JsonObject parts;
      for (const auto& [name, value] : a.grade.parts) parts[name] = value;
      log.write({{"step", step() + 1},
                 {"id", in_.id_of(false, g.question)},
                 {"class", in_.class_of(false, g.question)},
                 {"text", a.text},
                 {"reward", a.grade.reward},
                 {"parts", parts},
                 {"correct", a.grade.correct},
                 {"tokens", std::ssize(a.rollout.tokens)},
                 {"truncated", a.rollout.truncated},
                 {"trained", trained}});
    }
  };
  for (const Group& g : exploration.groups) write(g, true);
  for (const Group& g : exploration.dropped) write(g, false);
}

/// Held-out questions: the greedy answer, and pass@1 and pass@k of sampled ones.
void GrpoRun::validate() {
  const std::size_t count = in_.validation.prompts.size();
  if (count == 0) return;
  const auto right_of = [&](const RolloutOptions& rollout, int n) {
    const std::vector<Rollout> answers = sample_answers(engine_, in_.validation.prompts, n, rollout, seed(), 0);
    std::vector<int> right(count);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const std::size_t q = i / static_cast<std::size_t>(n);
      const std::string text = tokenizer_.decode(answers[i].tokens, /*skip_special=*/true);
      right[q] +=
          in_.validation.grade(static_cast<std::int64_t>(q), text, std::ssize(answers[i].tokens)).correct ? 1 : 0;
    }
    return right;
  };
  RolloutOptions greedy = o_.rollout;
  greedy.temperature = 0;
  const std::vector<int> right = right_of(greedy, 1);
  std::map<std::string, std::pair<int, int>> by_class;  // right, all
  int sum = 0;
  for (std::size_t q = 0; q < count; ++q) {
    auto& [good, all] = by_class[in_.class_of(true, static_cast<std::int64_t>(q))];
    good += right[q], all += 1, sum += right[q];
  }
  result_.validation = {{"accuracy", static_cast<double>(sum) / static_cast<double>(count)}};
  if (const int k = o_.validation_samples; k > 0) {
    double pass_1 = 0, pass_k = 0;
    for (const int c : right_of(o_.rollout, k)) pass_1 += pass_at_k(k, c, 1), pass_k += pass_at_k(k, c, k);
    result_.validation["pass_at_1"] = pass_1 / static_cast<double>(count);
    result_.validation[str_cat("pass_at_", k)] = pass_k / static_cast<double>(count);
  }
  if (by_class.size() > 1)
    for (const auto& [name, counts] : by_class)
      result_.validation["accuracy_" + name] = static_cast<double>(counts.first) / counts.second;
  JsonObject line{{"step", step()}};
  for (const auto& [key, value] : result_.validation) line[key] = value;
  run_.log("eval").write(line);
  log_info("step ", step(), ": held-out ", json_line(result_.validation));
}

void GrpoRun::save() {
  result_.model = run_.save([&](const fs::path& folder) {
    write_file_atomically(folder / "grpo_state.json",
                          json_pretty(JsonObject{{"draws", draws_}, {"generated_tokens", generated_}}));
    if (reference_) write_views(folder / "reference.safetensors", reference_->state());
    if (critic_) critic_->save(folder);
    if (lora_) lora_->save(folder / "adapter", o_.model);
  });
}

PostResult GrpoRun::go() {
  const StopSignal stop;
  Progress progress("grpo", o_.steps, "step", step());
  if (step() == 0) validate();
  while (!trainer_.done() && !StopSignal::requested()) {
    const std::int64_t before = step();
    Exploration exploration = explore(exec_.pool, engine_, tokenizer_, in_.train, o_.exploration, o_.rollout, seed(),
                                      draws_, [] { return StopSignal::requested(); });
    if (exploration.groups.empty()) break;  // stopped: the resumed run samples it again
    draws_ = exploration.draws, generated_ += exploration.tokens;
    log_answers(exploration);
    update(exploration);
    const auto passed = [&](std::int64_t every) { return every > 0 && step() / every > before / every; };
    if (reference_ && passed(o_.reference_every)) reference_->refresh(model_);
    const auto of = [&](const char* key) { return json_as<double>(result_.metrics.at(key), key); };
    progress.update(step(), fmt::format("reward {:.3f}  accuracy {:.3f}  length {:.1f}  entropy {:.3f}", of("reward"),
                                        of("accuracy"), of("length"), of("entropy")));
    if (trainer_.done()) break;
    if (passed(o_.validation_every)) validate();
    if (passed(o_.checkpoints.every)) save();
  }
  progress.finish();
  result_.finished = trainer_.done();
  if (result_.finished)
    validate();
  else
    log_info("stopped at step ", step(), "; --resume continues");
  save();
  write_report(o_.out);
  return result_;
}

}  // namespace

TrainerOptions grpo_trainer_options() {
  TrainerOptions o = post_trainer_options();
  o.lr = {.kind = "constant", .lr = 1e-6, .warmup_steps = 0, .progress = "steps"};
  o.guard.loss_threshold = 0;
  return o;
}

PostResult run_grpo(Exec& exec, const GrpoOptions& o, Model& model, const Tokenizer& tokenizer,
                    const GrpoInputs& inputs) {
  const std::int64_t answers = std::int64_t{o.exploration.questions} * o.exploration.group_size;
  HADAL_CHECK(o.exploration.questions > 0 && o.exploration.group_size > 1 && o.minibatches > 0 && o.inner_epochs > 0 &&
                  answers % o.minibatches == 0,
              "questions ", o.exploration.questions, " x group_size ", o.exploration.group_size, ", ", o.minibatches,
              " minibatches, ", o.inner_epochs,
              " inner_epochs: want at least 1 question, 2 answers to each, 1 of the "
              "others, and minibatches of equal size");
  HADAL_CHECK(o.steps > 0, "steps: got ", o.steps, ", want at least 1");
  HADAL_CHECK(o.reference_every == 0 || (o.lora.rank == 0 && o.lora.adapter.empty()), "reference_every: got ",
              o.reference_every, "; with lora the reference stays the model without adapters");
  HADAL_CHECK(!inputs.train.prompts.empty(), "there are no questions");
  return GrpoRun(exec, o, model, tokenizer, inputs).go();
}

}  // namespace hadal
