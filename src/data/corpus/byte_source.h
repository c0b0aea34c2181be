#pragma once
// Bytes of a file in order, decompressed on the way. Memory is bounded whatever the file says.
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/error.h"

namespace hadal {

enum class Compression : std::uint8_t { kNone, kGzip, kZstd };

/// By the last extension: .gz, .zst (.zstd), anything else is not compressed.
Compression compression_of(const std::filesystem::path& path);

/// A stream of decompressed bytes. Several gzip members or zstd frames behind each other are one stream, as for gzip(1)
/// and zstd(1).
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills `out` as far as there are bytes; less than asked only at the end. A Failure says what is damaged: truncated
  /// or corrupt compression. Bytes before the damage were given by earlier calls and by `*good` of this one.
  virtual Result<std::size_t> read(std::span<char> out, std::size_t* good) = 0;
};

/// Reads from memory, which must outlive the source. `where` opens messages.
std::unique_ptr<ByteSource> make_byte_source(std::span<const std::byte> bytes, Compression compression,
                                             std::string where);
/// Opens a file. Throws Error when it cannot be opened.
std::unique_ptr<ByteSource> open_byte_source(const std::filesystem::path& path);

}  // namespace hadal
