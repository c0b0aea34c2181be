#pragma once
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nn/model.h"
#include "nn/read_ahead.h"

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

  /// Frees what read() keeps for its next calls. They will be slower.
  void end_reading() { ahead_.finish(); }

 protected:
  /// The rows of `p` that a part holds, for a reader of p.
  static Param rows_of(const Param& p, const ReadAhead::Rows& rows);
  ReadAhead ahead_;
};

/// Of a folder or a .gguf file. new_head: as load_weights has it.
std::unique_ptr<WeightSource> open_weights(const std::filesystem::path& path, bool new_head = false);

/// body(i, rows[i]) for all i, on all threads.
void for_rows(Exec& ex, std::span<const int> rows, FunctionRef<void(index_t i, index_t row)> body);

/// "3 tensors do not fit the config: ..." as an Error, unless there are none.
void fail_on_problems(const std::string& where, const std::vector<std::string>& problems);

}  // namespace hadal
