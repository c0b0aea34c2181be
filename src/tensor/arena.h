#pragma once
// Step-lived and request-lived buffers: one block of memory, handed out from front to back.
#include <vector>

#include "tensor/storage.h"

namespace hadal {

/// A bump allocator. Blocks are added when needed and kept; after reset() the next round runs without allocating.
class Arena {
 public:
  explicit Arena(index_t block_bytes = index_t{1} << 24) : block_bytes_(block_bytes) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Uninitialised memory, aligned to a cache line, valid until the mark before it is restored.
  std::byte* allocate(index_t bytes);
  View view(DType dtype, index_t rows, index_t cols) {
    return {allocate(bytes_of(dtype, rows * cols)), dtype, rows, cols, cols};
  }
  View zeros(DType dtype, index_t rows, index_t cols);
  template <class T>
  std::span<T> span(index_t count) {
    return {reinterpret_cast<T*>(allocate(count * static_cast<index_t>(sizeof(T)))), static_cast<std::size_t>(count)};
  }
  template <class T>
  Mat<T> mat(index_t rows, index_t cols) {
    return {span<T>(rows * cols).data(), rows, cols, cols};
  }

  struct Mark {
    std::size_t block = 0;
    index_t used = 0;
  };
  Mark mark() const { return {block_, used_}; }
  /// Gives back everything allocated after `mark`.
  void restore(Mark mark) { block_ = mark.block, used_ = mark.used; }
  void reset() { restore({}); }
  /// Bytes held, and the most that were in use at one time.
  index_t capacity() const;
  index_t peak() const { return peak_; }

 private:
  index_t block_bytes_;
  std::vector<Storage> blocks_;
  std::size_t block_ = 0;  // the block in use
  index_t used_ = 0;       // bytes of it
  index_t peak_ = 0;
};

/// Gives back what was allocated during its life (unless `active` is false).
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena, bool active = true) : arena_(arena), mark_(arena.mark()), active_(active) {}
  ~ArenaScope() {
    if (active_) arena_.restore(mark_);
  }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
  bool active_;
};

}  // namespace hadal
