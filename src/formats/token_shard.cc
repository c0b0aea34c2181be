#include "formats/token_shard.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace hadal {
namespace {

constexpr char kMagic[] = {'H', 'A', 'D', 'A', 'L', 'T', 'O', 'K'};
constexpr std::uint32_t kVersion = 1;

struct Header {
  char magic[8];
  std::uint32_t version, token_bytes;
  std::uint64_t vocab_size, num_documents, num_tokens, checksum;
};
static_assert(sizeof(Header) == 48);

template <class T>
T read_at(const std::byte* p, std::uint64_t index) {
  T v;
  std::memcpy(&v, p + index * sizeof(T), sizeof v);
  return v;
}

}  // namespace

struct TokenShard::Impl {
  explicit Impl(const std::filesystem::path& path) : file(path) {}
  MappedFile file;
  std::string name;
  Header header{};
  const std::byte* offsets = nullptr;
  const std::byte* tokens = nullptr;

  std::uint64_t offset(index_t document) const {
    return read_at<std::uint64_t>(offsets, static_cast<std::uint64_t>(document));
  }
};

TokenShard::TokenShard(const std::filesystem::path& path, bool verify) : impl_(std::make_unique<Impl>(path)) {
  Impl& s = *impl_;
  s.name = path.string();
  const auto bytes = s.file.bytes();
  HADAL_CHECK(bytes.size() >= sizeof(Header), s.name, ": ", bytes.size(), " bytes, a token shard's header has ",
              sizeof(Header));
  std::memcpy(&s.header, bytes.data(), sizeof(Header));
  const Header& h = s.header;
  HADAL_CHECK(std::memcmp(h.magic, kMagic, sizeof kMagic) == 0, s.name, ": not a token shard (wrong first bytes)");
  HADAL_CHECK(h.version == kVersion, s.name, ": version ", h.version, ", want ", kVersion);
  HADAL_CHECK(h.token_bytes == 2 || h.token_bytes == 4, s.name, ": ", h.token_bytes, " bytes a token, want 2 or 4");
  HADAL_CHECK(h.vocab_size > 0 && h.vocab_size <= 0x7FFFFFFF, s.name, ": vocabulary of ", h.vocab_size);
  const std::uint64_t rest = bytes.size() - sizeof(Header);
  // Bounds first, so that the products below cannot overflow.
  HADAL_CHECK(h.num_documents < rest / 8 && h.num_tokens <= rest / h.token_bytes &&
                  (h.num_documents + 1) * 8 + h.num_tokens * h.token_bytes == rest,
              s.name, ": ", h.num_documents, " documents and ", h.num_tokens, " tokens do not fill ", bytes.size(),
              " bytes");
  s.offsets = bytes.data() + sizeof(Header);
  s.tokens = s.offsets + (h.num_documents + 1) * 8;
  if (verify) {
    const std::uint64_t hash = XXH3_64bits(s.offsets, rest);
    HADAL_CHECK(hash == h.checksum, s.name, ": checksum ", fmt::format("{:016x}", hash), ", want ",
                fmt::format("{:016x}", h.checksum));
  }
  std::uint64_t last = 0;
  for (std::uint64_t d = 0; d <= h.num_documents; ++d) {
    const auto offset = read_at<std::uint64_t>(s.offsets, d);
    HADAL_CHECK(offset >= last && offset <= h.num_tokens && (d > 0 || offset == 0), s.name, ": document ", d,
                " begins at ", offset, " after ", last);
    last = offset;
  }
  HADAL_CHECK(last == h.num_tokens, s.name, ": documents end at ", last, " of ", h.num_tokens, " tokens");
}

TokenShard::~TokenShard() = default;
TokenShard::TokenShard(TokenShard&&) noexcept = default;
TokenShard& TokenShard::operator=(TokenShard&&) noexcept = default;

int TokenShard::vocab_size() const {
  return static_cast<int>(impl_->header.vocab_size);
}
index_t TokenShard::num_documents() const {
  return static_cast<index_t>(impl_->header.num_documents);
}
index_t TokenShard::num_tokens() const {
  return static_cast<index_t>(impl_->header.num_tokens);
}
std::uint64_t TokenShard::checksum() const {
  return impl_->header.checksum;
}

index_t TokenShard::document_length(index_t document) const {
  HADAL_CHECK(document >= 0 && document < num_documents(), impl_->name, ": document ", document, " of ",
              num_documents());
  return static_cast<index_t>(impl_->offset(document + 1) - impl_->offset(document));
}

int TokenShard::token(index_t document, index_t index) const {
  HADAL_DCHECK(index >= 0 && index < document_length(document), impl_->name, ": token ", index, " of document ",
               document);
  const std::uint64_t place = impl_->offset(document) + static_cast<std::uint64_t>(index);
  const std::uint64_t id = impl_->header.token_bytes == 2 ? read_at<std::uint16_t>(impl_->tokens, place)
                                                          : read_at<std::uint32_t>(impl_->tokens, place);
  HADAL_CHECK(id < impl_->header.vocab_size, impl_->name, ": token ", id, " is outside the vocabulary of ",
              impl_->header.vocab_size);
  return static_cast<int>(id);
}

void TokenShard::read(index_t document, index_t first, std::span<int> out) const {
  const index_t length = document_length(document), count = static_cast<index_t>(out.size());
  HADAL_CHECK(first >= 0 && first <= length && count <= length - first, impl_->name, ": tokens [", first, ", ",
              first + count, ") of ", length, " in document ", document);
  const std::uint64_t place = impl_->offset(document) + static_cast<std::uint64_t>(first);
  std::uint32_t largest = 0;
  const auto copy = [&]<class Id>(Id) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::uint32_t id = read_at<Id>(impl_->tokens, place + i);
      largest = std::max(largest, id);
      out[i] = static_cast<int>(id);
    }
  };
  impl_->header.token_bytes == 2 ? copy(std::uint16_t{}) : copy(std::uint32_t{});
  HADAL_CHECK(out.empty() || largest < impl_->header.vocab_size, impl_->name, ": token ", largest,
              " is outside the vocabulary of ", impl_->header.vocab_size);
}

void write_token_shard(const std::filesystem::path& path, int vocab_size, std::span<const std::vector<int>> documents) {
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.version = kVersion;
  h.token_bytes = vocab_size <= 0x10000 ? 2 : 4;
  h.vocab_size = static_cast<std::uint64_t>(vocab_size);
  h.num_documents = documents.size();
  std::string offsets, tokens;
  const auto append = [](std::string& to, auto value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  append(offsets, std::uint64_t{0});
  for (const std::vector<int>& document : documents) {
    for (const int id : document) {
      HADAL_CHECK(id >= 0 && id < vocab_size, path.string(), ": token ", id, " is outside the vocabulary of ",
                  vocab_size);
      if (h.token_bytes == 2)
        append(tokens, static_cast<std::uint16_t>(id));
      else
        append(tokens, static_cast<std::uint32_t>(id));
    }
    h.num_tokens += document.size();
    append(offsets, h.num_tokens);
  }
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  XXH3_64bits_update(state, offsets.data(), offsets.size());
  XXH3_64bits_update(state, tokens.data(), tokens.size());
  h.checksum = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  AtomicFile file(path);
  file.write({reinterpret_cast<const char*>(&h), sizeof h});
  file.write(offsets);
  file.write(tokens);
  file.commit();
}

}  // namespace hadal
