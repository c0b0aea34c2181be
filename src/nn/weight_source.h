#pragma once
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "nn/model.h"

namespace hadal {

/// The parameters of a model in mapped files: safetensors (nn/weights.h) or GGUF (nn/gguf_weights.h).
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// Matches the parameters with the tensors of the files, before any is read. Throws Error that lists every missing
  /// tensor, every tensor that the model has no place for, and every wrong shape and type.
  virtual void match(Model& model) = 0;
  /// p.value (=), in its dtype (E4M3: and p.scales). From any thread; cheap once for each parameter, in about the order
  /// of visit_params.
  virtual void read(Exec& ex, const Param& p) = 0;
  /// Whether bf16 would round values of matrices.
  virtual bool finer_than_bf16() const = 0;
  /// Whether a tensor lies in a mapped file, not in a copy that lives as long as this source (safetensors that are not
  /// aligned).
  virtual bool is_mapped(const std::string& name) const = 0;
  /// to (=) rows of the tensor of that name, a matrix that read() would not rearrange. From any thread.
  virtual void read_rows(Exec& ex, View to, const std::string& name, std::span<const int> rows) = 0;
};

/// Of a folder or a .gguf file. new_head: as load_weights has it.
std::unique_ptr<WeightSource> open_weights(const std::filesystem::path& path, bool new_head = false);

/// Has mapped bytes read from the disk a while before they are used, and gives their pages back after, so that a file
/// of any size passes through a window of memory.
class ReadAhead {
 public:
  /// The next piece, in the order of reading; must be part of a MappedFile. Returns its number.
  std::size_t add(std::span<const std::byte> piece);
  /// Calls use(), a reader of piece `number` or of a part of it; `last`: no other part will be read. Threads may read
  /// different pieces at once.
  template <class F>
  void pass(std::size_t number, bool last, F&& use) {
    ask_beyond(number);
    use();
    if (last || pieces_[number].size() >= kLarge) release(number);
  }

 private:
  static constexpr std::size_t kLarge = std::size_t{64} << 20;  // its parts are given back one by one
  void ask_beyond(std::size_t number);
  void release(std::size_t number);

  std::vector<std::span<const std::byte>> pieces_;
  std::vector<std::size_t> ends_;  // bytes up to the end of each piece
  std::mutex mutex_;
  std::size_t asked_ = 0;  // pieces
};

/// body(i, rows[i]) for all i, on all threads.
void for_rows(Exec& ex, std::span<const int> rows, FunctionRef<void(index_t i, index_t row)> body);

/// "3 tensors do not fit the config: ..." as an Error, unless there are none.
void fail_on_problems(const std::string& where, const std::vector<std::string>& problems);

}  // namespace hadal
