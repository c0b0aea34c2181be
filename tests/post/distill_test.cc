// Distillation: the divergence of a row, the loss over a model, traces and whole runs.
#include "post/distill.h"

#include "nn/nn_support.h"
#include "nn/weights.h"
#include "post/post_support.h"
#include "post/traces.h"

namespace hadal {
namespace {

TEST(DistillLoss, RowGradients) {
  constexpr index_t kVocab = 9;
  std::vector<double> z(kVocab);
  for (std::size_t i = 0; i < z.size(); ++i) z[i] = 2 * random_normal(7, Stream::kTest, i);
  const std::vector<int> ids = {4, 0, 7}, all = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  const std::vector<float> q = {0.5F, 0.2F, 0.05F}, q_all = {0.2F, 0.1F, 0.1F, 0.2F, 0.05F, 0.05F, 0.1F, 0.1F, 0.1F};
  const auto row = [](std::vector<double>& v) { return view_of(Mat<double>{v.data(), 1, kVocab, kVocab}); };
  for (const char* divergence : {"forward", "reverse"})
    for (const double temperature : {1.0, 2.5})
      for (const bool whole : {false, true}) {
        const TeacherRow teacher = whole ? TeacherRow{all, q_all} : TeacherRow{ids, q};
        const DistillLossOptions o{.divergence = divergence, .temperature = temperature};
        const auto loss = [&](std::vector<double> at) { return distill_row({}, row(at), teacher, o, 1); };
        std::vector<double> copy = z;
        std::vector<double> gradient(kVocab);
        EXPECT_GE(distill_row(row(gradient), row(copy), teacher, o, 3), 0);
        for (std::size_t i = 0; i < z.size(); ++i) {
          std::vector<double> at = z;
          EXPECT_NEAR(gradient[i], 3 * central_difference(at[i], [&] { return loss(at); }), 1e-7) << divergence << i;
        }
        copy = z;
        std::vector<double> in_place = z;  // logits and gradient in one memory
        distill_row(row(in_place), row(in_place), teacher, o, 3);
        EXPECT_EQ(in_place, gradient);
      }
}

TEST(DistillLoss, NothingToLearnFromItself) {
  std::vector<float> z = {1, 2, 0.5F}, q(3), dz(3);
  double sum = 0;
  for (const float v : z) sum += std::exp(v);
  for (std::size_t i = 0; i < 3; ++i) q[i] = static_cast<float>(std::exp(z[i]) / sum);
  const std::vector<int> id = {0, 1, 2};
  for (const char* divergence : {"forward", "reverse"}) {
    std::vector<float> logits = z;
    const auto row = [](std::vector<float>& v) { return view_of(Mat<float>{v.data(), 1, 3, 3}); };
    EXPECT_NEAR(distill_row(row(dz), row(logits), {id, q}, {.divergence = divergence}, 1), 0, 1e-6);
    for (const float d : dz) EXPECT_NEAR(d, 0, 1e-6);
  }
  std::vector<float> logits = z;
  const std::vector<int> outside = {3};
  const std::vector<float> one = {1};
  EXPECT_THROW(distill_row({}, view_of(Mat<float>{logits.data(), 1, 3, 3}), {outside, one}, {}, 1), Error);
}

TEST(DistillLoss, GradientsOfAModel) {
  const ModelConfig config = tiny_qwen3();
  Bench bench(precision_of(DType::kF64));
  Model model(config, bench.ctx.precision, true);
  model.init(11);
  const Batch batch = random_batch(config, {6, 5}, 3);
  const std::vector<int> id = {3, 1};
  const std::vector<float> q = {0.6F, 0.3F};
  std::vector<TeacherRow> rows(batch.ids.size());
  for (std::size_t t = 0; t < rows.size(); ++t)
    if (batch.targets[t] >= 0) rows[t] = {id, q};
  const auto value = [&] {
    DistillLoss loss(rows, {.divergence = "reverse", .weight = 0.4, .temperature = 1.5}, 0.1, [](double, double) {});
    return model.train_micro_batch(bench.ctx, batch, {}, loss).main;
  };
  value();
  expect_gradients(all_params(model), value);
}

TEST(Traces, FaultsAreNamed) {
  const auto fault = [](const char* record, TraceFilterOptions o = {}) {
    return trace_fault(parse_json(record, "t"), o);
  };
  EXPECT_EQ(fault(R"({"prompt": "a", "completion": "b"})"), "");
  EXPECT_EQ(fault(R"({"prompt": "a"})"), "malformed");
  EXPECT_EQ(fault(R"([1])"), "malformed");
  EXPECT_EQ(fault(R"({"prompt": "a", "completion": "b", "correct": false})"), "incorrect");
  EXPECT_EQ(fault(R"({"prompt": "a", "completion": "b", "reward": 0.1})", {.min_reward = 0.5}), "low reward");
  EXPECT_EQ(fault(R"({"prompt": "a", "completion": "<think>b"})"), "reasoning without an end");
  EXPECT_EQ(fault(R"({"prompt": "a", "completion": "b"})", {.need_reasoning = true}), "no reasoning");
  EXPECT_EQ(fault(R"({"prompt": "a", "completion": "<think>```x```</think>b"})", {.code_in_reasoning = false}),
            "code in the reasoning");
  EXPECT_EQ(fault(R"({"prompt": "a", "completion": "<think>one 二三四</think>b"})", {.max_other_script = 0.2}),
            "mixed languages");
  EXPECT_EQ(fault(R"({"prompt": "a", "completion": "<think>abc\n\nabcdef</think>b"})", {.max_paragraph = 5}),
            "long paragraph");
  EXPECT_EQ(other_script_share("12 + 3"), 0);
  EXPECT_NEAR(other_script_share("ab\xE4\xBA\x8C\xFF"), 1.0 / 3, 1e-12);
}

TEST(Traces, FilterKeepsTheFirstOfEach) {
  TempDir dir;
  const std::string in = write_lines(
      dir / "in.jsonl",
      {JsonObject{{"prompt", "a"}, {"completion", "1"}}, JsonObject{{"prompt", "a"}, {"completion", "1"}},
       JsonObject{{"prompt", "a"}, {"completion", "2"}}, JsonObject{{"prompt", "b"}, {"completion", "1"}}, Json(7)});
  const TraceCounts counts = filter_traces({in}, {.max_per_prompt = 1}, dir / "out.jsonl");
  EXPECT_EQ(counts.read, 5);
  EXPECT_EQ(counts.kept, 2);
  EXPECT_EQ(counts.dropped.at("duplicate"), 1);
  EXPECT_EQ(counts.dropped.at("enough of this prompt"), 1);
  EXPECT_EQ(counts.dropped.at("malformed"), 1);
  EXPECT_EQ(read_file(dir / "out.jsonl"),
            "{\"prompt\":\"a\",\"completion\":\"1\"}\n{\"prompt\":\"b\",\"completion\":\"1\"}\n");
  const TraceCounts none = filter_traces({in}, {.need_reasoning = true}, dir / "out.jsonl");
  EXPECT_FALSE(std::filesystem::exists(dir / "out.jsonl"));  // not the one of before either
  EXPECT_NE(error_of([&] { none.check(); }).find("\"no reasoning\":4"), std::string::npos);
}

TEST(Distill, TheStudentComesNearTheTeacher) {
  TempDir dir;
  write_tiny_model(dir / "student");
  write_tiny_v3_model(dir / "teacher", 9);
  ThreadPool pool(2);
  Exec exec(pool);
  SftInputOptions input;
  input.input = {write_lines(dir / "chats.jsonl", some_chats(20))};
  PostRunOptions o = tiny_run(dir / "student", dir / "out");
  o.steps = 20, o.trainer.lr.lr = 1e-2;
  const SftData data = open_sft_data(pool, input, dir / "student", 64, 1, dir / "out");
  const TeacherKey key{"teacher", data.train.checksum(), 16, 1};
  const auto file = dir / "teacher.safetensors";
  {
    Model teacher = load_model(exec, dir / "teacher", Precision::parse("f32"), false);
    Arena saved, scratch;
    Context ctx{exec, saved, scratch, teacher.precision(), {}};
    write_teacher_logits(ctx, teacher, data.train, key, file);
  }
  EXPECT_TRUE(TeacherLogits::matches(file, key));
  TeacherKey other = key;
  other.temperature = 2;
  EXPECT_FALSE(TeacherLogits::matches(file, other));
  EXPECT_THROW(TeacherLogits(file, data.train, other), Error);
  const TeacherLogits teacher(file, data.train, key);
  double sum = 0;
  const TeacherRow row = teacher.row(0, 0);
  for (std::size_t i = 0; i < row.q.size(); ++i) {
    sum += row.q[i];
    EXPECT_GE(row.q[i > 0 ? i - 1 : 0], row.q[i]);
  }
  EXPECT_LE(sum, 1 + 1e-6);
  for (const char* divergence : {"forward", "reverse"}) {
    o.out = (dir / divergence).string();
    PostRun run(exec, o, data.chat_template);
    DistillTask task(data, run.tokenizer(), o.seed, teacher, {.divergence = divergence, .weight = 1});
    run.go(task, "distill", {}, data.manifest);
    const auto lines = read_json_log(dir / divergence / "metrics.jsonl");
    EXPECT_LT(lines.back().at("divergence").as_double(), 0.5 * lines.front().at("divergence").as_double());
  }
}

}  // namespace
}  // namespace hadal
