#pragma once
// What this machine can do at most, measured where and when a kernel is: loops over registers, and reading memory.
#include "kernels/exec.h"

namespace hadal::kernels {

/// Operations that a roof exists for. kI8: unsigned x signed bytes into i32 (VNNI), 0 where the instruction set lacks
/// it.
enum class RoofKind : std::uint8_t { kF32, kBF16, kI8 };

/// Operations of one probe: every thread runs `rounds` rounds of multiply-adds on registers only. Returns operations (a
/// multiply-add counts 2) of all threads; the caller takes the time.
double roofline_work(Exec& ex, RoofKind kind, index_t rounds);

/// Operations a second on all threads, best of several probes of about a millisecond each.
double measure_roof(Exec& ex, RoofKind kind);
/// Bytes a second that all threads together read from memory (a buffer far larger than the caches).
double measure_read_bandwidth(Exec& ex);

}  // namespace hadal::kernels
