#pragma once
// What a kernel needs besides its operands: threads, scratch memory, and the table of implementations.
#include <vector>

#include "base/cpu_info.h"
#include "base/parallel.h"
#include "kernels/read_order.h"
#include "tensor/storage.h"

namespace hadal {

struct KernelTable;

/// Kernels overwrite (`=`) or add to (`+=`) their outputs; where both are useful the caller says which.
enum class Write : std::uint8_t { kAssign, kAdd };

/// One per thread that calls kernels. Not shared between threads.
class Exec {
 public:
  /// Implementations for `isa` (chosen_isa() unless a test wants another).
  explicit Exec(ThreadPool& pool, Isa isa = chosen_isa());

  ThreadPool& pool;
  const KernelTable& kernels;
  Isa isa;
  ReadOrder read_order;

  /// Scratch of worker `worker`, at least `bytes` long, cache-line aligned, with undefined content. Valid until the
  /// next call for the same worker; a kernel asks for all it needs at once. worker -1: one more buffer, for what the
  /// calling thread prepares and all workers read.
  std::byte* scratch(int worker, index_t bytes);
  /// One more buffer of this kind, for kernels that call other kernels (which use the ones above).
  std::byte* caller_scratch(index_t bytes);

 private:
  std::vector<Storage> scratch_;  // [0]: the shared one
  Storage caller_scratch_;
};

}  // namespace hadal
