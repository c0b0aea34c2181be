#pragma once
// Weights as the kernels of one CPU read them, in a file of this machine's own (a cache: nobody else reads it, and it
// can be made again). Every matrix begins at a page, so that it can be mapped or read past the page cache.
//   0   "hadalpk1", u64 length of the header, u64 XXH3 of the header
//   24  header, JSON: {"key": ..., "entries": [{"name", "matrices", "bytes", "offset", "checksums"}, ...]}
//   ... matrices, each at a multiple of kPage; zeros between them
// Untrusted all the same: sizes and offsets are checked when the file is opened, checksums of what is read.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "tensor/dtype.h"

namespace hadal {

/// Matrices of one size, one after the other.
struct PackedEntry {
  static constexpr index_t kPage = 4096;
  std::string name;
  index_t num_matrices = 0, bytes = 0;   // bytes: of one
  index_t offset = 0;                    // of the first, in the file
  std::vector<std::uint64_t> checksums;  // XXH3 of each
  /// From one matrix to the next: whole pages.
  index_t stride() const { return (bytes + kPage - 1) / kPage * kPage; }
};

/// Writes one file, matrix by matrix in any order, from any thread. It appears whole, with commit(), or not at all.
class PackedFileWriter {
 public:
  /// entries: name, num_matrices and bytes; the rest is set here. Throws Error when the disk has no room.
  PackedFileWriter(const std::filesystem::path& path, std::string key, std::vector<PackedEntry> entries);
  void write(const std::string& name, index_t matrix, std::span<const std::byte> bytes);
  void commit();

 private:
  std::string header() const;

  AtomicFile file_;
  std::string key_;
  std::vector<PackedEntry> entries_;
  std::map<std::string, std::size_t> index_;
};

/// An open file. It may be removed while it is open; what happens when it is cut short, read() and matrix() say.
class PackedFile {
 public:
  /// Throws Error on anything malformed, and when the file has not exactly the size that its entries ask for.
  explicit PackedFile(const std::filesystem::path& path);

  const std::string& key() const { return key_; }
  const std::vector<PackedEntry>& entries() const { return entries_; }
  /// nullptr: there is none of that name.
  const PackedEntry* find(const std::string& name) const;

  /// to[0 .. stride) (=) one matrix; `to` at a page is read past the page cache where the system can. From any thread.
  /// Throws Error when the file is shorter by now, cannot be read or does not have its checksum.
  void read(const PackedEntry& entry, index_t matrix, std::byte* to) const;
  /// The matrix in the mapped file, not checked; must not be cut short while it is in use.
  const std::byte* matrix(const PackedEntry& entry, index_t matrix) const;
  /// Maps the file for matrix(). Without it nothing can go wrong but read().
  void map();

 private:
  std::filesystem::path path_;
  std::string key_;
  std::vector<PackedEntry> entries_;
  std::map<std::string, std::size_t> index_;
  Descriptor fd_;
  DirectFile direct_;
  std::unique_ptr<MappedFile> mapped_;
};

}  // namespace hadal
