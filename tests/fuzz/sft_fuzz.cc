// A line of a data set: whatever is accepted becomes ids of the vocabulary with one mark each, and these decode to
// well-formed text.
#include "data/sft/encoder.h"

#include "base/utf8.h"
#include "fuzz.h"
#include "support/tiny_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  static const Tokenizer tokenizer = tiny_tokenizer();
  static const ChatTemplate chat = ChatTemplate::from_config(tokenizer.files().config, "fuzz");
  static const SftEncoder plain(chat, tokenizer, {}), generated(chat, tokenizer, {.reasoning = "generated"});
  return fuzz::refuse_or_accept([&] {
    const Json line = parse_json(fuzz::text_of(data, size), "fuzz");
    const Result<SftShape> shape = detect_shape(line);
    if (!shape) return;
    const Result<Conversation> conversation = parse_conversation(line, shape.value());
    if (!conversation) return;
    // Each message is rendered twice: long ones only cost time.
    if (conversation.value().messages.size() > 50) return;
    for (const SftEncoder* encoder : {&plain, &generated}) {
      const MaskedSample sample = encoder->encode(conversation.value());
      fuzz::require(sample.ids.size() == sample.trained.size() && !sample.borders_differ);
      fuzz::require(static_cast<index_t>(std::count(sample.trained.begin(), sample.trained.end(), 1)) ==
                    sample.num_trained);
      const std::string text = tokenizer.decode(sample.ids);
      fuzz::require(well_formed_prefix(text) == text.size());
    }
  });
}
