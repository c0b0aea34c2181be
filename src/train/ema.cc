#include "train/ema.h"

#include "kernels/adamw.h"

namespace hadal {

Ema::Ema(Optimizer& optimizer, double decay) : optimizer_(optimizer), decay_(decay) {
  HADAL_CHECK(decay >= 0 && decay < 1, "ema: decay ", decay, ", want [0, 1)");
  for (const Optimizer::State& s : optimizer.states())
    averages_.emplace_back(s.rest.empty() ? s.param.value.dtype : DType::kF32, s.param.value.rows, s.param.value.cols);
  thread_ = std::thread([this] { run(); });
}

Ema::~Ema() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Ema::start() {
  {
    const std::lock_guard lock(mutex_);
    pending_ = true;
  }
  changed_.notify_all();
}

void Ema::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !pending_; });
}

void Ema::run() {
  ThreadPool pool(1);
  Exec exec(pool);
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return pending_ || stopping_; });
    if (!pending_) return;
    lock.unlock();
    const double decay = empty_ ? 0 : decay_;
    std::size_t i = 0;
    for (const Optimizer::State& s : optimizer_.states())
      kernels::ema_update(exec, averages_[i++].view(), s.param.value, s.rest, decay);
    lock.lock();
    empty_ = false, pending_ = false;
    changed_.notify_all();
  }
}

}  // namespace hadal
