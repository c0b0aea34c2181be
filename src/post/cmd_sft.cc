#include "post/cmd_post.h"
#include "post/sft.h"

namespace hadal {
namespace {

struct SftVerbOptions {
  PostRunOptions run;
  SftInputOptions data;
  template <class V>
  void visit(V&& v) {
    run.visit(v);
    v.group("data", data, "conversations");
  }
};

}  // namespace

int cmd_sft(Args args) {
  SftVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "sft",
                      .about = "supervised fine-tuning on conversations",
                      .config = true,
                      .example = "hadal sft --model DIR --data.input chats.jsonl --out runs/sft"}))
    return 0;
  ThreadPool pool(o.run.threads);
  Exec exec(pool);
  const SftData data = open_sft_data(pool, o.data, o.run.model, o.run.trainer.seq_length, o.run.seed, o.run.out);
  PostRun run(exec, o.run, data.chat_template);
  SftTask task(data, run.tokenizer(), o.run.seed);
  print_result(o.run, run.go(task, "sft", OptionTable(o).to_json(), data.manifest));
  return 0;
}

}  // namespace hadal
