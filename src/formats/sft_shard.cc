#include "formats/sft_shard.h"

#include <xxhash.h>

#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace hadal {
namespace {

constexpr char kMagic[] = {'H', 'A', 'D', 'A', 'L', 'S', 'F', 'T'};
constexpr std::uint32_t kVersion = 1;

struct Header {
  char magic[8];
  std::uint32_t version, token_bytes;
  std::uint64_t vocab_size, capacity, num_sequences, num_samples, num_tokens, checksum;
};
static_assert(sizeof(Header) == 64);

template <class T>
T read_at(const std::byte* p, std::uint64_t index) {
  T v;
  std::memcpy(&v, p + index * sizeof(T), sizeof v);
  return v;
}

/// n + 1 offsets that begin at 0, do not fall and end at `end`.
void check_offsets(const std::byte* offsets, std::uint64_t n, std::uint64_t end, const std::string& name,
                   std::string_view what) {
  std::uint64_t last = 0;
  for (std::uint64_t i = 0; i <= n; ++i) {
    const auto offset = read_at<std::uint64_t>(offsets, i);
    HADAL_CHECK(offset >= last && offset <= end && (i > 0 || offset == 0), name, ": ", what, " ", i, " begins at ",
                offset, " after ", last);
    last = offset;
  }
  HADAL_CHECK(last == end, name, ": ", what, "s end at ", last, " of ", end);
}

}  // namespace

struct SftShard::Impl {
  explicit Impl(const std::filesystem::path& path) : file(path), name(path.string()) {}
  MappedFile file;
  std::string name;
  Header header{};
  const std::byte *sequences = nullptr, *samples = nullptr, *sources = nullptr, *tokens = nullptr, *mask = nullptr;

  void check_sample(index_t sample) const {
    HADAL_CHECK(sample >= 0 && static_cast<std::uint64_t>(sample) < header.num_samples, name, ": sample ", sample,
                " of ", header.num_samples);
  }
};

SftShard::SftShard(const std::filesystem::path& path, bool verify) : impl_(std::make_unique<Impl>(path)) {
  Impl& s = *impl_;
  const auto bytes = s.file.bytes();
  HADAL_CHECK(bytes.size() >= sizeof(Header), s.name, ": ", bytes.size(), " bytes, the header of an SFT shard has ",
              sizeof(Header));
  std::memcpy(&s.header, bytes.data(), sizeof(Header));
  const Header& h = s.header;
  HADAL_CHECK(std::memcmp(h.magic, kMagic, sizeof kMagic) == 0, s.name, ": not an SFT shard (wrong first bytes)");
  HADAL_CHECK(h.version == kVersion, s.name, ": version ", h.version, ", want ", kVersion);
  HADAL_CHECK(h.token_bytes == 2 || h.token_bytes == 4, s.name, ": ", h.token_bytes, " bytes a token, want 2 or 4");
  HADAL_CHECK(h.vocab_size > 0 && h.vocab_size <= 0x7FFFFFFF, s.name, ": vocabulary of ", h.vocab_size);
  const std::uint64_t rest = bytes.size() - sizeof(Header);
  // Bounds first, so that the sums below cannot overflow.
  HADAL_CHECK(
      h.num_sequences < rest / 8 && h.num_samples < rest / 16 + 1 && h.num_tokens <= rest / h.token_bytes &&
          (h.num_sequences + 1 + 2 * h.num_samples + 1) * 8 + h.num_tokens * h.token_bytes + (h.num_tokens + 7) / 8 ==
              rest,
      s.name, ": ", h.num_sequences, " sequences, ", h.num_samples, " samples and ", h.num_tokens,
      " tokens do not fill ", bytes.size(), " bytes");
  s.sequences = bytes.data() + sizeof(Header);
  s.samples = s.sequences + (h.num_sequences + 1) * 8;
  s.sources = s.samples + (h.num_samples + 1) * 8;
  s.tokens = s.sources + h.num_samples * 8;
  s.mask = s.tokens + h.num_tokens * h.token_bytes;
  if (verify) {
    const std::uint64_t hash = XXH3_64bits(s.sequences, rest);
    HADAL_CHECK(hash == h.checksum, s.name, ": checksum ", fmt::format("{:016x}", hash), ", want ",
                fmt::format("{:016x}", h.checksum));
  }
  check_offsets(s.sequences, h.num_sequences, h.num_samples, s.name, "sequence");
  check_offsets(s.samples, h.num_samples, h.num_tokens, s.name, "sample");
  for (std::uint64_t i = 0; i < h.num_sequences; ++i) {
    const auto first = read_at<std::uint64_t>(s.samples, read_at<std::uint64_t>(s.sequences, i));
    const auto last = read_at<std::uint64_t>(s.samples, read_at<std::uint64_t>(s.sequences, i + 1));
    HADAL_CHECK(last - first <= h.capacity, s.name, ": sequence ", i, " has ", last - first, " tokens, want at most ",
                h.capacity);
  }
}

SftShard::~SftShard() = default;
SftShard::SftShard(SftShard&&) noexcept = default;
SftShard& SftShard::operator=(SftShard&&) noexcept = default;

