#pragma once
// How Model::pack comes by the values of parameters, and where packed weights lie.
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "kernels/packed_gemm.h"
#include "tensor/arena.h"
#include "tensor/param.h"

namespace hadal {

using ParamVisitor = std::function<void(const Param&)>;

/// Packed weights that do not lie in memory of the layer's own: they are written to a file, or come from one
/// (nn/packed_cache.h).
class PackedPlaces {
 public:
  enum class Place : std::uint8_t {
    kSkip,   // nothing happens
    kWrite,  // the weights are packed and handed to write(); the layer stays as it is, without its values
    kReady,  // w.matrices (or w.data too) is set: from here on the layer uses them
  };
  virtual ~PackedPlaces() = default;
  /// name: of the first tensor that w holds. `w` has its shape and nothing else; it is about to be moved.
  virtual Place place(const std::string& name, kernels::PackedWeights& w) = 0;
  /// One packed matrix; from any thread.
  virtual void write(const std::string& name, index_t matrix, std::span<const std::byte> bytes);
};

/// One walk of Model::pack over all layers.
struct PackPass {
  Exec& ex;
  /// Writes the value of a parameter, from any thread; empty: the model's parameters have their values.
  ParamVisitor fill = {};
  bool finer_than_bf16 = false;    // some of these values
  PackedPlaces* places = nullptr;  // nullptr: in `memory`, or memory of their own
  /// Outlives the model's use. Matrices one after the other in huge pages: with pages of 4 KiB, the translation of
  /// addresses takes as long as reading a small matrix does.
  Arena* memory = nullptr;

  /// The shape of what is packed.
  struct Shape {
    DType as = DType::kF32;
    index_t num_matrices = 0, rows = 0, cols = 0;
  };
  /// What a thread needs for one matrix and then for its next one; empty at first. Fresh pages for every matrix would
  /// cost as much as packing.
  struct Buffers {
    Tensor values, wide;
    Storage packed;
  };
  /// Calls pack_one (kernels::pack_matrix or pack_fp8_matrix of matrix e, to `to`) for one matrix at a time on each
  /// thread: the peak is one matrix a thread above the packed size. False: nothing was packed, the values are still
  /// needed.
  bool pack(std::optional<kernels::PackedWeights>& packed, const std::string& name, Shape shape,
            const std::function<void(index_t e, Buffers& buffers, std::byte* to)>& pack_one) const;
};

}  // namespace hadal
