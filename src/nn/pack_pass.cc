#include "nn/pack_pass.h"

#include <vector>

namespace hadal {

void PackedPlaces::write(const std::string& name, index_t /*matrix*/, std::span<const std::byte> /*bytes*/) {
  fail(name, ": these places take no weights");
}

bool PackPass::pack(std::optional<kernels::PackedWeights>& packed, const std::string& name, Shape shape,
                    const std::function<void(index_t e, Buffers& buffers, std::byte* to)>& pack_one) const {
  using Place = PackedPlaces::Place;
  const index_t bytes = kernels::packed_bytes(ex, shape.as, shape.rows, shape.cols);
  kernels::PackedWeights w{.dtype = shape.as,
                           .num_matrices = shape.num_matrices,
                           .rows = shape.rows,
                           .cols = shape.cols,
                           .table = &ex.kernels,
                           .matrices = {},
                           .data = {}};
  std::byte* begin = nullptr;
  if (places == nullptr) {
    if (memory == nullptr) w.data = Storage(bytes * shape.num_matrices);
    begin = memory != nullptr ? memory->allocate(bytes * shape.num_matrices) : w.data.data();
    for (index_t e = 0; e < shape.num_matrices; ++e) w.matrices.push_back(begin + e * bytes);
  }
  const Place place = places != nullptr ? places->place(name, w) : Place::kWrite;
  if (place == Place::kSkip) return false;
  if (place == Place::kWrite) {
    std::vector<Buffers> buffers(static_cast<std::size_t>(ex.pool.num_threads()));
    ex.pool.parallel_for(shape.num_matrices, [&](index_t e, int worker) {  // a single one is cut inside
      Buffers& b = buffers[static_cast<std::size_t>(worker)];
      if (places == nullptr) return pack_one(e, b, begin + e * bytes);
      if (b.packed.size() == 0) b.packed = Storage(bytes);
      pack_one(e, b, b.packed.data());
      places->write(name, e, {b.packed.data(), static_cast<std::size_t>(bytes)});
    });
  }
  if (places == nullptr || place == Place::kReady) packed = std::move(w);
  return true;
}

}  // namespace hadal
