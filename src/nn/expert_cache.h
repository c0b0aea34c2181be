#pragma once
// Routed experts of a model that is larger than memory: read from a file of packed weights when tokens ask for them,
// kept until others need the place (least recently used first, over all layers).
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "formats/packed_file.h"
#include "tensor/storage.h"

namespace hadal {

/// Every expert that a layer needs in a pass counts once: hit (it was in memory), foreseen (look-ahead had asked for
/// it), or missed.
struct ExpertStats {
  std::int64_t hits = 0, foreseen = 0, misses = 0;
  std::int64_t guesses = 0;     // experts that look-ahead had read
  std::int64_t bytes_read = 0;  // guesses too
  double wait_seconds = 0;      // in which the model waited for the disk
  std::int64_t needed() const { return hits + foreseen + misses; }
  double hit_rate() const {
    return needed() > 0 ? static_cast<double>(hits + foreseen) / static_cast<double>(needed()) : 0;
  }
};

/// Places for experts of one size, and threads that read them. Used by one thread, but for stats().
class ExpertCache {
 public:
  /// The two stacks of an MoE layer (nn/mlp.h).
  struct Layer {
    const PackedEntry *gate_up = nullptr, *down = nullptr;
  };
  struct Expert {
    const std::byte *gate_up = nullptr, *down = nullptr;
  };
  static index_t place_bytes(const Layer& layer) { return layer.gate_up->stride() + layer.down->stride(); }

  /// All layers have as many experts, of one size. `file` outlives this object.
  ExpertCache(const PackedFile& file, std::vector<Layer> layers, index_t num_places, int num_readers = 4);
  ~ExpertCache();
  ExpertCache(const ExpertCache&) = delete;
  ExpertCache& operator=(const ExpertCache&) = delete;

  /// Experts that stay where they are until this object ends.
  class Held {
   public:
    Held(ExpertCache& cache, int layer, std::vector<int> which)
        : experts(std::move(which)), cache_(cache), layer_(layer) {}
    ~Held() { cache_.release(layer_, experts); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    const std::vector<int> experts;

   private:
    ExpertCache& cache_;
    int layer_;
  };

  /// A pass begins to need these experts of a layer: they are counted, and read as far as there are places.
  void need(int layer, std::span<const int> experts);
  /// Those of `experts` that are in memory, at least one: waits for it. The others are read meanwhile, as far as there
  /// are places. Throws Error when an expert cannot be read; a later call tries again.
  Held take(int layer, std::span<const int> experts);
  /// Where an expert that is held lies.
  Expert at(int layer, int expert) const;
  /// A guess of what a layer will need soon: read when the readers have nothing else to do. Never waits.
  void guess(int layer, std::span<const int> experts);

  index_t num_places() const { return std::ssize(places_); }
  ExpertStats stats() const;

 private:
  enum class State : std::uint8_t { kEmpty, kQueued, kReading, kReady, kFailed };
  struct Place {
    int layer = -1, expert = -1;
    State state = State::kEmpty;
    int held = 0;
    bool guessed = false;  // read for a guess that has not come true yet
    std::int64_t used = 0;
    std::string error;
  };

  void release(int layer, std::span<const int> experts);
  int& place_of(int layer, int expert);
  bool start_read(int layer, int expert, bool guessed);
  void read_loop();

  const PackedFile& file_;
  std::vector<Layer> layers_;
  Storage storage_;
  index_t stride_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable work_, ready_;
  std::vector<Place> places_;
  std::vector<std::vector<int>> place_of_;  // [layer][expert], -1: none
  std::deque<int> needed_, guessed_;        // places that wait to be read
  std::int64_t clock_ = 0;
  ExpertStats stats_;
  bool stopping_ = false;
  std::vector<std::thread> readers_;
};

}  // namespace hadal
