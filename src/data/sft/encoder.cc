#include "data/sft/encoder.h"

#include <algorithm>

namespace hadal {

SftEncoder::SftEncoder(const ChatTemplate& chat, const Tokenizer& tokenizer, const MaskOptions& options)
    : chat_(chat), tokenizer_(tokenizer), options_(options), argument_objects_(chat.wants_argument_objects()) {
  const Conversation probe{.messages = {JsonObject{{"role", "user"}, {"content", "question"}},
                                        JsonObject{{"role", "assistant"}, {"content", "answer"}}}};
  const RenderedConversation rendered = render_conversation(chat, tokenizer, probe);
  HADAL_CHECK(!rendered.turns.empty() && rendered.turns[0].end > rendered.turns[0].begin,
              "the template prints nothing for an answer");
  const Turn& turn = rendered.turns[0];
  const std::vector<int> ids = tokenizer.encode(rendered.prompt.text_segments(turn.begin, turn.end));
  for (const AddedToken& token : tokenizer.files().spec.added_tokens)
    if (token.id == ids.back()) end_id_ = token.id;
}

SftEncoder::Range SftEncoder::trained_range(const RenderedConversation& rendered, const Turn& turn) const {
  Range range{turn.begin, turn.end};
  std::size_t reasoning_end = 0, said_end = 0;
  bool calls = false;
  for (const PromptSegment& s : rendered.prompt.segments) {
    if (s.begin >= turn.end || s.end <= turn.begin || s.message < 0) continue;
    if (s.source == PromptSource::kReasoning) reasoning_end = s.end;
    if (s.source == PromptSource::kReasoning || s.source == PromptSource::kContent) said_end = s.end;
    calls = calls || s.source == PromptSource::kToolCalls;
  }
  if (options_.reasoning == "masked") {
    constexpr std::string_view kClose = "</think>";
    const std::size_t close = std::string_view(rendered.prompt.text).substr(0, turn.end).rfind(kClose);
    if (close != std::string_view::npos && close >= turn.begin)
      reasoning_end = std::max(reasoning_end, close + kClose.size());
    range.begin = std::clamp(reasoning_end, turn.begin, turn.end);
  }
  if (calls && !options_.tool_calls) range.end = std::clamp(said_end, range.begin, turn.end);
  return range;
}

MaskedSample SftEncoder::encode(Conversation conversation) const {
  set_argument_kind(conversation, argument_objects_);
  const RenderedConversation rendered = options_.reasoning == "generated"
                                            ? render_as_generated(chat_, tokenizer_, conversation)
                                            : render_conversation(chat_, tokenizer_, conversation);
  MaskedSample sample{.reasoning_lost = rendered.reasoning_lost};
  const auto add = [&](std::size_t begin, std::size_t end, bool trained) {
    if (begin >= end) return;
    const std::vector<int> ids = tokenizer_.encode(rendered.prompt.text_segments(begin, end));
    sample.ids.insert(sample.ids.end(), ids.begin(), ids.end());
    sample.trained.resize(sample.ids.size(), trained ? 1 : 0);
    if (trained) sample.num_trained += static_cast<index_t>(ids.size());
  };
  std::size_t from = 0;
  for (std::size_t t = options_.last_turn_only && !rendered.turns.empty() ? rendered.turns.size() - 1 : 0;
       t < rendered.turns.size(); ++t) {
    const Range range = trained_range(rendered, rendered.turns[t]);
    if (range.begin >= range.end) continue;
    add(from, range.begin, false);
    add(range.begin, range.end, true);
    from = range.end;
    ++sample.turns;
    if (sample.ids.back() != end_id_) ++sample.turns_without_end;
  }
  add(from, rendered.prompt.text.size(), false);
  sample.borders_differ = sample.ids != rendered.prompt.encode(tokenizer_);
  return sample;
}

}  // namespace hadal
