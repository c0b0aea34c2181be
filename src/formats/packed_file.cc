#include "formats/packed_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace hadal {
namespace {

constexpr std::string_view kMagic = "hadalpk1";
constexpr index_t kPrefix = 24, kMaxHeader = index_t{1} << 28, kDigits = 16;

index_t round_to_page(index_t n) {
  return (n + PackedEntry::kPage - 1) / PackedEntry::kPage * PackedEntry::kPage;
}

std::map<std::string, std::size_t> index_of(const std::vector<PackedEntry>& entries, const std::string& where) {
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < entries.size(); ++i)
    HADAL_CHECK(index.emplace(entries[i].name, i).second, where, ": ", entries[i].name, " is there twice");
  return index;
}

/// Where the last matrix ends.
index_t end_of(const std::vector<PackedEntry>& entries, index_t begin) {
  for (const PackedEntry& e : entries) begin = std::max(begin, e.offset + e.num_matrices * e.stride());
  return begin;
}

/// All of `bytes` at `offset`. What is wrong, or nothing.
std::string read_at(int fd, std::span<std::byte> bytes, index_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pread(fd, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return "cannot read: " + std::generic_category().message(errno);
    if (n == 0) return str_cat("ends at byte ", offset, ", where weights should be: it was cut short");
    bytes = bytes.subspan(static_cast<std::size_t>(n)), offset += n;
  }
  return {};
}

std::vector<std::uint64_t> parse_checksums(std::string_view digits, index_t count, const ObjectReader& entry) {
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(count));
  if (std::ssize(digits) != count * kDigits) entry.reject("checksums", str_cat(count * kDigits, " digits"));
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const char* begin = digits.data() + i * kDigits;
    const auto [end, error] = std::from_chars(begin, begin + kDigits, sums[i], 16);
    if (error != std::errc() || end != begin + kDigits) entry.reject("checksums", "hexadecimal digits");
  }
  return sums;
}

}  // namespace

PackedFileWriter::PackedFileWriter(const std::filesystem::path& path, std::string key, std::vector<PackedEntry> entries)
    : file_(path), key_(std::move(key)), entries_(std::move(entries)), index_(index_of(entries_, path.string())) {
  for (PackedEntry& e : entries_) e.checksums.assign(static_cast<std::size_t>(e.num_matrices), 0);
  // Offsets and checksums have a fixed width in the header, so its length is known before them.
  index_t at = round_to_page(kPrefix + std::ssize(header()));
  for (PackedEntry& e : entries_) e.offset = std::exchange(at, at + e.num_matrices * e.stride());
  const index_t room = free_disk_bytes(path.parent_path());
  HADAL_CHECK(room > at, path.string(), ": needs ", at, " bytes, the disk has ", room);
  // The last page too is whole.
  if (at > 0) file_.write_at(at - 1, std::as_bytes(std::span("", 1)));
}

std::string PackedFileWriter::header() const {
  std::string text = "{\"key\":";
  append_json_string(text, key_);
  text += ",\"entries\":[";
  for (const PackedEntry& e : entries_) {
    if (&e != entries_.data()) text += ',';
    text += "{\"name\":";
    append_json_string(text, e.name);
    text +=
        fmt::format(R"(,"matrices":{},"bytes":{},"offset":"{:016x}","checksums":")", e.num_matrices, e.bytes, e.offset);
    for (const std::uint64_t sum : e.checksums) text += fmt::format("{:016x}", sum);
    text += "\"}";
  }
  return text + "]}";
}

void PackedFileWriter::write(const std::string& name, index_t matrix, std::span<const std::byte> bytes) {
  PackedEntry& e = entries_[index_.at(name)];
  HADAL_CHECK(matrix < e.num_matrices && std::ssize(bytes) == e.bytes, name, ": matrix ", matrix, " of ", bytes.size(),
              " bytes, want ", e.num_matrices, " of ", e.bytes);
  e.checksums[static_cast<std::size_t>(matrix)] = XXH3_64bits(bytes.data(), bytes.size());
  file_.write_at(e.offset + matrix * e.stride(), bytes);
}

void PackedFileWriter::commit() {
  const std::string text = header();
  std::string begin(kMagic);
  const std::uint64_t numbers[] = {text.size(), XXH3_64bits(text.data(), text.size())};
  begin.append(reinterpret_cast<const char*>(numbers), sizeof numbers);
  begin += text;
  file_.write_at(0, std::as_bytes(std::span(begin)));
  file_.commit();
}

