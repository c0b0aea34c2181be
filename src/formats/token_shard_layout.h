#pragma once
// The bytes of a token shard, for its reader and its writer (described in token_shard.h).
#include <cstdint>

#include "formats/token_shard.h"

namespace hadal::token_shard_layout {

inline constexpr char kMagic[] = {'H', 'A', 'D', 'A', 'L', 'T', 'O', 'K'};

struct Header {
  char magic[8];
  std::uint32_t version, token_bytes;
  std::uint64_t vocab_size, num_documents, num_tokens, checksum;
};
static_assert(sizeof(Header) == 48);

// Bits 0-7 class, 8-15 language, 16-23 source, 24-25 FIM, 26 continued.
inline std::uint32_t pack_info(const DocumentInfo& info) {
  return info.text_class | info.language << 8U | static_cast<std::uint32_t>(info.source) << 16U |
         static_cast<std::uint32_t>(info.fim) << 24U | (info.continued ? 1U << 26U : 0U);
}
inline DocumentInfo unpack_info(std::uint32_t bits) {
  const std::uint32_t fim = bits >> 24U & 3U;
  return {.text_class = static_cast<std::uint8_t>(bits),
          .language = static_cast<std::uint8_t>(bits >> 8U),
          .source = static_cast<std::uint8_t>(bits >> 16U),
          .fim = fim == 3 ? FimKind::kNone : static_cast<FimKind>(fim),
          .continued = (bits >> 26U & 1U) != 0};
}

}  // namespace hadal::token_shard_layout
