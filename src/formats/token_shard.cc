#include "formats/token_shard.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "formats/token_shard_layout.h"

namespace hadal {
namespace {

using token_shard_layout::Header;
using token_shard_layout::kMagic;

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
  const std::byte* sequences = nullptr;  // begins; nullptr without
  const std::byte* infos = nullptr;      // nullptr in version 1
  const std::byte* tokens = nullptr;
  std::uint64_t num_sequences = 0, sequence_length = 0;

  void place_sections(std::uint64_t rest);
  void check_begins(const std::byte* begins, std::uint64_t count, std::uint64_t longest, const char* what) const;
  void copy(std::uint64_t place, std::span<int> out) const;

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
  HADAL_CHECK(h.version == 1 || h.version == 2, s.name, ": version ", h.version, ", want 1 or 2");
  HADAL_CHECK(h.token_bytes == 2 || h.token_bytes == 4, s.name, ": ", h.token_bytes, " bytes a token, want 2 or 4");
  HADAL_CHECK(h.vocab_size > 0 && h.vocab_size <= 0x7FFFFFFF, s.name, ": vocabulary of ", h.vocab_size);
  const std::uint64_t rest = bytes.size() - sizeof(Header);
  s.place_sections(rest);
  if (verify) {
    const std::uint64_t hash = XXH3_64bits(bytes.data() + sizeof(Header), rest);
    HADAL_CHECK(hash == h.checksum, s.name, ": checksum ", fmt::format("{:016x}", hash), ", want ",
                fmt::format("{:016x}", h.checksum));
  }
  s.check_begins(s.offsets, h.num_documents, h.num_tokens, "document");
  if (s.sequences != nullptr) s.check_begins(s.sequences, s.num_sequences, s.sequence_length, "sequence");
}

/// Finds the sections behind the header and checks that they fill the file exactly.
void TokenShard::Impl::place_sections(std::uint64_t rest) {
  const Header& h = header;
  const std::byte* p = file.bytes().data() + sizeof(Header);
  std::uint64_t wanted = 0;
  if (h.version == 2) {
    HADAL_CHECK(rest >= 16, name, ": the header of version 2 is cut off");
    num_sequences = read_at<std::uint64_t>(p, 0);
    sequence_length = read_at<std::uint64_t>(p, 1);
    p += 16;
    wanted += 16;
  }
  // Bounds first, so that the products below cannot overflow.
  const bool in_bounds = h.num_documents < rest / 8 && h.num_tokens <= rest / h.token_bytes && num_sequences < rest / 8;
  if (in_bounds) {
    offsets = p;
    p += (h.num_documents + 1) * 8;
    if (num_sequences > 0) sequences = p, p += (num_sequences + 1) * 8;
    if (h.version == 2) infos = p, p += (h.num_documents + h.num_documents % 2) * 4;
    tokens = p;
    wanted += static_cast<std::uint64_t>(tokens - offsets) + h.num_tokens * h.token_bytes;
  }
  HADAL_CHECK(in_bounds && wanted == rest, name, ": ", h.num_documents, " documents, ", num_sequences,
              " sequences and ", h.num_tokens, " tokens do not fill ", rest + sizeof(Header), " bytes");
  HADAL_CHECK((num_sequences > 0) == (sequence_length > 0) || h.num_tokens == 0, name, ": ", num_sequences,
              " sequences of ", sequence_length, " tokens");
}

/// `count` stretches that fill all tokens in order, none longer than `longest`.
void TokenShard::Impl::check_begins(const std::byte* begins, std::uint64_t count, std::uint64_t longest,
                                    const char* what) const {
  std::uint64_t last = 0;
  for (std::uint64_t i = 0; i <= count; ++i) {
    const auto begin = read_at<std::uint64_t>(begins, i);
    HADAL_CHECK(begin >= last && begin <= header.num_tokens && (i > 0 || begin == 0), name, ": ", what, " ", i,
                " begins at ", begin, " after ", last);
    HADAL_CHECK(begin - last <= longest, name, ": ", what, " ", i - 1, " has ", begin - last, " tokens, want at most ",
                longest);
    last = begin;
  }
  HADAL_CHECK(last == header.num_tokens, name, ": ", what, "s end at ", last, " of ", header.num_tokens, " tokens");
}

void TokenShard::Impl::copy(std::uint64_t place, std::span<int> out) const {
  std::uint32_t largest = 0;
  const auto copy_as = [&]<class Id>(Id) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::uint32_t id = read_at<Id>(tokens, place + i);
      largest = std::max(largest, id);
      out[i] = static_cast<int>(id);
    }
  };
  header.token_bytes == 2 ? copy_as(std::uint16_t{}) : copy_as(std::uint32_t{});
  HADAL_CHECK(out.empty() || largest < header.vocab_size, name, ": token ", largest, " is outside the vocabulary of ",
              header.vocab_size);
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
  impl_->copy(impl_->offset(document) + static_cast<std::uint64_t>(first), out);
}

index_t TokenShard::document_begin(index_t document) const {
  HADAL_CHECK(document >= 0 && document <= num_documents(), impl_->name, ": document ", document, " of ",
              num_documents());
  return static_cast<index_t>(impl_->offset(document));
}

DocumentInfo TokenShard::document_info(index_t document) const {
  HADAL_CHECK(document >= 0 && document < num_documents(), impl_->name, ": document ", document, " of ",
              num_documents());
  if (impl_->infos == nullptr) return {};
  return token_shard_layout::unpack_info(read_at<std::uint32_t>(impl_->infos, static_cast<std::uint64_t>(document)));
}

index_t TokenShard::num_sequences() const {
  return static_cast<index_t>(impl_->num_sequences);
}
index_t TokenShard::sequence_length() const {
  return static_cast<index_t>(impl_->sequence_length);
}
index_t TokenShard::sequence_begin(index_t sequence) const {
  HADAL_CHECK(sequence >= 0 && sequence <= num_sequences() && impl_->sequences != nullptr, impl_->name, ": sequence ",
              sequence, " of ", num_sequences());
  return static_cast<index_t>(read_at<std::uint64_t>(impl_->sequences, static_cast<std::uint64_t>(sequence)));
}

void TokenShard::read_tokens(index_t first, std::span<int> out) const {
  const index_t count = static_cast<index_t>(out.size());
  HADAL_CHECK(first >= 0 && first <= num_tokens() && count <= num_tokens() - first, impl_->name, ": tokens [", first,
              ", ", first + count, ") of ", num_tokens());
  impl_->copy(static_cast<std::uint64_t>(first), out);
}

}  // namespace hadal
