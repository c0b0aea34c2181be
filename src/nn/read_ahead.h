#pragma once
// Tensors of files on their way from the disk to who converts them.
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/parallel.h"
#include "tensor/storage.h"

namespace hadal {

/// Reads tensors from the disk a while before they are used, so that files of any size pass through a window of memory:
/// past the page cache into a ring of buffers (half of the time of a cold start went into fresh pages), or, what is in
/// the page cache already and what cannot be read so, through the mapping of its file.
class ReadAhead {
 public:
  /// A tensor, cut into parts of several rows.
  struct Piece {
    std::size_t first_part = 0;
    index_t num_rows = 0, rows_of_part = 0, row_bytes = 0;
  };
  /// Rows [first, first + count) of a piece, in memory.
  struct Rows {
    index_t first = 0, count = 0;
    const std::byte* row(index_t r) const { return part + (r - first_of_part) * row_bytes; }

    const std::byte* part = nullptr;
    index_t first_of_part = 0, row_bytes = 0;
  };

  /// limit: about the most bytes that are read before they are used; less for small files.
  explicit ReadAhead(index_t limit = index_t{64} << 20) : window_(limit) {}
  ~ReadAhead() { finish(); }
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  /// The next tensor, in about the order of reading. file: that `data` lies in; nullptr: it is in memory anyhow. whole:
  /// who uses some rows needs all of them. All are added before the first is read.
  Piece add(const MappedFile* file, const std::byte* data, index_t num_rows, index_t row_bytes, bool whole = false);
  /// use(rows) for rows [first, first + count), in one call or, where they lie in several parts, in more; their number
  /// in all but the last is a multiple of 128. The rows of a piece are used once and in order; different pieces by any
  /// threads.
  void pass(const Piece& piece, index_t first, index_t count, FunctionRef<void(const Rows& rows)> use);
  /// Ends the reading ahead and frees its memory. What is passed later comes from the mapping.
  void finish();

 private:
  enum class State : std::uint8_t { kMapped, kAsked, kReading, kReady };
  struct Part {
    const MappedFile* file = nullptr;
    std::span<const std::byte> bytes;
    State state = State::kMapped;
    std::byte* buffer = nullptr;  // in the ring; whole blocks around `bytes`
  };
  struct Taken {
    std::size_t part = 0;
    index_t end = 0;
  };

  static index_t offset(const Part& part);
  static index_t block_bytes(const Part& part);
  static bool read(const DirectFile& file, const Part& part);
  const std::byte* begin(std::size_t number);
  void end(std::size_t number);
  void ask_beyond(std::size_t number);
  void start();
  void read_loop();
  const DirectFile* direct(const Part& part) const;
  bool take_room(std::size_t number);
  void free_room();

  index_t window_, part_bytes_ = window_ / 16, largest_ = window_;  // larger parts come from the mapping
  std::vector<Part> parts_;
  std::vector<std::size_t> ends_;  // bytes up to the end of each part
  std::map<const MappedFile*, DirectFile> direct_;

  std::mutex mutex_;
  std::condition_variable work_, ready_, room_;
  std::vector<std::thread> readers_;
  bool finished_ = false;
  std::size_t next_ = 0, asked_ = 0;  // parts [next_, asked_) wait for a reader
  int starved_ = 0;                   // readers that wait for room
  Storage ring_;
  std::deque<Taken> taken_;                // of the ring, in order
  index_t free_from_ = 0, taken_end_ = 0;  // bytes since the start: [free_from_, taken_end_) are in use
};

}  // namespace hadal
