#include "nn/read_ahead.h"

#include <algorithm>

namespace hadal {
namespace {

constexpr index_t kBlock = DirectFile::kBlock, kRowsUnit = 128;
// Small ones (vectors, which are read first of all) say nothing about how far the reading has come.
constexpr std::size_t kSmall = std::size_t{1} << 16;
constexpr int kReaders = 2;

}  // namespace

ReadAhead::Piece ReadAhead::add(const MappedFile* file, const std::byte* data, index_t num_rows, index_t row_bytes,
                                bool whole) {
  const index_t units = std::max<index_t>(1, part_bytes_ / std::max<index_t>(1, row_bytes * kRowsUnit));
  const Piece piece{.first_part = parts_.size(),
                    .num_rows = num_rows,
                    .rows_of_part = whole ? num_rows : units * kRowsUnit,
                    .row_bytes = row_bytes};
  for (index_t row = 0; row < num_rows; row += piece.rows_of_part) {
    const index_t rows = std::min(piece.rows_of_part, num_rows - row);
    const std::span bytes(data + row * row_bytes, static_cast<std::size_t>(rows * row_bytes));
    parts_.push_back({.file = file, .bytes = bytes});
    ends_.push_back((ends_.empty() ? 0 : ends_.back()) + bytes.size());
  }
  if (file != nullptr && !direct_.contains(file)) direct_.emplace(file, DirectFile(file->path()));
  return piece;
}

void ReadAhead::pass(const Piece& piece, index_t first, index_t count, FunctionRef<void(const Rows&)> use) {
  HADAL_CHECK(first >= 0 && count >= 0 && first <= piece.num_rows - count, "read ahead: rows ", first, " and ", count,
              " more of ", piece.num_rows);
  while (count > 0) {
    const index_t part = first / piece.rows_of_part, begin_row = part * piece.rows_of_part;
    const index_t end_row = std::min(begin_row + piece.rows_of_part, piece.num_rows);
    const index_t now = std::min(count, end_row - first);
    const std::size_t number = piece.first_part + static_cast<std::size_t>(part);
    use({.first = first,
         .count = now,
         .part = begin(number),
         .first_of_part = begin_row,
         .row_bytes = piece.row_bytes});
    if (first + now == end_row) end(number);
    first += now, count -= now;
  }
}

/// Where the bytes of a part are; waits for them.
const std::byte* ReadAhead::begin(std::size_t number) {
  Part& part = parts_[number];
  if (part.file == nullptr || part.bytes.size() < kSmall) return part.bytes.data();
  std::unique_lock lock(mutex_);
  ask_beyond(number);
  for (;;) {
    if (part.state == State::kReady) return part.buffer + offset(part) % kBlock;
    // A ring full of what nobody has used yet must not make its reader wait for us, and us for it.
    if (part.state == State::kAsked && starved_ > 0) part.state = State::kMapped, room_.notify_all();
    if (part.state == State::kMapped) return part.bytes.data();
    ready_.wait(lock);
  }
}

/// All of a part was used.
void ReadAhead::end(std::size_t number) {
  Part& part = parts_[number];
  if (part.file == nullptr) return;
  {
    const std::lock_guard lock(mutex_);
    if (part.state == State::kReady) {
      part.state = State::kMapped;
      return free_room();
    }
  }
  release_mapped(part.bytes);
}

void ReadAhead::ask_beyond(std::size_t number) {
  if (finished_) return;
  if (readers_.empty()) start();
  const auto beyond = std::upper_bound(ends_.begin(), ends_.end(), ends_[number] + static_cast<std::size_t>(window_));
  const std::size_t first = std::max(asked_, number);
  asked_ = std::max(first, static_cast<std::size_t>(beyond - ends_.begin()));
  for (std::size_t i = first; i < asked_; ++i)
    if (parts_[i].file != nullptr && parts_[i].bytes.size() >= kSmall) parts_[i].state = State::kAsked;
  work_.notify_all();
}

void ReadAhead::start() {
  // What is in hand should not be much beside what is kept.
  const auto total = static_cast<index_t>(ends_.back());
  window_ = std::clamp(total / 32, std::min(window_, 2 * part_bytes_), window_);
  index_t largest = 0;
  for (const Part& part : parts_)
    if (std::ssize(part.bytes) <= largest_) largest = std::max<index_t>(largest, std::ssize(part.bytes));
  const index_t in_hand = largest + part_bytes_ * static_cast<index_t>(std::thread::hardware_concurrency());
  ring_ = Storage((window_ + in_hand) / kBlock * kBlock);
  for (int i = 0; i < kReaders; ++i) readers_.emplace_back([this] { read_loop(); });
}

void ReadAhead::read_loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return finished_ || next_ < asked_; });
    if (finished_) return;
    const std::size_t number = next_++;
    Part& part = parts_[number];
    if (part.state != State::kAsked) continue;
    lock.unlock();
    const DirectFile* file = direct(part);
    if (file == nullptr) prefetch_mapped(part.bytes);
    lock.lock();
    while (file != nullptr && part.state == State::kAsked && !finished_ && !take_room(number)) {
      ++starved_;
      ready_.notify_all();
      room_.wait(lock);
      --starved_;
    }
    if (finished_) return;
    if (file != nullptr && part.state == State::kAsked) {
      part.state = State::kReading;
      lock.unlock();
      const bool done = read(*file, part);
      lock.lock();
      part.state = done ? State::kReady : State::kMapped;
      if (!done) free_room();  // the mapping will tell why
    } else {
      part.state = State::kMapped;
    }
    ready_.notify_all();
  }
}

