#pragma once
// Memory that a thread is about to read: it asks for it while it waits for work and the memory bus would be idle.
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace hadal {

/// A range of cache lines, named by one thread and asked for by another. Nothing is read, so the memory may be gone.
class alignas(64) LinesAhead {
 public:
  static constexpr std::size_t kLine = 64;

  /// Instead of what was named before. Of more than half a second cache (512 KiB) only the first lines are meant.
  void expect(const std::byte* first, std::size_t bytes) {
    constexpr std::size_t kMostLines = 512 * 1024 / kLine;
    const std::uint64_t line = reinterpret_cast<std::uintptr_t>(first) / kLine, lines = bytes / kLine;
    left_.store(line << kCountBits | (lines < kMostLines ? lines : kMostLines), std::memory_order_relaxed);
  }

  /// Where the named range ends, what of it was asked for or not; whole lines.
  const std::byte* end() const {
    const std::uint64_t now = left_.load(std::memory_order_relaxed);
    return at((now >> kCountBits) + (now & kCountMask));
  }

  /// Asks for a few more lines: as many as can be under way at once, so call it at most every 20 nanoseconds (beyond
  /// that a processor drops what it is asked for).
  void ask() {
    constexpr std::uint64_t kAtOnce = 8;
    std::uint64_t now = left_.load(std::memory_order_relaxed);
    const std::uint64_t left = now & kCountMask, count = left < kAtOnce ? left : kAtOnce;
    if (count == 0) return;
    const std::uint64_t rest = now + (count << kCountBits) - count;
    if (!left_.compare_exchange_strong(now, rest, std::memory_order_relaxed)) return;  // another range by now
    const std::byte* line = at((rest >> kCountBits) - count);
    for (std::uint64_t i = 0; i < count; ++i) __builtin_prefetch(line + i * kLine, 0, 2);
  }

 private:
  static const std::byte* at(std::uint64_t line) {
    return reinterpret_cast<const std::byte*>(line * kLine);  // NOLINT(performance-no-int-to-ptr): kept in one word
  }
  static constexpr int kCountBits = 14;
  static constexpr std::uint64_t kCountMask = (std::uint64_t{1} << kCountBits) - 1;
  std::atomic<std::uint64_t> left_{0};  // number of the first line << kCountBits | lines
};

}  // namespace hadal
