#pragma once
// The folder checkpoints/ of a run. A checkpoint is a folder step-N, which appears with one rename after all its files
// are on disk: whatever the moment of a crash, every step-N is whole. Names that start with a dot are unfinished or
// given up, and are removed when the next run opens the folder.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace hadal {

struct CheckpointOptions {
  std::int64_t every = 500;
  int keep_last = 2;
  std::int64_t keep_every = 0;
  template <class V>
  void visit(V&& v) {
    v("every", every, "steps between checkpoints; 0: only the last step");
    v("keep_last", keep_last, "newest checkpoints to keep; 0: all");
    v("keep_every", keep_every, "also keep those whose step is a multiple of this; 0: none");
  }
};

struct Checkpoint {
  std::int64_t step = 0;
  std::filesystem::path path;
};

class CheckpointDir {
 public:
  /// Called at named moments of write(); tests throw or exit there.
  using Probe = std::function<void(std::string_view moment)>;

  /// Creates the folder when it is missing, removes leftovers of killed runs, and locks it against a second process
  /// (throws Error when one has it).
  explicit CheckpointDir(std::filesystem::path folder, const CheckpointOptions& options = {}, Probe probe = {});
  ~CheckpointDir();
  CheckpointDir(const CheckpointDir&) = delete;
  CheckpointDir& operator=(const CheckpointDir&) = delete;

  /// Writes step-`step`: `fill` puts the files into the folder that it gets; then all is synced and renamed, and old
  /// checkpoints are removed. Before anything is written, throws Error when the disk has not `bytes` (and a margin)
  /// left. When anything fails, the checkpoints that were there stay, and nothing else does. An older step-`step` is
  /// replaced. Returns the new folder.
  std::filesystem::path write(std::int64_t step, std::int64_t bytes,
                              const std::function<void(const std::filesystem::path& folder)>& fill);

  /// Forgets checkpoints after `step`: a run that goes back to an older one must not find them later.
  void remove_after(std::int64_t step);

 private:
  void remove_old();
  void remove(const Checkpoint& checkpoint);
  void probe(std::string_view moment) const;

  std::filesystem::path folder_;
  CheckpointOptions options_;
  Probe probe_;
  int lock_ = -1;
};

/// The whole checkpoints of a folder, oldest first; empty when it does not exist. Needs no lock.
std::vector<Checkpoint> list_checkpoints(const std::filesystem::path& folder);
/// The newest, when there is one.
std::optional<Checkpoint> latest_checkpoint(const std::filesystem::path& folder);

}  // namespace hadal
