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

  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<std::uint64_t> generation{0};  // counts loops; a change tells the workers that `loop` is new
  std::atomic<bool> stopping{false};
  std::atomic<int> sleeping{0};
  std::atomic<index_t> next{0};
  std::atomic<int> busy{0};  // workers that have not left the present loop
  Loop loop;
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

  void work(int worker) {
    std::uint64_t seen = 0;
    for (;;) {
      int spins = 0;
      while (generation.load(std::memory_order_acquire) == seen && !stopping.load(std::memory_order_relaxed)) {
        if (++spins < kSpins) {
          _mm_pause();
          continue;
        }
        std::unique_lock lock(mutex);
        sleeping.fetch_add(1);
        wake.wait(lock, [&] { return generation.load() != seen || stopping.load(); });
        sleeping.fetch_sub(1);
      }
      if (stopping.load(std::memory_order_relaxed)) return;
      seen = generation.load(std::memory_order_acquire);
      run_tasks(worker);
      busy.fetch_sub(1, std::memory_order_release);
    }
  }
};

ThreadPool::ThreadPool(int num_threads) : impl_(std::make_unique<Impl>()) {
  HADAL_CHECK(num_threads >= 0 && num_threads <= 4096, "threads: got ", num_threads, ", want 0 (all) to 4096");
  if (num_threads == 0) num_threads = cpus_of_process();
  for (int worker = 1; worker < num_threads; ++worker) impl_->threads.emplace_back([this, worker] { impl_->work(worker); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

int ThreadPool::num_threads() const { return static_cast<int>(impl_->threads.size()) + 1; }

void ThreadPool::parallel_for(index_t num_tasks, FunctionRef<void(index_t, int)> body) {
  if (num_tasks <= 0) return;
  Impl& p = *impl_;
  if (inside_loop || p.threads.empty() || num_tasks == 1) {
    for (index_t task = 0; task < num_tasks; ++task) body(task, 0);
    return;
  }
  p.loop = {&body, num_tasks};
  p.next.store(0, std::memory_order_relaxed);
  p.busy.store(static_cast<int>(p.threads.size()), std::memory_order_relaxed);
  p.generation.fetch_add(1);  // sequentially consistent: pairs with the check of `sleeping` below
  if (p.sleeping.load() > 0) {
    const std::lock_guard lock(p.mutex);
    p.wake.notify_all();
  }
  p.run_tasks(0);
  while (p.busy.load(std::memory_order_acquire) != 0) _mm_pause();
  if (p.error) std::rethrow_exception(std::exchange(p.error, nullptr));
}

}  // namespace hadal
