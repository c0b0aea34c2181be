// A tokenizer.json that is accepted must make a tokenizer that keeps text, or say why it cannot. The first byte of the
// input is the length of the text, which stands at the end.
#include "data/tokenizer/tokenizer.h"

#include "base/utf8.h"
#include "formats/tokenizer_json.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  const std::string_view all = fuzz::text_of(data, size);
  if (all.empty()) return 0;
  const std::size_t length = std::min<std::size_t>(data[0], size - 1);
  const std::string_view text = all.substr(size - length), json = all.substr(1, size - 1 - length);
  return fuzz::refuse_or_accept([&] {
    TokenizerFiles files;
    files.spec = parse_tokenizer_json(json, "fuzz");
    // Normalisation, tokens that take white space along and bytes without a token change the text.
    bool keeps = !files.spec.normalize_nfc && well_formed_prefix(text) == text.size();
    for (const AddedToken& token : files.spec.added_tokens) keeps = keeps && !token.lstrip && !token.rstrip;
    const Tokenizer tokenizer(std::move(files));
    tokenizer.encode(text, {.parse_special = true, .add_special = true});
    const std::string again = tokenizer.decode(tokenizer.encode(text));
    fuzz::require(!keeps || again == text);
  });
}