PackedFile::PackedFile(const std::filesystem::path& path) : path_(path), direct_(path) {
  const std::string where = path.string();
  fd_ = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  HADAL_CHECK(fd_.get() >= 0, where, ": cannot open: ", std::generic_category().message(errno));
  struct stat status = {};
  HADAL_CHECK(::fstat(fd_.get(), &status) == 0 && S_ISREG(status.st_mode), where, ": not a regular file");
  const index_t size = status.st_size;
  char prefix[kPrefix];
  HADAL_CHECK(size >= kPrefix, where, ": got ", size, " bytes, want at least ", kPrefix);
  std::string problem = read_at(fd_.get(), std::as_writable_bytes(std::span(prefix)), 0);
  HADAL_CHECK(problem.empty(), where, ": ", problem);
  HADAL_CHECK(std::string_view(prefix, kMagic.size()) == kMagic, where, ": not a file of packed weights");
  std::uint64_t numbers[2];
  std::memcpy(numbers, prefix + kMagic.size(), sizeof numbers);
  HADAL_CHECK(numbers[0] <= static_cast<std::uint64_t>(std::min(size - kPrefix, kMaxHeader)), where, ": header of ",
              numbers[0], " bytes in a file of ", size);
  std::string text(numbers[0], '\0');
  problem = read_at(fd_.get(), std::as_writable_bytes(std::span(text)), kPrefix);
  HADAL_CHECK(problem.empty(), where, ": ", problem);
  HADAL_CHECK(XXH3_64bits(text.data(), text.size()) == numbers[1], where, ": the header does not have its checksum");

  const Json json = parse_json(text, where, {.max_bytes = kMaxHeader, .max_depth = 4});
  ObjectReader reader(json, where);
  key_ = reader.get<std::string>("key");
  const Json& list = reader.value("entries");
  if (!list.is_array()) reader.reject("entries", "a list");
  reader.finish();
  const index_t begin = round_to_page(kPrefix + std::ssize(text));
  for (const Json& item : list.get_array()) {
    ObjectReader entry(item, where, str_cat("entries[", entries_.size(), "]"));
    PackedEntry e;
    e.name = entry.get<std::string>("name");
    e.num_matrices = entry.get<std::int64_t>("matrices"), e.bytes = entry.get<std::int64_t>("bytes");
    const auto offset = entry.get<std::string>("offset");
    if (e.num_matrices < 1 || e.bytes < 1 || e.bytes > size || e.num_matrices > size / e.stride())
      entry.reject("matrices", "what fits into the file");
    e.offset = static_cast<index_t>(parse_checksums(offset, 1, entry)[0]);
    if (e.offset < begin || e.offset % PackedEntry::kPage != 0 || e.offset > size - e.num_matrices * e.stride())
      entry.reject("offset", "a page of the file");
    e.checksums = parse_checksums(entry.get<std::string>("checksums"), e.num_matrices, entry);
    entry.finish();
    entries_.push_back(std::move(e));
  }
  index_ = index_of(entries_, where);
  const index_t want = end_of(entries_, begin);
  HADAL_CHECK(size == want, where, ": got ", size, " bytes, want ", want);
}

const PackedEntry* PackedFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

void PackedFile::read(const PackedEntry& entry, index_t matrix, std::byte* to) const {
  const bool aligned = reinterpret_cast<std::uintptr_t>(to) % PackedEntry::kPage == 0;
  const index_t offset = entry.offset + matrix * entry.stride();
  const std::span bytes(to, static_cast<std::size_t>(entry.stride()));
  std::string problem;
  if (!aligned || direct_.read(bytes, offset) < bytes.size()) problem = read_at(fd_.get(), bytes, offset);
  if (problem.empty() &&
      XXH3_64bits(to, static_cast<std::size_t>(entry.bytes)) != entry.checksums[static_cast<std::size_t>(matrix)])
    problem = str_cat("the weights of ", entry.name, ", matrix ", matrix, ", do not have their checksum");
  HADAL_CHECK(problem.empty(), path_.string(), ": ", problem);
}

const std::byte* PackedFile::matrix(const PackedEntry& entry, index_t matrix) const {
  return mapped_->bytes().data() + entry.offset + matrix * entry.stride();
}

void PackedFile::map() {
  mapped_ = std::make_unique<MappedFile>(path_);
  HADAL_CHECK(std::ssize(mapped_->bytes()) == end_of(entries_, 0), path_.string(), ": changed while it was opened");
}

}  // namespace hadal
