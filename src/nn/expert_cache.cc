#include "nn/expert_cache.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/stopwatch.h"

namespace hadal {

ExpertCache::ExpertCache(const PackedFile& file, std::vector<Layer> layers, index_t num_places, int num_readers)
    : file_(file), layers_(std::move(layers)), places_(static_cast<std::size_t>(num_places)) {
  HADAL_CHECK(num_places > 0 && num_readers > 0 && !layers_.empty(), "experts: ", num_places, " places, ", num_readers,
              " readers, ", layers_.size(), " layers");
  stride_ = place_bytes(layers_[0]);
  for (const Layer& layer : layers_) {
    HADAL_CHECK(place_bytes(layer) == stride_ && layer.gate_up->num_matrices == layer.down->num_matrices,
                layer.gate_up->name, ": experts of ", place_bytes(layer), " bytes, others have ", stride_);
    place_of_.emplace_back(static_cast<std::size_t>(layer.gate_up->num_matrices), -1);
  }
  storage_ = Storage(num_places * stride_);  // whole pages, as reading past the page cache wants them
  for (int i = 0; i < num_readers; ++i) readers_.emplace_back([this] { read_loop(); });
}

ExpertCache::~ExpertCache() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& reader : readers_) reader.join();
}

int& ExpertCache::place_of(int layer, int expert) {
  return place_of_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(expert)];
}

/// Gives the expert the place that was not used for the longest time. False: all are busy.
bool ExpertCache::start_read(int layer, int expert, bool guessed) {
  int oldest = -1;
  for (int i = 0; i < static_cast<int>(places_.size()); ++i) {
    const Place& p = places_[static_cast<std::size_t>(i)];
    if (p.held > 0 || p.state == State::kQueued || p.state == State::kReading) continue;
    if (oldest < 0 || p.used < places_[static_cast<std::size_t>(oldest)].used) oldest = i;
  }
  if (oldest < 0) return false;
  Place& p = places_[static_cast<std::size_t>(oldest)];
  if (p.layer >= 0) place_of(p.layer, p.expert) = -1;
  p = {.layer = layer, .expert = expert, .state = State::kQueued, .guessed = guessed, .used = ++clock_, .error = {}};
  place_of(layer, expert) = oldest;
  (guessed ? guessed_ : needed_).push_back(oldest);
  work_.notify_one();
  return true;
}

void ExpertCache::need(int layer, std::span<const int> experts) {
  const std::lock_guard lock(mutex_);
  // First those that are there, so that the others do not drive them out.
  for (const int e : experts) {
    const int at = place_of(layer, e);
    const bool failed = at >= 0 && places_[static_cast<std::size_t>(at)].state == State::kFailed;
    if (failed) places_[static_cast<std::size_t>(at)] = {}, place_of(layer, e) = -1;
    if (at < 0 || failed) {
      ++stats_.misses;
      continue;
    }
    Place& p = places_[static_cast<std::size_t>(at)];
    p.used = ++clock_;
    ++(std::exchange(p.guessed, false) ? stats_.foreseen : stats_.hits);
    // A guess that came true goes before the others.
    if (p.state == State::kQueued) needed_.push_back(at);
  }
  index_t free = std::ssize(places_);
  for (const int e : experts)
    if (place_of(layer, e) >= 0) --free;
  for (const int e : experts)
    if (place_of(layer, e) < 0 && free-- > 0 && !start_read(layer, e, /*guessed=*/false)) break;
}

ExpertCache::Held ExpertCache::take(int layer, std::span<const int> experts) {
  const Stopwatch waiting;
  std::unique_lock lock(mutex_);
  std::vector<int> taken, retried;
  std::string error;
  const auto collect = [&] {
    for (const int e : experts) {
      const int at = place_of(layer, e);
      if (at < 0) continue;
      Place& p = places_[static_cast<std::size_t>(at)];
      if (p.state == State::kReady) taken.push_back(e);
      if (p.state != State::kFailed) continue;
      // Once more: the read may have begun in an earlier pass that failed, before the file was mended.
      if (std::find(retried.begin(), retried.end(), e) != retried.end())
        error = std::move(p.error);
      else
        retried.push_back(e);
      p = {};
      place_of(layer, e) = -1;
    }
    return !taken.empty() || !error.empty();
  };
  while (true) {
    const bool some = collect();
    if (!error.empty()) fail(error);
    for (const int e : taken) ++places_[static_cast<std::size_t>(place_of(layer, e))].held;
    for (const int e : experts)
      if (place_of(layer, e) < 0 && !start_read(layer, e, /*guessed=*/false)) break;
    if (some) break;
    ready_.wait(lock);
  }
  stats_.wait_seconds += waiting.seconds();
  return {*this, layer, std::move(taken)};
}

void ExpertCache::release(int layer, std::span<const int> experts) {
  const std::lock_guard lock(mutex_);
  for (const int e : experts) {
    Place& p = places_[static_cast<std::size_t>(place_of(layer, e))];
    --p.held;
    p.used = ++clock_;
  }
}

ExpertCache::Expert ExpertCache::at(int layer, int expert) const {
  const std::lock_guard lock(mutex_);
  const int place = place_of_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(expert)];
  const std::byte* begin = storage_.data() + place * stride_;
  return {begin, begin + layers_[static_cast<std::size_t>(layer)].gate_up->stride()};
}

void ExpertCache::guess(int layer, std::span<const int> experts) {
  const std::lock_guard lock(mutex_);
  // A wrong guess must not cost more than it may win.
  index_t most = std::max<index_t>(1, std::ssize(places_) / 4) - std::ssize(guessed_);
  for (const int e : experts)
    if (const int at = place_of(layer, e); at >= 0) places_[static_cast<std::size_t>(at)].used = ++clock_;
  for (const int e : experts) {
    if (place_of(layer, e) >= 0) continue;
    if (most-- <= 0 || !start_read(layer, e, /*guessed=*/true)) return;
    ++stats_.guesses;
  }
}

ExpertStats ExpertCache::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void ExpertCache::read_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return stopping_ || !needed_.empty() || !guessed_.empty(); });
    if (stopping_) return;
    std::deque<int>& queue = needed_.empty() ? guessed_ : needed_;
    const int place = queue.front();
    queue.pop_front();
    Place& p = places_[static_cast<std::size_t>(place)];
    if (p.state != State::kQueued) continue;  // it stood in both queues
    p.state = State::kReading;
    const Layer layer = layers_[static_cast<std::size_t>(p.layer)];
    const int expert = p.expert;
    std::byte* to = storage_.data() + place * stride_;
    lock.unlock();
    std::string error;
    try {
      file_.read(*layer.gate_up, expert, to);
      file_.read(*layer.down, expert, to + layer.gate_up->stride());
    } catch (const Error& e) {
      error = e.what();
    }
    lock.lock();
    p.state = error.empty() ? State::kReady : State::kFailed;
    if (error.empty()) stats_.bytes_read += stride_;
    p.error = std::move(error);
    ready_.notify_all();
  }
}

}  // namespace hadal
