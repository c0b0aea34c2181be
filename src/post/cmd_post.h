#pragma once
#include "base/options.h"

namespace hadal {

/// hadal sft: supervised fine-tuning on conversations.
int cmd_sft(Args args);
/// hadal dpo: direct preference optimisation.
int cmd_dpo(Args args);
/// hadal reward: train a reward model.
int cmd_reward(Args args);
/// hadal score: score conversations with a reward model.
int cmd_score(Args args);
/// hadal distill: filter a teacher's traces, train a student on them, with the teacher's logits if wanted.
int cmd_distill(Args args);

/// hadal merge: an adapter in PEFT's format into the model that it belongs to.
int cmd_merge(Args args);

}  // namespace hadal
