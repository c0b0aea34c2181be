#include "data/corpus/work_file.h"

#include <xxhash.h>

#include <array>

namespace hadal {
namespace {

constexpr std::uint64_t kMagic = 0x314B4F574C444148;  // "HADLWOK1"
constexpr std::size_t kMaxSections = 7;

struct Header {
  std::uint64_t magic = kMagic, num_sections = 0;
  std::array<std::uint64_t, kMaxSections> bytes{}, checksums{};
};
static_assert(sizeof(Header) == 128);

std::size_t padding(std::uint64_t bytes) {
  return static_cast<std::size_t>((64 - bytes % 64) % 64);
}

}  // namespace

void write_work_file(const std::filesystem::path& path, std::span<const std::span<const std::byte>> sections) {
  HADAL_CHECK(sections.size() <= kMaxSections, "work file: ", sections.size(), " sections");
  Header header;
  header.num_sections = sections.size();
  for (std::size_t i = 0; i < sections.size(); ++i) {
    header.bytes[i] = sections[i].size();
    header.checksums[i] = XXH3_64bits(sections[i].data(), sections[i].size());
  }
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&header, 1)));
  for (const std::span<const std::byte> section : sections) {
    static constexpr std::array<std::byte, 64> kZeros{};
    file.write(section);
    file.write(std::span(kZeros).first(padding(section.size())));
  }
  file.commit();
}

WorkFile::WorkFile(const std::filesystem::path& path) : file_(path) {
  const std::span<const std::byte> bytes = file_.bytes();
  Header header;
  HADAL_CHECK(bytes.size() >= sizeof header, path.string(), ": cut off");
  std::memcpy(&header, bytes.data(), sizeof header);
  HADAL_CHECK(header.magic == kMagic && header.num_sections <= kMaxSections, path.string(), ": not a work file");
  std::size_t at = sizeof header;
  for (std::size_t i = 0; i < header.num_sections; ++i) {
    HADAL_CHECK(header.bytes[i] <= bytes.size() - at, path.string(), ": cut off");
    sections_.push_back(bytes.subspan(at, header.bytes[i]));
    HADAL_CHECK(XXH3_64bits(sections_[i].data(), sections_[i].size()) == header.checksums[i], path.string(),
                ": damaged; remove the work folder to begin anew");
    at = std::min(bytes.size(), at + header.bytes[i] + padding(header.bytes[i]));
  }
}

}  // namespace hadal
