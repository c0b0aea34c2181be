#include "kernels/exec.h"

#include "kernels/table.h"

namespace hadal {

Exec::Exec(ThreadPool& p, Isa i)
    : pool(p), kernels(kernel_table(i)), isa(i), scratch_(static_cast<std::size_t>(p.num_threads()) + 1) {}

namespace {

std::byte* at_least(Storage& s, index_t bytes) {
  if (s.size() < bytes) s = Storage(bytes + bytes / 4);
  return s.data();
}

}  // namespace

std::byte* Exec::scratch(int worker, index_t bytes) {
  return at_least(scratch_[static_cast<std::size_t>(worker) + 1], bytes);
}
std::byte* Exec::caller_scratch(index_t bytes) {
  return at_least(caller_scratch_, bytes);
}

}  // namespace hadal
