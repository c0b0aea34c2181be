#include "data/corpus/byte_source.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/file.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

// A zstd frame may ask for a window of gigabytes; zstd(1) refuses above 128 MB too unless told otherwise.
constexpr int kMaxZstdWindowLog = 27;

class PlainSource : public ByteSource {
 public:
  explicit PlainSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  Result<std::size_t> read(std::span<char> out, std::size_t* good) override {
    const std::size_t n = std::min(out.size(), bytes_.size());
    if (n > 0) std::memcpy(out.data(), bytes_.data(), n);
    bytes_ = bytes_.subspan(n);
    return *good = n;
  }

 private:
  std::span<const std::byte> bytes_;
};

class GzipSource : public ByteSource {
 public:
  GzipSource(std::span<const std::byte> bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {
    // 16: a gzip header is wanted, not a bare zlib stream.
    HADAL_CHECK(inflateInit2(&stream_, 15 + 16) == Z_OK, where_, ": zlib cannot start");
  }
  ~GzipSource() override { inflateEnd(&stream_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  Result<std::size_t> read(std::span<char> out, std::size_t* good) override {
    std::size_t& done = *good = 0;
    while (done < out.size() && !finished()) {
      constexpr std::size_t kAtOnce = std::numeric_limits<uInt>::max() / 2;
      const std::size_t in = std::min(bytes_.size(), kAtOnce), room = std::min(out.size() - done, kAtOnce);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes_.data()));
      stream_.avail_in = static_cast<uInt>(in);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + done);
      stream_.avail_out = static_cast<uInt>(room);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      const std::size_t used = in - stream_.avail_in, made = room - stream_.avail_out;
      bytes_ = bytes_.subspan(used);
      done += made;
      inside_ = true;
      if (status == Z_STREAM_END) {
        inside_ = false;
        inflateReset(&stream_);
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        return Failure{str_cat(where_, ": damaged gzip data: ", stream_.msg == nullptr ? "no reason" : stream_.msg)};
      } else if (used == 0 && made == 0) {
        return Failure{str_cat(where_, ": the gzip data is cut off")};
      }
    }
    return done;
  }

 private:
  /// Nothing more, or nothing but the zeros that tapes and some archives are filled up with.
  bool finished() const {
    return !inside_ && std::all_of(bytes_.begin(), bytes_.end(), [](std::byte b) { return b == std::byte{0}; });
  }

  std::span<const std::byte> bytes_;
  std::string where_;
  z_stream stream_{};
  bool inside_ = false;  // in the middle of a member
};

class ZstdSource : public ByteSource {
 public:
  ZstdSource(std::span<const std::byte> bytes, std::string where)
      : bytes_(bytes), where_(std::move(where)), stream_(ZSTD_createDStream()) {
    HADAL_CHECK(stream_ != nullptr, where_, ": zstd cannot start");
    ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  }
  ~ZstdSource() override { ZSTD_freeDStream(stream_); }
  ZstdSource(const ZstdSource&) = delete;
  ZstdSource& operator=(const ZstdSource&) = delete;

  Result<std::size_t> read(std::span<char> out, std::size_t* good) override {
    std::size_t& done = *good = 0;
    ZSTD_inBuffer in{bytes_.data(), bytes_.size(), at_};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    while (to.pos < to.size && (in.pos < in.size || pending_ != 0)) {
      const std::size_t in_before = in.pos, out_before = to.pos;
      const std::size_t status = ZSTD_decompressStream(stream_, &to, &in);
      at_ = in.pos;
      done = to.pos;
      if (ZSTD_isError(status) != 0)
        return Failure{str_cat(where_, ": damaged zstd data: ", ZSTD_getErrorName(status))};
      pending_ = status;
      if (in.pos == in_before && to.pos == out_before) return Failure{str_cat(where_, ": the zstd data is cut off")};
    }
    return done;
  }

 private:
  std::span<const std::byte> bytes_;
  std::string where_;
  ZSTD_DStream* stream_;
  std::size_t at_ = 0, pending_ = 0;  // pending: 0 between frames
};

/// Keeps the file mapped as long as it is read.
class FileSource : public ByteSource {
 public:
  explicit FileSource(const fs::path& path)
      : file_(path), source_(make_byte_source(file_.bytes(), compression_of(path), path.string())) {}
  Result<std::size_t> read(std::span<char> out, std::size_t* good) override {
    Result<std::size_t> count = source_->read(out, good);
    check_mapped_files();
    return count;
  }

 private:
  MappedFile file_;
  std::unique_ptr<ByteSource> source_;
};

}  // namespace

Compression compression_of(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".gz") return Compression::kGzip;
  if (extension == ".zst" || extension == ".zstd") return Compression::kZstd;
  return Compression::kNone;
}

std::unique_ptr<ByteSource> make_byte_source(std::span<const std::byte> bytes, Compression compression,
                                             std::string where) {
  if (compression == Compression::kGzip) return std::make_unique<GzipSource>(bytes, std::move(where));
  if (compression == Compression::kZstd) return std::make_unique<ZstdSource>(bytes, std::move(where));
  return std::make_unique<PlainSource>(bytes);
}

std::unique_ptr<ByteSource> open_byte_source(const fs::path& path) {
  return std::make_unique<FileSource>(path);
}

}  // namespace hadal
