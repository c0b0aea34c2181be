#include "base/mapping_guard.h"

#include <signal.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <utility>

#include "base/error.h"

namespace hadal {
namespace {

/// What the signal handler may read: no locks, no memory that could go away.
struct Slot {
  std::atomic<std::uintptr_t> begin{0}, end{0};  // whole pages; begin 0: free
  char path[512] = {};
};

constexpr std::uintptr_t kPage = 4096;
std::array<Slot, 1024> slots;  // files beyond that are not guarded
std::mutex slots_mutex;
enum class Cut : int { kNone, kBeingNoted, kNoted };
std::atomic<Cut> cut{Cut::kNone};
char cut_path[sizeof(Slot::path)];
struct sigaction previous;

/// The pages from the fault to the end of the mapping are gone: zeros take their place.
bool replace_pages(void* fault) {
  const auto address = reinterpret_cast<std::uintptr_t>(fault);
  for (Slot& slot : slots) {
    const std::uintptr_t begin = slot.begin.load(std::memory_order_acquire), end = slot.end.load();
    if (begin == 0 || address < begin || address >= end) continue;
    const std::uintptr_t in_page = address % kPage;
    if (::mmap(static_cast<std::byte*>(fault) - in_page, end - (address - in_page), PROT_READ,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
      return false;
    Cut none = Cut::kNone;
    if (cut.compare_exchange_strong(none, Cut::kBeingNoted)) {
      __builtin_memcpy(cut_path, slot.path, sizeof cut_path);  // the slot may come to hold another file
      cut.store(Cut::kNoted, std::memory_order_release);
    }
    return true;
  }
  return false;
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  if (replace_pages(info->si_addr)) return;
  if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr)
    return previous.sa_sigaction(signal, info, context);
  ::sigaction(signal, &previous, nullptr);
  ::raise(signal);  // comes when this one returns, and does what it would have done
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &previous);
  });
}

}  // namespace

MappingGuard::MappingGuard(std::span<const std::byte> mapping, const std::filesystem::path& path) {
  if (mapping.empty()) return;
  install_handler();
  const auto begin = reinterpret_cast<std::uintptr_t>(mapping.data());
  const std::lock_guard lock(slots_mutex);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    Slot& slot = slots[i];
    if (slot.begin.load() != 0) continue;
    std::snprintf(slot.path, sizeof slot.path, "%s", path.c_str());
    slot.end.store((begin + mapping.size() + kPage - 1) / kPage * kPage);
    slot.begin.store(begin, std::memory_order_release);
    slot_ = static_cast<int>(i);
    return;
  }
}

MappingGuard::~MappingGuard() {
  if (slot_ >= 0) slots[static_cast<std::size_t>(slot_)].begin.store(0);
}

MappingGuard::MappingGuard(MappingGuard&& other) noexcept : slot_(std::exchange(other.slot_, -1)) {}

MappingGuard& MappingGuard::operator=(MappingGuard&& other) noexcept {
  std::swap(slot_, other.slot_);
  return *this;
}

std::string_view cut_short() {
  return cut.load(std::memory_order_acquire) == Cut::kNoted ? std::string_view(cut_path) : std::string_view();
}

void check_mapped_files() {
  const std::string_view path = cut_short();
  HADAL_CHECK(path.empty(), path,
              ": became shorter while it was in use; what lay behind its end is lost. Restore it and start again");
}

}  // namespace hadal