int SftShard::vocab_size() const {
  return static_cast<int>(impl_->header.vocab_size);
}
index_t SftShard::capacity() const {
  return static_cast<index_t>(impl_->header.capacity);
}
index_t SftShard::num_sequences() const {
  return static_cast<index_t>(impl_->header.num_sequences);
}
index_t SftShard::num_samples() const {
  return static_cast<index_t>(impl_->header.num_samples);
}
index_t SftShard::num_tokens() const {
  return static_cast<index_t>(impl_->header.num_tokens);
}
std::uint64_t SftShard::checksum() const {
  return impl_->header.checksum;
}

std::pair<index_t, index_t> SftShard::sequence(index_t index) const {
  HADAL_CHECK(index >= 0 && index < num_sequences(), impl_->name, ": sequence ", index, " of ", num_sequences());
  const auto i = static_cast<std::uint64_t>(index);
  return {static_cast<index_t>(read_at<std::uint64_t>(impl_->sequences, i)),
          static_cast<index_t>(read_at<std::uint64_t>(impl_->sequences, i + 1))};
}

index_t SftShard::sample_length(index_t sample) const {
  impl_->check_sample(sample);
  const auto i = static_cast<std::uint64_t>(sample);
  return static_cast<index_t>(read_at<std::uint64_t>(impl_->samples, i + 1) -
                              read_at<std::uint64_t>(impl_->samples, i));
}

index_t SftShard::source(index_t sample) const {
  impl_->check_sample(sample);
  return static_cast<index_t>(read_at<std::uint64_t>(impl_->sources, static_cast<std::uint64_t>(sample)));
}

void SftShard::read(index_t sample, std::vector<int>& ids, std::vector<char>& trained) const {
  impl_->check_sample(sample);
  const Header& h = impl_->header;
  const auto begin = read_at<std::uint64_t>(impl_->samples, static_cast<std::uint64_t>(sample));
  const auto end = read_at<std::uint64_t>(impl_->samples, static_cast<std::uint64_t>(sample) + 1);
  for (std::uint64_t t = begin; t < end; ++t) {
    const std::uint32_t id =
        h.token_bytes == 2 ? read_at<std::uint16_t>(impl_->tokens, t) : read_at<std::uint32_t>(impl_->tokens, t);
    HADAL_CHECK(id < h.vocab_size, impl_->name, ": token ", id, " is outside the vocabulary of ", h.vocab_size);
    ids.push_back(static_cast<int>(id));
    trained.push_back(static_cast<char>((static_cast<unsigned>(impl_->mask[t / 8]) >> (t % 8)) & 1U));
  }
}

void write_sft_shard(const std::filesystem::path& path, int vocab_size, index_t capacity,
                     std::span<const SftShardSample> samples, std::span<const std::vector<std::uint32_t>> sequences) {
  Header h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.version = kVersion;
  h.token_bytes = vocab_size <= 0x10000 ? 2 : 4;
  h.vocab_size = static_cast<std::uint64_t>(vocab_size);
  h.capacity = static_cast<std::uint64_t>(capacity);
  h.num_sequences = sequences.size();
  std::string sequence_offsets, sample_offsets, sources, tokens, mask;
  const auto append = [](std::string& to, auto value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  append(sequence_offsets, std::uint64_t{0});
  append(sample_offsets, std::uint64_t{0});
  for (const std::vector<std::uint32_t>& sequence : sequences) {
    const std::uint64_t begin = h.num_tokens;
    for (const std::uint32_t index : sequence) {
      HADAL_CHECK(index < samples.size(), path.string(), ": sample ", index, " of ", samples.size());
      const SftShardSample& sample = samples[index];
      HADAL_CHECK(sample.ids.size() == sample.trained.size(), path.string(), ": ", sample.ids.size(), " ids and ",
                  sample.trained.size(), " marks");
      for (std::size_t i = 0; i < sample.ids.size(); ++i, ++h.num_tokens) {
        const int id = sample.ids[i];
        HADAL_CHECK(id >= 0 && id < vocab_size, path.string(), ": token ", id, " is outside the vocabulary of ",
                    vocab_size);
        h.token_bytes == 2 ? append(tokens, static_cast<std::uint16_t>(id))
                           : append(tokens, static_cast<std::uint32_t>(id));
        if (h.num_tokens % 8 == 0) mask.push_back('\0');
        if (sample.trained[i])
          mask.back() = static_cast<char>(static_cast<unsigned>(mask.back()) | 1U << (h.num_tokens % 8));
      }
      append(sample_offsets, h.num_tokens);
      append(sources, static_cast<std::uint64_t>(sample.source));
      ++h.num_samples;
    }
    HADAL_CHECK(h.num_tokens - begin <= h.capacity, path.string(), ": a sequence of ", h.num_tokens - begin,
                " tokens, want at most ", capacity);
    append(sequence_offsets, h.num_samples);
  }
  HADAL_CHECK(h.num_samples == samples.size(), path.string(), ": the sequences hold ", h.num_samples, " samples of ",
              samples.size());
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  for (const std::string* part : {&sequence_offsets, &sample_offsets, &sources, &tokens, &mask})
    XXH3_64bits_update(state, part->data(), part->size());
  h.checksum = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  AtomicFile file(path);
  file.write({reinterpret_cast<const char*>(&h), sizeof h});
  for (const std::string* part : {&sequence_offsets, &sample_offsets, &sources, &tokens, &mask}) file.write(*part);
  file.commit();
}

}  // namespace hadal
