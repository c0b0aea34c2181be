#include "kernels/exec.h"

#include "kernels/table.h"

namespace hadal {

Exec::Exec(ThreadPool& p, Isa i) : pool(p), kernels(kernel_table(i)), isa(i), scratch_(static_cast<std::size_t>(p.num_threads()) + 1) {}

std::byte* Exec::scratch(int worker, index_t bytes) {
  Storage& s = scratch_[static_cast<std::size_t>(worker) + 1];
  if (s.size() < bytes) s = Storage(bytes + bytes / 4);
  return s.data();
}

}  // namespace hadal
