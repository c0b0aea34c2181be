// Rollouts of a tiny model with random weights: one answer at a time against whole groups at once.
//   rollout_bench [config.json] [prompts] [group] [prompt tokens] [answer tokens] [f32|bf16]
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>

#include "base/random.h"
#include "post/rollout.h"

using namespace hadal;

namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

ModelConfig dense_of_a_third_of_a_million() {
  ModelConfig c;
  c.model_type = ModelType::kQwen3;
  c.vocab_size = 1024, c.hidden_size = 96, c.intermediate_size = 256, c.num_hidden_layers = 3;
  c.num_attention_heads = c.num_key_value_heads = 4, c.head_dim = 24, c.max_position_embeddings = 128;
  c.tie_word_embeddings = true;
  return c;
}

}  // namespace

int main(int argc, char** argv) {
  const auto argument = [&](int i, const char* fallback) { return std::string(argc > i ? argv[i] : fallback); };
  const auto number = [&](int i, const char* fallback) { return std::atoi(argument(i, fallback).c_str()); };
  ModelConfig config = argument(1, "-") == "-" ? dense_of_a_third_of_a_million() : load_model_config(argument(1, "-"));
  config.eos_token_ids.clear();  // equal lengths
  const int prompts = number(2, "32"), group = number(3, "16"), prompt_tokens = number(4, "12"),
            answer_tokens = number(5, "10");
  ThreadPool pool;
  Exec exec(pool);
  Arena saved, scratch;
  Context ctx{exec, saved, scratch, Precision::parse(argument(6, "f32")), {}};
  Model model(config, ctx.precision, /*train=*/true);
  model.init(1);
  model.refresh(exec);
  std::vector<std::vector<int>> ids(static_cast<std::size_t>(prompts));
  for (std::size_t i = 0; i < ids.size(); ++i)
    for (int k = 0; k < prompt_tokens; ++k)
      ids[i].push_back(static_cast<int>(random_below(i, Stream::kTest, static_cast<std::uint64_t>(k),
                                                     static_cast<std::uint64_t>(config.vocab_size))));
  for (const int max_batch : {1, group, 4 * group, prompts * group}) {
    Engine engine(ctx, model, nullptr, rollout_engine(max_batch, prompt_tokens + answer_tokens));
    double best = 1e9, cpu = 0;
    for (int repeat = 0; repeat < (max_batch == 1 ? 2 : 7); ++repeat) {
      engine.weights_changed();
      const double start = seconds(), cpu_start = cpu_seconds();
      if (max_batch == 1) {
        for (int g = 0; g < group; ++g)
          sample_answers(engine, ids, 1, {.max_tokens = answer_tokens}, static_cast<std::uint64_t>(g), 0);
      } else {
        sample_answers(engine, ids, group, {.max_tokens = answer_tokens}, 1, 0);
      }
      if (seconds() - start < best) best = seconds() - start, cpu = cpu_seconds() - cpu_start;
    }
    fmt::print("max_batch {:4}: {:9.0f} tokens/s, {:.3f} s, {:.3f} core-s\n", max_batch,
               prompts * group * answer_tokens / best, best, cpu);
  }
}
