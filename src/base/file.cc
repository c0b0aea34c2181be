#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kAtOnce = std::size_t{1} << 30;  // Linux writes less than 2 GB per call

[[noreturn]] void fail_errno(const fs::path& path, std::string_view what) {
  const int code = errno;
  fail(path.string(), ": cannot ", what, ": ", std::generic_category().message(code));
}

/// A regular file, open for reading, and its size.
struct RegularFile {
  // O_NONBLOCK: opening a named pipe must not wait for a writer.
  explicit RegularFile(const fs::path& path) : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (fd.get() < 0) fail_errno(path, "open");
    struct stat status = {};
    if (::fstat(fd.get(), &status) != 0) fail_errno(path, "stat");
    HADAL_CHECK(S_ISREG(status.st_mode), path.string(), ": not a regular file");
    size = status.st_size;
    id = {status.st_dev, status.st_ino};
  }
  Descriptor fd;
  FileId id;
  std::int64_t size = 0;
};

constexpr std::size_t kPage = 4096;

/// Bytes between the begin of the page and p.
std::size_t in_page(const std::byte* p) {
  return static_cast<std::size_t>(reinterpret_cast<std::uintptr_t>(p) % kPage);
}

}  // namespace

std::string read_file(const fs::path& path, std::int64_t max_bytes) {
  const RegularFile file(path);
  HADAL_CHECK(file.size <= max_bytes, path.string(), ": got ", file.size, " bytes, want at most ", max_bytes);
  std::string bytes(static_cast<std::size_t>(file.size), '\0');
  std::size_t used = 0;
  while (used < bytes.size()) {
    const ssize_t n = ::read(file.fd.get(), bytes.data() + used, bytes.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno(path, "read");
    if (n == 0) break;  // it shrank since
    used += static_cast<std::size_t>(n);
  }
  bytes.resize(used);
  return bytes;
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const RegularFile file(path);
  id_ = file.id;
  const auto size = static_cast<std::size_t>(file.size);
  if (size == 0) return;
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd.get(), 0);
  if (data == MAP_FAILED) fail_errno(path, "map");
  bytes_ = {static_cast<const std::byte*>(data), size};
  guard_ = MappingGuard(bytes_, path);
}

MappedFile::~MappedFile() {
  guard_ = {};  // before the addresses belong to somebody else
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      id_(other.id_),
      bytes_(std::exchange(other.bytes_, {})),
      guard_(std::move(other.guard_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(id_, other.id_);
  std::swap(bytes_, other.bytes_);
  std::swap(guard_, other.guard_);
  return *this;
}

void prefetch_mapped(std::span<const std::byte> bytes) {
  // One call asks for no more than the read-ahead of the disk, which is at least this much.
  constexpr std::size_t kStep = std::size_t{128} << 10;
  const std::size_t before = in_page(bytes.data()), size = bytes.size() + before;
  std::byte* first = const_cast<std::byte*>(bytes.data()) - before;
  for (std::size_t at = 0; at < size; at += kStep) ::madvise(first + at, std::min(kStep, size - at), MADV_WILLNEED);
}

void release_mapped(std::span<const std::byte> bytes) {
  // Neighbours keep the pages that they share.
  const std::size_t skipped = (kPage - in_page(bytes.data())) % kPage;
  if (skipped >= bytes.size()) return;
  const std::size_t whole = (bytes.size() - skipped) / kPage * kPage;
  if (whole > 0) ::madvise(const_cast<std::byte*>(bytes.data()) + skipped, whole, MADV_DONTNEED);
}

bool is_in_page_cache(std::span<const std::byte> bytes) {
  if (bytes.empty()) return true;
  const std::size_t before = in_page(bytes.data()), size = bytes.size() + before;
  std::vector<unsigned char> pages((size + kPage - 1) / kPage);
  if (::mincore(const_cast<std::byte*>(bytes.data()) - before, size, pages.data()) != 0) return false;
  const auto there = std::ranges::count_if(pages, [](unsigned char page) { return (page & 1) != 0; });
  return 2 * there > std::ssize(pages);
}

DirectFile::DirectFile(const fs::path& path)
    : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_DIRECT)) {}

std::size_t DirectFile::read(std::span<std::byte> to, std::int64_t offset) const {
  std::size_t done = 0;
  while (done < to.size()) {
    const ssize_t n = ::pread(fd_.get(), to.data() + done, to.size() - done, offset + static_cast<std::int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
    if (done % kBlock != 0) break;  // the end of the file
  }
  return done;
}

FileId DirectFile::id() const {
  struct stat status = {};
  if (::fstat(fd_.get(), &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  // The process id and a counter keep writers of the same path apart.
  static std::atomic<unsigned> counter{0};
  temporary_ = path_;
  temporary_ += str_cat(".", ::getpid(), "-", counter.fetch_add(1), ".tmp");
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) fail_errno(temporary_, "create");
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  HADAL_CHECK(fd_ >= 0, path_.string(), ": written to after commit");
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), std::min(bytes.size(), kAtOnce));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno(temporary_, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void AtomicFile::write_at(std::int64_t offset, std::span<const std::byte> bytes) {
  HADAL_CHECK(fd_ >= 0, path_.string(), ": written to after commit");
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd_, bytes.data(), std::min(bytes.size(), kAtOnce), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno(temporary_, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(n)), offset += n;
  }
}

void AtomicFile::commit() {
  HADAL_CHECK(fd_ >= 0, path_.string(), ": committed twice");
  if (::fsync(fd_) != 0) fail_errno(temporary_, "sync");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_errno(path_, "rename to");
  ::close(std::exchange(fd_, -1));
  sync_folder(path_.parent_path());
}

void write_file_atomically(const fs::path& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void sync_folder(const fs::path& folder) {
  const fs::path name = folder.empty() ? fs::path(".") : folder;
  const Descriptor fd(::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) fail_errno(name, "open");
  // Some network file systems cannot sync a folder; their renames are as durable as they make them.
  if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != ENOTSUP) fail_errno(name, "sync");
}

std::int64_t free_disk_bytes(const fs::path& path) {
  fs::path place = fs::absolute(path);
  std::error_code ignored;
  while (!fs::exists(place, ignored) && place.has_parent_path() && place != place.parent_path())
    place = place.parent_path();
  struct statvfs status = {};
  if (::statvfs(place.c_str(), &status) != 0) fail_errno(place, "ask for free space of");
  return static_cast<std::int64_t>(status.f_bavail) * static_cast<std::int64_t>(status.f_frsize);
}

}  // namespace hadal
