#include <fmt/format.h>

#include "post/cmd_grpo.h"
#include "post/rejection.h"

namespace hadal {

int cmd_sample(Args args) {
  RejectionOptions o;
  if (!parse_options(
          o, args,
          {.verb = "sample",
           .about = "rejection sampling: answers to tasks, graded and filtered, as data for fine-tuning",
           .config = true,
           .example = "hadal sample --model DIR --tasks runs/tasks/train.jsonl --samples 8 --out runs/sample"}))
    return 0;
  const JsonObject summary = sample_and_reject(o);
  if (o.json)
    fmt::print("{}\n", json_line(summary));
  else
    fmt::print("{}conversations: {}/sft.jsonl\n", json_pretty(summary), o.out);
  return 0;
}

}  // namespace hadal
