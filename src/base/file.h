#pragma once
// Whole files in and out. Every failure is an Error with the path and the reason of the system.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/descriptor.h"
#include "base/mapping_guard.h"

namespace hadal {

/// The bytes of a regular file. Throws when it is larger than max_bytes.
std::string read_file(const std::filesystem::path& path, std::int64_t max_bytes = std::int64_t{1} << 32);

/// What stays the same when a file is renamed.
struct FileId {
  std::uint64_t device = 0, inode = 0;
  bool operator==(const FileId&) const = default;
};

/// A regular file, mapped for reading. Empty files give an empty span. A file that others cut short while it is mapped
/// reads as zeros from there on (base/mapping_guard.h).
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  std::span<const std::byte> bytes() const { return bytes_; }
  const std::filesystem::path& path() const { return path_; }
  FileId id() const { return id_; }

 private:
  std::filesystem::path path_;
  FileId id_;
  std::span<const std::byte> bytes_;
  MappingGuard guard_;
};

/// Bytes of a MappedFile that will be needed soon: the system starts to read them. Does not wait.
void prefetch_mapped(std::span<const std::byte> bytes);
/// Bytes of a MappedFile that are not needed for now: their pages no longer count as memory of this process. They are
/// read from the file again when they are touched.
void release_mapped(std::span<const std::byte> bytes);

/// Whether most of the pages of these bytes of a MappedFile are in memory, so that touching them reads no disk. True
/// for files that this user may not write: the system does not tell.
bool is_in_page_cache(std::span<const std::byte> bytes);

/// Reads past the page cache: no copy on the way, and no memory but the reader's.
class DirectFile {
 public:
  static constexpr std::size_t kBlock = 4096;
  /// Some file systems have no such reads, which then fail.
  explicit DirectFile(const std::filesystem::path& path);
  /// Bytes of the file from `offset` on; this, the size and the address of `to` are multiples of kBlock. How many:
  /// fewer at the end of the file, and after a failure. From any thread.
  std::size_t read(std::span<std::byte> to, std::int64_t offset) const;
  FileId id() const;

 private:
  Descriptor fd_;
};

/// A file that appears whole or not at all: bytes go to a temporary name in the same folder; commit() syncs it, renames
/// it to `path` and syncs the folder. Without commit(), or when anything fails (a full disk), the temporary file is
/// removed and what stood at `path` stays as it was.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// At a place of its own, from any thread. Does not move the place of write().
  void write_at(std::int64_t offset, std::span<const std::byte> bytes);
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  int fd_ = -1;
};

/// AtomicFile with all bytes at once.
void write_file_atomically(const std::filesystem::path& path, std::string_view bytes);
/// Makes the names of a folder (renames, new files) last through a crash.
void sync_folder(const std::filesystem::path& folder);
/// Bytes that an ordinary user can still write to the disk of `path`, or of its nearest parent that exists.
std::int64_t free_disk_bytes(const std::filesystem::path& path);

}  // namespace hadal
