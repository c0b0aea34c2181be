// The goldens of every family through the engine: prompts in pieces, then decoding.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "formats/safetensors.h"
#include "infer/engine.h"
#include "nn/weights.h"
#include "support/shared.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

std::vector<int> ids_of(const StoredTensor& t) {
  const auto* id = reinterpret_cast<const std::int64_t*>(t.data);
  return {id, id + t.count()};
}

/// ln softmax of row `row` at `id`.
double log_softmax(const StoredTensor& logits, index_t row, int id) {
  const index_t width = logits.shape[1];
  const float* x = reinterpret_cast<const float*>(logits.data) + row * width;
  double sum = 0;
  for (index_t v = 0; v < width; ++v) sum += std::exp(static_cast<double>(x[v]));
  return x[id] - std::log(sum);
}

struct Answer {
  std::vector<int> tokens;
  std::vector<float> prompt, logprobs;
};

Answer answer(Context& ctx, Model& model, const std::vector<int>& prompt, int max_tokens, int chunk) {
  Engine engine(ctx, model, nullptr, {.max_batch = 1, .prefill_chunk = chunk});
  Answer a;
  Request r;
  r.prompt = prompt;
  r.sampling.temperature = 0;
  r.stop.max_tokens = max_tokens, r.stop.ignore_eos = true;
  r.logprobs = 0, r.prompt_logprobs = true;
  r.sink = [&](const TokenEvent& e) {
    ASSERT_EQ(e.error, "");
    if (e.token < 0) return;
    (e.choice < 0 ? a.prompt : a.logprobs).push_back(e.logprob.logprob);
    if (e.choice >= 0) a.tokens.push_back(e.token);
  };
  engine.submit(r);
  while (engine.step()) {
  }
  return a;
}

void check(const fs::path& folder, std::string_view weights, const std::string& logits_name) {
  const ModelConfig config = load_model_config(folder);
  const SafetensorsFile golden(folder / "golden.safetensors");
  const std::vector<int> prompt = ids_of(golden.tensors().at("input_ids"));
  const StoredTensor& logits = golden.tensors().at(logits_name);
  // Quantised activations, here also below the CPU's best: see nn/golden_test.cc.
  const double tolerance = weights == "fp8" && chosen_isa() != best_isa() ? 5e-3 : 2e-4;
  for (const bool packed : {false, true}) {
    ThreadPool pool(2);
    Exec exec(pool);
    Arena saved, scratch;
    Context ctx{exec, saved, scratch, Precision::for_inference(weights, config), {}};
    Model model(config, ctx.precision, false);
    load_weights(model, exec, folder);
    if (packed) model.pack(exec);
    for (const int chunk : {1, 7, 16, 1024}) {
      SCOPED_TRACE(str_cat(folder.filename().string(), " ", logits_name, " chunk ", chunk, packed ? " packed" : ""));
      const bool greedy = logits_name == "logits";
      const Answer got = answer(ctx, model, prompt, greedy ? 16 : 1, chunk);
      ASSERT_EQ(got.prompt.size() + 1, prompt.size());
      for (std::size_t t = 0; t < got.prompt.size(); ++t)
        EXPECT_NEAR(got.prompt[t], log_softmax(logits, static_cast<index_t>(t), prompt[t + 1]), tolerance) << t;
      if (!greedy) continue;
      const std::vector<int> want = ids_of(golden.tensors().at("generated_ids"));
      EXPECT_EQ(got.tokens, want);
      for (std::size_t t = 0; t < want.size(); ++t)
        EXPECT_NEAR(got.logprobs[t],
                    log_softmax(golden.tensors().at("generated_logits"), static_cast<index_t>(t), want[t]), tolerance);
    }
  }
}

TEST(EngineGolden, EveryFamilyInPieces) {
  const fs::path shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "shared fixtures are not here";
  int fixtures = 0;
  for (const auto& entry : fs::directory_iterator(shared / "fixtures")) {
    if (!fs::exists(entry.path() / "golden.safetensors")) continue;
    ++fixtures;
    check(entry.path(), "f32", "logits");
    if (SafetensorsFile(entry.path() / "golden.safetensors").tensors().contains("w8a8.logits"))
      check(entry.path(), "fp8", "w8a8.logits");
  }
  EXPECT_GE(fixtures, 13);
}

}  // namespace
}  // namespace hadal
