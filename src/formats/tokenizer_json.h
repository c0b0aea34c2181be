#pragma once
// tokenizer.json of Hugging Face's tokenizers. Input is untrusted; a construct that is not known to be handled exactly
// is an Error that names it, never a guess.
#include <string>
#include <string_view>

#include "formats/tokenizer_spec.h"

namespace hadal {

/// Reads a tokenizer.json text: model BPE over the byte-level alphabet; pre-tokenizers Split (Isolated), Digits,
/// ByteLevel, Sequence; normalizers none or NFC; post-processors ByteLevel, TemplateProcessing, Sequence; decoder
/// ByteLevel. `where` names the source in messages.
TokenizerSpec parse_tokenizer_json(std::string_view json_text, std::string_view where);

/// The tokenizer.json text of a specification. Reading it back gives the same specification.
std::string tokenizer_json(const TokenizerSpec& spec);

}  // namespace hadal
