// A vocabulary that is accepted must encode and decode any text without losing well-formed characters.
#include "formats/tokenizer_gguf.h"

#include "data/tokenizer/tokenizer.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  return fuzz::refuse_or_accept([&] {
    const GgufFile file(std::as_bytes(std::span(data, size)), "fuzz");
    const Tokenizer tokenizer(gguf_tokenizer(file));
    const std::string text = "I'm 1234 \u4E2D\u6587, e\u0301!\n\n \U0001F680 <s>";
    for (const bool special : {false, true}) {
      const std::string again = tokenizer.decode(tokenizer.encode(text, {special, special}));
      fuzz::require(tokenizer.files().spec.normalize_nfc || special || again == text);
    }
    gguf_tokenizer_metadata(tokenizer.files());
  });
}
