#pragma once
// Conversations -> token ids and which of them are trained.
#include "data/sft/turns.h"

namespace hadal {

struct MaskOptions {
  bool last_turn_only = false;
  std::string reasoning = "rendered";
  bool tool_calls = true;

  template <class V>
  void visit(V&& v) {
    v("last_turn_only", last_turn_only, "train only the last answer of each conversation");
    v("reasoning", reasoning,
      "rendered: trained where the template prints it; masked: printed, not trained; generated: the last answer as the "
      "model writes it, behind a generation prompt, for templates that cut reasoning out",
      {.choices = {"rendered", "masked", "generated"}});
    v("tool_calls", tool_calls, "train the tool calls of answers");
  }
};

struct MaskedSample {
  std::vector<int> ids;
  std::vector<char> trained;  // one for each id: whether the model learns to say it
  index_t num_trained = 0;
  int turns = 0, turns_without_end = 0;  // of those trained; without: the last id does not end answers
  bool borders_differ = false;           // one encoding of all text gives other ids
  bool reasoning_lost = false;           // the template does not print the reasoning of the last answer
};

/// Immutable; usable from many threads at once. Template and tokenizer must outlive it.
class SftEncoder {
 public:
  /// Throws Error when the template cannot render a question and an answer.
  SftEncoder(const ChatTemplate& chat, const Tokenizer& tokenizer, const MaskOptions& options);

  /// Text is cut where training begins and ends, and each piece is encoded on its own: so the ids before an answer are
  /// those of the prompt that a model gets, and what it is trained on are ids that it could have written. Throws Error
  /// as render_conversation does.
  MaskedSample encode(Conversation conversation) const;

  /// The id that ends answers, -1 when the template ends them without a control token.
  int end_id() const { return end_id_; }

 private:
  struct Range {
    std::size_t begin, end;
  };
  Range trained_range(const RenderedConversation& rendered, const Turn& turn) const;

  const ChatTemplate& chat_;
  const Tokenizer& tokenizer_;
  MaskOptions options_;
  bool argument_objects_ = false;
  int end_id_ = -1;
};

}  // namespace hadal
