#include "infer/engine.h"

namespace hadal {

EngineThread::EngineThread(Engine& engine) : engine_(engine), thread_([this] { run(); }) {}

EngineThread::~EngineThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

std::uint64_t EngineThread::submit(Request request) {
  const std::uint64_t id = engine_.submit(std::move(request));
  {
    const std::lock_guard lock(mutex_);
    work_ = true;
  }
  wake_.notify_all();
  return id;
}

void EngineThread::cancel(std::uint64_t request) {
  engine_.cancel(request);
  {
    const std::lock_guard lock(mutex_);
    work_ = true;
  }
  wake_.notify_all();
}

void EngineThread::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return work_ || stopping_; });
    if (stopping_) break;
    work_ = false;
    lock.unlock();
    while (engine_.step()) {
      const std::lock_guard guard(mutex_);
      if (stopping_) break;
    }
    lock.lock();
  }
  lock.unlock();
  engine_.cancel_all();
}

}  // namespace hadal
