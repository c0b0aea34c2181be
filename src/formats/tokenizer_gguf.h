#pragma once
// The vocabulary inside a GGUF file (tokenizer.ggml.*) of byte-level BPE models.
#include "formats/gguf.h"
#include "formats/tokenizer_files.h"

namespace hadal {

/// Reads tokenizer.ggml.model (only "gpt2"), pre (formats/pre_tokenizers.h), tokens, token_type, merges, the ids of
/// begin, end and padding, add_bos_token and add_eos_token, and tokenizer.chat_template. Tokens that only fill the
/// vocabulary up
/// ("[PAD123]", unused ones) become ids without a token. Throws Error, with the key, on anything that is missing,
/// unknown or inconsistent.
TokenizerFiles gguf_tokenizer(const GgufFile& file);

/// The metadata of a tokenizer. Throws Error when its splits have no name in pre_tokenizers.h. Ids without a token
/// become unused tokens; `vocab_size`, when larger, adds more of them.
GgufPairs gguf_tokenizer_metadata(const TokenizerFiles& files, int vocab_size = 0);

}  // namespace hadal
