#pragma once
// What this machine can do at most, measured where and when a kernel is: loops over registers, and reading memory.
#include "kernels/exec.h"
#include "tensor/storage.h"

namespace hadal::kernels {

/// Operations that a roof exists for. kI8: unsigned x signed bytes into i32 (VNNI), 0 where the instruction set lacks
/// it.
enum class RoofKind : std::uint8_t { kF32, kBF16, kI8 };

/// Operations of one probe: every thread runs `rounds` rounds of multiply-adds on registers only. Returns operations (a
/// multiply-add counts 2) of all threads; the caller takes the time.
double roofline_work(Exec& ex, RoofKind kind, index_t rounds);

/// Operations a second on all threads, best of several probes of about a millisecond each.
double measure_roof(Exec& ex, RoofKind kind);
/// Reads memory: a buffer far larger than the caches, one long stream for each thread.
class ReadProbe {
 public:
  static constexpr index_t kBytes = index_t{256} << 20;
  explicit ReadProbe(Exec& ex);
  /// Bytes a second of all threads together over the next `bytes` (at most kBytes) of the buffer.
  double measure(index_t bytes);

 private:
  static constexpr index_t kWords = kBytes / 8;
  Exec& exec_;
  Tensor buffer_;
  index_t next_ = 0;
};
/// The best of a few measurements of the whole buffer.
double measure_read_bandwidth(Exec& ex);

}  // namespace hadal::kernels
