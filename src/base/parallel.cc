#include "base/parallel.h"

#include <immintrin.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"

namespace hadal {
namespace {

thread_local bool inside_loop = false;

int cpus_of_process() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}

// About 100 microseconds: longer than the serial gaps inside a training step, shorter than a user notices on a laptop.
constexpr int kSpins = 20000;

}  // namespace

struct ThreadPool::Impl {
  struct Loop {
    FunctionRef<void(index_t, int)>* body = nullptr;
    index_t num_tasks = 0;
  };

  // The gate of the present loop: its number, whether workers may still join, and how many are inside. A worker that
  // comes late, because its CPU was busy elsewhere, finds the gate closed and nobody waits for it.
  static constexpr std::uint64_t kLoopNumber = std::uint64_t{1} << 32, kOpen = std::uint64_t{1} << 31,
                                 kInside = kOpen - 1;
  std::atomic<std::uint64_t> gate{0};

  std::vector<LinesAhead> ahead;
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<bool> stopping{false};
  std::atomic<int> sleeping{0};
  std::atomic<index_t> next{0};
  Loop loop;  // changes only while nobody is inside
  std::mutex error_mutex;
  std::exception_ptr error;

  void run_tasks(int worker) {
    inside_loop = true;
    for (;;) {
      const index_t task = next.fetch_add(1, std::memory_order_relaxed);
      if (task >= loop.num_tasks) break;
      try {
        (*loop.body)(task, worker);
      } catch (...) {
        const std::lock_guard lock(error_mutex);
        if (!error) error = std::current_exception();
        next.store(loop.num_tasks, std::memory_order_relaxed);
      }
    }
    inside_loop = false;
  }

  void pause(int worker) {
    ahead[static_cast<std::size_t>(worker)].ask();
    _mm_pause();
  }

  /// Whether there is a loop that a worker who was last in loop `seen` may join.
  bool open_for(std::uint64_t seen) const {
    const std::uint64_t g = gate.load();
    return (g & kOpen) != 0 && g / kLoopNumber != seen;
  }

  void work(int worker) {
    std::uint64_t seen = 0;
    for (;;) {
      int spins = 0;
      while (!open_for(seen) && !stopping.load(std::memory_order_relaxed)) {
        if (++spins < kSpins) {
          pause(worker);
          continue;
        }
        std::unique_lock lock(mutex);
        sleeping.fetch_add(1);
        wake.wait(lock, [&] { return open_for(seen) || stopping.load(); });
        sleeping.fetch_sub(1);
      }
      if (stopping.load(std::memory_order_relaxed)) return;
      std::uint64_t g = gate.load();
      if ((g & kOpen) == 0 || !gate.compare_exchange_strong(g, g + 1)) continue;
      seen = g / kLoopNumber;
      run_tasks(worker);
      gate.fetch_sub(1, std::memory_order_release);
    }
  }
};

ThreadPool::ThreadPool(int num_threads) : impl_(std::make_unique<Impl>()) {
  HADAL_CHECK(num_threads >= 0 && num_threads <= 4096, "threads: got ", num_threads, ", want 0 (all) to 4096");
  if (num_threads == 0) num_threads = cpus_of_process();
  impl_->ahead = std::vector<LinesAhead>(static_cast<std::size_t>(num_threads));
  for (int worker = 1; worker < num_threads; ++worker)
    impl_->threads.emplace_back([this, worker] { impl_->work(worker); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

int ThreadPool::num_threads() const {
  return static_cast<int>(impl_->threads.size()) + 1;
}

LinesAhead& ThreadPool::ahead(int worker) {
  return impl_->ahead[static_cast<std::size_t>(worker)];
}

void ThreadPool::parallel_for(index_t num_tasks, FunctionRef<void(index_t, int)> body) {
  if (num_tasks <= 0) return;
  Impl& p = *impl_;
  if (inside_loop || p.threads.empty() || num_tasks == 1) {
    for (index_t task = 0; task < num_tasks; ++task) body(task, 0);
    return;
  }
  p.loop = {&body, num_tasks};
  p.next.store(0, std::memory_order_relaxed);
  // Sequentially consistent: pairs with the check of `sleeping` below.
  p.gate.store((p.gate.load() / Impl::kLoopNumber + 1) * Impl::kLoopNumber + Impl::kOpen);
  if (p.sleeping.load() > 0) {
    const std::lock_guard lock(p.mutex);
    p.wake.notify_all();
  }
  p.run_tasks(0);
  p.gate.fetch_and(~Impl::kOpen);
  for (int spins = 0; (p.gate.load(std::memory_order_acquire) & Impl::kInside) != 0; ++spins) {
    if (spins < kSpins)
      p.pause(0);
    else
      std::this_thread::yield();  // a worker that is inside may need this CPU
  }
  if (p.error) std::rethrow_exception(std::exchange(p.error, nullptr));
}

}  // namespace hadal
