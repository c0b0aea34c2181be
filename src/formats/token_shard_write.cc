#include <xxhash.h>

#include <cstring>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "formats/token_shard.h"
#include "formats/token_shard_layout.h"

namespace hadal {
namespace {

using token_shard_layout::Header;
using token_shard_layout::kMagic;

template <class T>
void append(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_ids(std::string& to, std::span<const int> ids, int vocab_size, const std::filesystem::path& path) {
  for (const int id : ids) {
    HADAL_CHECK(id >= 0 && id < vocab_size, path.string(), ": token ", id, " is outside the vocabulary of ",
                vocab_size);
    vocab_size <= 0x10000 ? append(to, static_cast<std::uint16_t>(id)) : append(to, static_cast<std::uint32_t>(id));
  }
}

Header make_header(std::uint32_t version, int vocab_size, std::uint64_t num_documents, std::uint64_t num_tokens) {
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.version = version;
  h.token_bytes = vocab_size <= 0x10000 ? 2 : 4;
  h.vocab_size = static_cast<std::uint64_t>(vocab_size);
  h.num_documents = num_documents;
  h.num_tokens = num_tokens;
  return h;
}

void write_sections(const std::filesystem::path& path, Header h, const std::string& tables, const std::string& tokens) {
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  XXH3_64bits_update(state, tables.data(), tables.size());
  XXH3_64bits_update(state, tokens.data(), tokens.size());
  h.checksum = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  AtomicFile file(path);
  file.write({reinterpret_cast<const char*>(&h), sizeof h});
  file.write(tables);
  file.write(tokens);
  file.commit();
}

void check_begins(const std::filesystem::path& path, const std::vector<index_t>& begins, index_t num_tokens,
                  const char* what) {
  HADAL_CHECK(!begins.empty() && begins.front() == 0 && begins.back() == num_tokens, path.string(), ": the ", what,
              "s do not fill ", num_tokens, " tokens");
  for (std::size_t i = 1; i < begins.size(); ++i)
    HADAL_CHECK(begins[i] >= begins[i - 1], path.string(), ": ", what, " ", i, " begins at ", begins[i], " after ",
                begins[i - 1]);
}

}  // namespace

void write_token_shard(const std::filesystem::path& path, int vocab_size, std::span<const std::vector<int>> documents) {
  std::string offsets, tokens;
  std::uint64_t num_tokens = 0;
  append(offsets, num_tokens);
  for (const std::vector<int>& document : documents) {
    append_ids(tokens, document, vocab_size, path);
    num_tokens += document.size();
    append(offsets, num_tokens);
  }
  write_sections(path, make_header(1, vocab_size, documents.size(), num_tokens), offsets, tokens);
}

void write_token_shard(const std::filesystem::path& path, const ShardContents& c) {
  const auto num_tokens = static_cast<index_t>(c.tokens.size());
  check_begins(path, c.document_begins, num_tokens, "document");
  HADAL_CHECK(c.infos.size() + 1 == c.document_begins.size(), path.string(), ": ", c.infos.size(), " infos for ",
              c.document_begins.size() - 1, " documents");
  const bool packed = c.sequence_length > 0 && num_tokens > 0;
  if (packed) check_begins(path, c.sequence_begins, num_tokens, "sequence");
  std::string tables, tokens;
  append(tables, static_cast<std::uint64_t>(packed ? c.sequence_begins.size() - 1 : 0));
  append(tables, static_cast<std::uint64_t>(packed ? c.sequence_length : 0));
  for (const index_t begin : c.document_begins) append(tables, static_cast<std::uint64_t>(begin));
  if (packed)
    for (const index_t begin : c.sequence_begins) append(tables, static_cast<std::uint64_t>(begin));
  for (const DocumentInfo& info : c.infos) append(tables, token_shard_layout::pack_info(info));
  if (c.infos.size() % 2 != 0) append(tables, std::uint32_t{0});
  append_ids(tokens, c.tokens, c.vocab_size, path);
  write_sections(path, make_header(2, c.vocab_size, c.infos.size(), static_cast<std::uint64_t>(num_tokens)), tables,
                 tokens);
}

}  // namespace hadal