/// The file to read a part from; nullptr: its mapping is better.
const DirectFile* ReadAhead::direct(const Part& part) const {
  const DirectFile& file = direct_.at(part.file);
  const bool same = file.id() == part.file->id();  // another file may have taken its name
  return same && std::ssize(part.bytes) <= largest_ && !is_in_page_cache(part.bytes) ? &file : nullptr;
}

index_t ReadAhead::offset(const Part& part) {
  return part.bytes.data() - part.file->bytes().data();
}

/// Whole blocks around a part.
index_t ReadAhead::block_bytes(const Part& part) {
  return (offset(part) % kBlock + std::ssize(part.bytes) + kBlock - 1) / kBlock * kBlock;
}

bool ReadAhead::read(const DirectFile& file, const Part& part) {
  const std::span to(part.buffer, static_cast<std::size_t>(block_bytes(part)));
  const index_t in_block = offset(part) % kBlock;
  return file.read(to, offset(part) - in_block) >= static_cast<std::size_t>(in_block) + part.bytes.size();
}

bool ReadAhead::take_room(std::size_t number) {
  const index_t size = block_bytes(parts_[number]), capacity = ring_.size();
  index_t begin = taken_end_;
  if (begin % capacity + size > capacity) begin += capacity - begin % capacity;  // in one piece
  if (taken_.empty()) free_from_ = begin;
  if (begin + size - free_from_ > capacity) return false;
  parts_[number].buffer = ring_.data() + begin % capacity;
  taken_end_ = begin + size;
  taken_.push_back({number, taken_end_});
  return true;
}

/// Of the parts at the ring's end that nobody needs any more.
void ReadAhead::free_room() {
  while (!taken_.empty()) {
    const State state = parts_[taken_.front().part].state;
    if (state == State::kReading || state == State::kReady) break;
    free_from_ = taken_.front().end;
    taken_.pop_front();
  }
  room_.notify_all();
}

void ReadAhead::finish() {
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }
  work_.notify_all();
  room_.notify_all();
  for (std::thread& reader : readers_) reader.join();
  readers_.clear();
  for (Part& part : parts_) part.state = State::kMapped;
  direct_.clear();
  ring_ = {};
}

}  // namespace hadal
