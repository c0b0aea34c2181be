#include "nn/weights.h"
#include "post/cmd_post.h"
#include "post/distill.h"
#include "post/traces.h"

namespace hadal {
namespace {

struct TeacherOptions {
  std::string model, precision = "bf16";
  int top_k = 32;
  DistillLossOptions loss;
  template <class V>
  void visit(V&& v) {
    v("model", model, "model folder whose logits the student is drawn to; empty: traces only", {.placeholder = "DIR"});
    v("precision", precision, "to run the teacher in", {.choices = {"f32", "bf16"}});
    v("top_k", top_k, "most likely tokens of the teacher that are kept at each place");
    loss.visit(v);
  }
};

struct DistillVerbOptions {
  PostRunOptions run;
  SftInputOptions data;
  TraceFilterOptions filter;
  TeacherOptions teacher;
  DistillVerbOptions() { run.trainer.lr.lr = 5e-5; }
  template <class V>
  void visit(V&& v) {
    run.visit(v);
    v.group("data", data, "the teacher's traces");
    v.group("filter", filter, "which traces are learnt from");
    v.group("teacher", teacher, "its logits");
  }
};

/// Opens the teacher's logits, after the teacher has run if they are not there yet. The teacher's memory is free then.
TeacherLogits open_teacher_logits(Exec& exec, const TeacherOptions& o, const SftShard& shard,
                                  const std::filesystem::path& file) {
  const TeacherKey key{o.model + " " + o.precision, shard.checksum(), o.top_k, o.loss.temperature};
  if (!TeacherLogits::matches(file, key)) {
    Model teacher = load_model(exec, o.model, Precision::parse(o.precision), /*train=*/false);
    HADAL_CHECK(teacher.config().vocab_size >= shard.vocab_size(), o.model, ": a vocabulary of ",
                teacher.config().vocab_size, ", the traces have ids below ", shard.vocab_size(),
                "; teacher and student must share their tokenizer");
    Arena saved, scratch;
    Context ctx{exec, saved, scratch, teacher.precision(), {}};
    write_teacher_logits(ctx, teacher, shard, key, file);
  }
  return {file, shard, key};
}

}  // namespace

int cmd_distill(Args args) {
  DistillVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "distill",
                      .about = "train a student on a teacher's traces",
                      .config = true,
                      .example = "hadal distill --model STUDENT --data.input traces.jsonl --out runs/student"}))
    return 0;
  ThreadPool pool(o.run.threads);
  Exec exec(pool);
  const std::filesystem::path out = o.run.out;
  SftInputOptions input = o.data;
  JsonObject counts;
  if (!input.input.empty()) {
    const TraceCounts traces = filter_traces(input.input, o.filter, out / "traces.jsonl");
    traces.check();
    counts = traces.to_json();
    input.input = {(out / "traces.jsonl").string()};
  }
  SftData data = open_sft_data(pool, input, o.run.model, o.run.trainer.seq_length, o.run.seed, out);
  data.manifest["traces"] = counts;
  std::optional<TeacherLogits> teacher;
  if (!o.teacher.model.empty())
    teacher.emplace(open_teacher_logits(exec, o.teacher, data.train, out / "teacher.safetensors"));
  PostRun run(exec, o.run, data.chat_template);
  std::unique_ptr<SftTask> task;
  if (teacher)
    task = std::make_unique<DistillTask>(data, run.tokenizer(), o.run.seed, *teacher, o.teacher.loss);
  else
    task = std::make_unique<SftTask>(data, run.tokenizer(), o.run.seed);
  print_result(o.run, run.go(*task, "distill", OptionTable(o).to_json(), data.manifest));
  return 0;
}

}  // namespace hadal
