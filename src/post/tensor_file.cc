#include "post/tensor_file.h"

#include "tensor/copy.h"

namespace hadal {

void write_views(const std::filesystem::path& file, const NamedViews& views) {
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, v] : views) tensors.push_back({name, v.dtype, {v.rows, v.cols}, v});
  write_safetensors(file, std::move(tensors));
}

void read_views(const std::filesystem::path& path, const NamedViews& views) {
  const SafetensorsFile file(path);
  HADAL_CHECK(file.tensors().size() == views.size(), path.string(), " holds ", file.tensors().size(), " tensors, want ",
              views.size());
  for (const auto& [name, v] : views) {
    const auto found = file.tensors().find(name);
    HADAL_CHECK(found != file.tensors().end(), path.string(), " has no ", name);
    const StoredTensor& stored = found->second;
    HADAL_CHECK(stored.dtype == v.dtype && stored.shape == std::vector<index_t>({v.rows, v.cols}), path.string(), ": ",
                name, " is ", dtype_name(stored.dtype), " with ", stored.count(), " values, want ", dtype_name(v.dtype),
                " with ", v.count());
    copy_rows(v, stored.view());
  }
}

}  // namespace hadal
