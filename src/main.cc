#include <array>
#include <string_view>
#include <vector>

#include "analysis/bench/cmd_bench.h"
#include "analysis/quantize/cmd_quantize.h"
#include "base/command.h"
#include "data/cmd_data.h"
#include "data/cmd_sft_data.h"
#include "data/cmd_tasks.h"
#include "data/cmd_template.h"
#include "data/cmd_tokenizer.h"
#include "infer/cmd_chat.h"
#include "infer/cmd_generate.h"
#include "infer/cmd_inspect.h"
#include "nn/cmd_export.h"
#include "nn/cmd_logits.h"
#include "post/cmd_grpo.h"
#include "post/cmd_post.h"
#include "post/recipe/cmd_r1.h"
#include "serve/cmd_serve.h"
#include "train/cmd_train.h"
#include "train/report.h"

namespace hadal {
namespace {

constexpr std::array kCommands{
    Command{"bench", "speed against the machine's own roof", cmd_bench},
    Command{"pretrain", "train a base model from text", cmd_pretrain},
    Command{"extend", "longer context with YaRN, in phases", cmd_extend},
    Command{"sft", "supervised fine-tuning on conversations", cmd_sft},
    Command{"dpo", "direct preference optimisation on pairs of answers", cmd_dpo},
    Command{"reward", "train a reward model", cmd_reward},
    Command{"score", "score conversations with a reward model", cmd_score},
    Command{"distill", "train a student on a teacher's traces", cmd_distill},
    Command{"grpo", "reinforcement learning on questions that can be graded", cmd_grpo},
    Command{"sample", "rejection sampling: graded answers become fine-tuning data", cmd_sample},
    Command{"r1", "the whole R1 recipe, stage by stage, with a report", cmd_r1},
    Command{"merge", "a low-rank adapter into its model", cmd_merge},
    Command{"generate", "continue a prompt", cmd_generate},
    Command{"chat", "talk to a model in the terminal", cmd_chat},
    Command{"serve", "serve a model over HTTP: OpenAI's API and a chat page", cmd_serve},
    Command{"init", "random weights in the Hugging Face layout", cmd_init},
    Command{"logits", "logits of a token sequence, for parity checks", cmd_logits},
    Command{"grad", "gradients of a token sequence, for parity checks", cmd_grad},
    Command{"tokenizer", "train a tokenizer, encode and decode with one", cmd_tokenizer},
    Command{"data", "prepare text for training: clean, deduplicate, mix, pack", cmd_data},
    Command{"template", "render conversations with the chat template of a model", cmd_template},
    Command{"sft-data", "conversations to token ids with loss masks", cmd_sft_data},
    Command{"tasks", "tasks with checkable answers: make them, grade responses", cmd_tasks},
    Command{"export", "a model as GGUF file or Hugging Face folder", cmd_export},
    Command{"quantize", "recipes for the weights: size, and how far the answers move", cmd_quantize},
    Command{"inspect", "what a model folder, a config or a safetensors file holds", cmd_inspect},
    Command{"report", "HTML report of a run folder", cmd_report},
};

}  // namespace
}  // namespace hadal

int main(int argc, char** argv) {
  const std::vector<std::string_view> args(argv + 1, argv + argc);
  return hadal::run_program("hadal", hadal::kCommands, args);
}
