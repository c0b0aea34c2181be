#pragma once
#include <condition_variable>
#include <mutex>
#include <thread>

#include "train/optimizer.h"

namespace hadal {

/// An exponential moving average of the master weights, kept in memory and updated by a thread of its own while the
/// next forward and backward run (DeepSeek-V3 report 3.2.3). The masters may change only between wait() and start().
class Ema {
 public:
  Ema(Optimizer& optimizer, double decay);
  ~Ema();
  Ema(const Ema&) = delete;
  Ema& operator=(const Ema&) = delete;

  /// Begins the update with the present masters. The first one ever copies them.
  void start();
  /// Returns when no update is running.
  void wait();
  /// Call wait() before reading. One tensor per optimizer state, in its order, shaped like the parameter.
  std::span<Tensor> averages() { return averages_; }
  /// After the averages were loaded: the next update averages instead of copying.
  void mark_loaded() { empty_ = false; }

 private:
  void run();

  Optimizer& optimizer_;
  double decay_;
  bool empty_ = true, pending_ = false, stopping_ = false;
  std::vector<Tensor> averages_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace hadal
