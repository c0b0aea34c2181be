#pragma once
// The one pool of threads. Work splits depend on shapes, never on the number of threads, so results do not either.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "base/lines_ahead.h"

namespace hadal {

using index_t = std::int64_t;

/// A non-owning reference to a callable; lives no longer than the call it is passed to.
template <class Signature>
class FunctionRef;
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
  FunctionRef(F&& f)  // NOLINT(google-explicit-constructor)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(args...);
        }) {}
  R operator()(Args... args) const { return call_(object_, args...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

/// A fixed team of workers. The calling thread is worker 0. Workers spin for a short while between loops and then
/// sleep.
class ThreadPool {
 public:
  /// num_threads >= 1; 0 means the CPUs that this process may run on.
  explicit ThreadPool(int num_threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const;

  /// What a worker is about to read.
  LinesAhead& ahead(int worker);

  /// Calls body(task, worker) once for each task in [0, num_tasks), in any order, on any worker in [0, num_threads).
  /// Returns when all are done. The first exception of a task is rethrown here after the others ended. Never nested:
  /// a body that calls parallel_for gets its loop run on its own thread.
  void parallel_for(index_t num_tasks, FunctionRef<void(index_t task, int worker)> body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
