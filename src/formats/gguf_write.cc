#include <bit>
#include <set>
#include <type_traits>

#include "base/error.h"
#include "base/file.h"
#include "formats/gguf.h"

namespace hadal {
namespace {

/// Appends numbers and values as the format lays them out.
class Head {
 public:
  template <class T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void string(std::string_view text) {
    number(std::uint64_t{text.size()});
    bytes_.append(text);
  }
  template <class T>
  void value(const T& v) {
    if constexpr (std::is_same_v<T, bool>) {
      number(static_cast<std::uint8_t>(v));
    } else if constexpr (std::is_same_v<T, std::string>) {
      string(v);
    } else if constexpr (std::is_same_v<T, GgufArray>) {
      number(static_cast<std::uint32_t>(v.values.index()));
      number(std::uint64_t{v.size()});
      std::visit(
          [this](const auto& elements) {
            using Element = typename std::remove_cvref_t<decltype(elements)>::value_type;
            for (const auto& element : elements) value<Element>(element);
          },
          v.values);
    } else {
      number(v);
    }
  }
  void pad_to(std::uint64_t alignment) { bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment, '\0'); }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

std::uint64_t alignment_of(const GgufPairs& metadata) {
  for (const auto& [key, value] : metadata) {
    if (key != "general.alignment") continue;
    const std::int64_t alignment = gguf_as<std::int64_t>(value).value_or(-1);
    HADAL_CHECK(alignment >= 8 && std::has_single_bit(static_cast<std::uint64_t>(alignment)),
                "gguf: general.alignment: got ", alignment, ", want a power of two from 8 on");
    return static_cast<std::uint64_t>(alignment);
  }
  return 32;
}

std::uint64_t bytes_of(const GgufTensorToWrite& tensor) {
  HADAL_CHECK(tensor.dims.size() <= 4, "gguf: ", tensor.name, ": ", tensor.dims.size(), " dimensions, want at most 4");
  const GgmlTypeInfo& info = ggml_type_info(tensor.type);
  const index_t row = tensor.dims.empty() ? 1 : tensor.dims[0];
  HADAL_CHECK(row % info.block_values == 0, "gguf: ", tensor.name, ": rows of ", row, " values, want a multiple of ",
              info.block_values, " for ", info.name);
  index_t count = 1;
  for (const index_t dim : tensor.dims) {
    HADAL_CHECK(dim >= 1 && !__builtin_mul_overflow(count, dim, &count), "gguf: ", tensor.name, ": dimension ", dim);
  }
  return static_cast<std::uint64_t>(ggml_bytes(tensor.type, count));
}

std::uint64_t aligned(std::uint64_t offset, std::uint64_t alignment) {
  return (offset + alignment - 1) / alignment * alignment;
}

}  // namespace

GgufTensorToWrite gguf_tensor(std::string name, GgmlType type, std::vector<index_t> dims,
                              std::span<const std::byte> data) {
  return {std::move(name), type, std::move(dims), [data](const GgufSink& sink) { sink(data); }};
}

void gguf_write(const std::filesystem::path& path, const GgufPairs& metadata,
                const std::vector<GgufTensorToWrite>& tensors) {
  const std::uint64_t alignment = alignment_of(metadata);
  Head head;
  head.number(std::uint32_t{0x46554747});  // "GGUF"
  head.number(std::uint32_t{3});
  head.number(std::uint64_t{tensors.size()});
  head.number(std::uint64_t{metadata.size()});
  std::set<std::string_view> seen;
  for (const auto& [key, value] : metadata) {
    HADAL_CHECK(seen.insert(key).second, "gguf: key \"", key, "\" is given twice");
    head.string(key);
    head.number(static_cast<std::uint32_t>(value.index()));
    std::visit([&]<class T>(const T& v) { head.value<T>(v); }, value);
  }
  seen.clear();
  std::uint64_t offset = 0;
  for (const GgufTensorToWrite& tensor : tensors) {
    HADAL_CHECK(seen.insert(tensor.name).second, "gguf: tensor \"", tensor.name, "\" is given twice");
    head.string(tensor.name);
    head.number(static_cast<std::uint32_t>(tensor.dims.size()));
    for (const index_t dim : tensor.dims) head.number(static_cast<std::uint64_t>(dim));
    head.number(static_cast<std::uint32_t>(tensor.type));
    head.number(offset);
    offset = aligned(offset + bytes_of(tensor), alignment);
  }
  head.pad_to(alignment);

  AtomicFile file(path);
  file.write(head.bytes());
  const std::string zeros(alignment, '\0');
  for (const GgufTensorToWrite& tensor : tensors) {
    const std::uint64_t want = bytes_of(tensor);
    std::uint64_t got = 0;
    tensor.write([&](std::span<const std::byte> bytes) {
      got += bytes.size();
      HADAL_CHECK(got <= want, "gguf: ", tensor.name, ": got ", got, " bytes of data, want ", want);
      file.write(bytes);
    });
    HADAL_CHECK(got == want, "gguf: ", tensor.name, ": got ", got, " bytes of data, want ", want);
    file.write(std::string_view(zeros).substr(0, aligned(want, alignment) - want));
  }
  file.commit();
}

}  // namespace hadal
