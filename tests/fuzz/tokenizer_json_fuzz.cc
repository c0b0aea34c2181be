// An accepted tokenizer must be written as a file that gives the same text again.
#include "formats/tokenizer_json.h"

#include "formats/tokenizer_files.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  fuzz::refuse_or_accept([&] { parse_tokenizer_config(fuzz::text_of(data, size), "fuzz"); });
  return fuzz::refuse_or_accept([&] {
    const TokenizerSpec spec = parse_tokenizer_json(fuzz::text_of(data, size), "fuzz");
    const std::string text = tokenizer_json(spec);
    fuzz::require(tokenizer_json(parse_tokenizer_json(text, "written")) == text);
  });
}
