#include "nn/read_ahead.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "base/random.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

constexpr index_t kWindow = 4 << 20;

/// A file of random bytes that is not in the page cache, and tensors of many sizes in it.
struct File {
  struct Stored {
    index_t offset, rows, row_bytes;
    bool whole;
  };
  TempDir dir;
  std::string bytes;
  std::vector<Stored> tensors;
  std::unique_ptr<MappedFile> file;

  explicit File(index_t size) : bytes(static_cast<std::size_t>(size), '\0') {
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      const std::uint64_t word = random_bits(1, Stream::kTest, i);
      std::memcpy(bytes.data() + i, &word, sizeof word);
    }
    index_t at = 24;
    for (index_t i = 0; at < size; ++i) {
      const index_t row_bytes = 1 + (i * 977) % 5000;
      const index_t rows = i % 7 == 0 ? 1 : std::min<index_t>(1 + (i * 389) % 1500, (size - at) / row_bytes);
      if (rows == 0 || rows * row_bytes > size - at) break;
      tensors.push_back({at, rows, row_bytes, i % 5 == 0});
      at += rows * row_bytes;
    }
    write_file_atomically(dir / "f", bytes);
    evict();
    file = std::make_unique<MappedFile>(dir / "f");
  }
  void evict() const {
    const int fd = ::open((dir / "f").c_str(), O_RDONLY);
    ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
  std::vector<ReadAhead::Piece> add_to(ReadAhead& ahead) const {
    std::vector<ReadAhead::Piece> pieces;
    for (const Stored& t : tensors)
      pieces.push_back(ahead.add(file.get(), file->bytes().data() + t.offset, t.rows, t.row_bytes, t.whole));
    return pieces;
  }
  bool maps(const std::byte* p) const {
    return p >= file->bytes().data() && p < file->bytes().data() + file->bytes().size();
  }
  /// Reads a tensor, 128 rows at a time, and compares. How many calls got bytes that were read past the page cache.
  int check(ReadAhead& ahead, const ReadAhead::Piece& piece, const Stored& t) const {
    int direct = 0;
    for (index_t first = 0; first < t.rows; first += 128) {
      index_t seen = first;
      ahead.pass(piece, first, std::min<index_t>(128, t.rows - first), [&](const ReadAhead::Rows& rows) {
        EXPECT_EQ(rows.first, seen);
        seen += rows.count;
        EXPECT_EQ(std::memcmp(rows.row(rows.first), bytes.data() + t.offset + rows.first * t.row_bytes,
                              static_cast<std::size_t>(rows.count * t.row_bytes)),
                  0);
        EXPECT_TRUE(!t.whole || rows.row(0) == rows.part);
        if (!maps(rows.part)) ++direct;
      });
      EXPECT_EQ(seen, std::min(t.rows, first + 128));
    }
    return direct;
  }
};

TEST(ReadAhead, GivesTheBytesOfTheFile) {
  const File f(48 << 20);
  ReadAhead ahead(kWindow);
  const auto pieces = f.add_to(ahead);
  for (std::size_t i = 0; i < pieces.size(); ++i) f.check(ahead, pieces[i], f.tensors[i]);
}

TEST(ReadAhead, TakesNoPageCache) {
  File f(24 << 20);
  f.tensors.clear();
  for (index_t at = 1000; at + (1 << 20) <= 24 << 20; at += 1 << 20) f.tensors.push_back({at, 256, 4096, false});
  if (is_in_page_cache(f.file->bytes()) || DirectFile(f.dir / "f").id() != f.file->id())
    GTEST_SKIP() << "the file stays in the page cache, or its file system reads only through it";
  ReadAhead ahead(kWindow);
  const auto pieces = f.add_to(ahead);
  for (std::size_t i = 0; i < pieces.size(); ++i) EXPECT_EQ(f.check(ahead, pieces[i], f.tensors[i]), 2) << i;
  EXPECT_FALSE(is_in_page_cache(f.file->bytes()));
}

TEST(ReadAhead, SeveralThreadsTakePiecesInTurns) {
  const File f(48 << 20);
  ReadAhead ahead(kWindow);
  const auto pieces = f.add_to(ahead);
  ThreadPool pool(4);
  pool.parallel_for(std::ssize(pieces), [&](index_t i, int) {
    f.check(ahead, pieces[static_cast<std::size_t>(i)], f.tensors[static_cast<std::size_t>(i)]);
  });
}

TEST(ReadAhead, AnyOrderEndsAndMayStopAnywhere) {
  const File f(48 << 20);
  ReadAhead ahead(kWindow), stopped(kWindow);
  auto pieces = f.add_to(ahead);
  // Far more than the ring holds is asked for and never used, then used backwards.
  for (std::size_t i = 0; i < pieces.size(); i += 10) f.check(ahead, pieces[i], f.tensors[i]);
  for (std::size_t i = pieces.size(); i-- > 0;) f.check(ahead, pieces[i], f.tensors[i]);
  pieces = f.add_to(stopped);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (i == pieces.size() / 2) stopped.finish();
    f.check(stopped, pieces[i], f.tensors[i]);
  }
}

TEST(ReadAhead, AnotherFileOfThatNameIsNotRead) {
  const File f(8 << 20);
  write_file_atomically(f.dir / "f", std::string(8 << 20, 'x'));
  ReadAhead ahead(kWindow);
  const auto pieces = f.add_to(ahead);
  for (std::size_t i = 0; i < pieces.size(); ++i) EXPECT_EQ(f.check(ahead, pieces[i], f.tensors[i]), 0);
}

TEST(ReadAhead, WhatIsInMemoryStaysThere) {
  const std::string bytes(1 << 20, 'a');
  ReadAhead ahead(kWindow);
  const ReadAhead::Piece piece = ahead.add(nullptr, reinterpret_cast<const std::byte*>(bytes.data()), 1 << 10, 1 << 10);
  ahead.pass(piece, 0, 1 << 10, [&](const ReadAhead::Rows& rows) {
    EXPECT_EQ(rows.row(rows.first), reinterpret_cast<const std::byte*>(bytes.data()) + (rows.first << 10));
  });
  EXPECT_THROW(ahead.pass(piece, 1, 1 << 10, [](const ReadAhead::Rows&) {}), Error);
}

}  // namespace
}  // namespace hadal
