#include "formats/gguf_parse.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/error.h"

namespace hadal {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF data is used in place");

constexpr std::uint32_t kNumTypes = std::variant_size_v<GgufValue>;
constexpr int kMaxArrayDepth = 2;
constexpr std::uint32_t kMaxDims = 4;
constexpr std::uint64_t kMaxNameBytes = 65535;  // the specification's limit for keys
constexpr std::int64_t kDefaultAlignment = 32, kMaxAlignment = 1 << 20;
constexpr index_t kMaxCount = index_t{1} << 56;

/// Reads the head of a file from the front. All errors say the byte where they happened.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  std::size_t offset() const { return offset_; }
  std::size_t left() const { return bytes_.size() - offset_; }

  template <class... Parts>
  [[noreturn]] void reject(const Parts&... parts) const {
    fail(where_, ": byte ", offset_, ": ", parts...);
  }
  template <class T>
  T number() {
    if (left() < sizeof(T)) reject("the file ends inside a number of ", sizeof(T), " bytes");
    T value;
    std::memcpy(&value, bytes_.data() + offset_, sizeof value);
    offset_ += sizeof value;
    return value;
  }
  std::string string(std::uint64_t max_bytes, std::string_view what) {
    const auto length = number<std::uint64_t>();
    if (length > max_bytes || length > left())
      reject(what, " of ", length, " bytes, want at most ", std::min<std::uint64_t>(max_bytes, left()));
    std::string text(reinterpret_cast<const char*>(bytes_.data()) + offset_, length);
    offset_ += length;
    return text;
  }
  bool boolean() {
    const auto value = number<std::uint8_t>();
    if (value > 1) reject("bool ", int{value}, ", want 0 or 1");
    return value == 1;
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& where_;
  std::size_t offset_ = 0;
};

GgufArray read_array(Cursor& in, int depth);

template <class T>
T read_one(Cursor& in, int depth) {
  if constexpr (std::is_same_v<T, bool>) {
    return in.boolean();
  } else if constexpr (std::is_same_v<T, std::string>) {
    return in.string(std::numeric_limits<std::uint64_t>::max(), "a string");
  } else if constexpr (std::is_same_v<T, GgufArray>) {
    return read_array(in, depth + 1);
  } else {
    return in.number<T>();
  }
}

/// The alternative of a variant with the index `type`, filled by read(T{}).
template <class Variant, std::size_t I = 0, class Read>
Variant read_alternative(std::uint32_t type, Read&& read) {
  if constexpr (I < std::variant_size_v<Variant>) {
    if (type == I) return Variant(std::in_place_index<I>, read(std::variant_alternative_t<I, Variant>{}));
    return read_alternative<Variant, I + 1>(type, read);
  } else {
    fail("gguf: value type ", type);
  }
}

std::uint32_t read_type(Cursor& in) {
  const auto type = in.number<std::uint32_t>();
  if (type >= kNumTypes) in.reject("value of unknown type ", type, ", want 0 to ", kNumTypes - 1);
  return type;
}

GgufArray read_array(Cursor& in, int depth) {
  if (depth > kMaxArrayDepth) in.reject("arrays nested ", depth, " deep, want at most ", kMaxArrayDepth);
  const std::uint32_t type = read_type(in);
  const auto count = in.number<std::uint64_t>();
  // A string takes 8 bytes at least, an array 12: no count of a file can ask for much more memory than the file has.
  constexpr std::array<std::uint64_t, 13> kMinBytes = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
  if (count > in.left() / kMinBytes[type])
    in.reject("an array of ", count, " ", gguf_type_name(type), " in the last ", in.left(), " bytes");
  using Values = decltype(GgufArray::values);
  return {read_alternative<Values>(type, [&]<class V>(V values) {
    values.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) values.push_back(read_one<typename V::value_type>(in, depth));
    return values;
  })};
}

GgufValue read_value(Cursor& in) {
  const std::uint32_t type = read_type(in);
  return read_alternative<GgufValue>(type, [&]<class T>(const T& /*kind*/) { return read_one<T>(in, 0); });
}

/// The head of one tensor; `data` is the offset in the data section.
struct TensorHead {
  GgufTensor tensor;
  std::uint64_t offset = 0;
};

TensorHead read_tensor_head(Cursor& in) {
  TensorHead head;
  GgufTensor& tensor = head.tensor;
  tensor.name = in.string(kMaxNameBytes, "a tensor name");
  const auto num_dims = in.number<std::uint32_t>();
  if (num_dims > kMaxDims) in.reject(tensor.name, ": ", num_dims, " dimensions, want at most ", kMaxDims);
  index_t count = 1;
  for (std::uint32_t d = 0; d < num_dims; ++d) {
    const auto dim = in.number<std::uint64_t>();
    if (dim < 1 || dim > kMaxCount || __builtin_mul_overflow(count, static_cast<index_t>(dim), &count) ||
        count > kMaxCount)
      in.reject(tensor.name, ": dimension ", dim, ", want 1 or more and a size that fits into memory");
    tensor.dims.push_back(static_cast<index_t>(dim));
  }
  const auto type = in.number<std::uint32_t>();
  const GgmlTypeInfo* info = find_ggml_type(type);
  if (info == nullptr) in.reject(tensor.name, ": tensor type ", type, " is not known");
  tensor.type = info->type;
  const index_t row = tensor.dims.empty() ? 1 : tensor.dims[0];
  if (row % info->block_values != 0)
    in.reject(tensor.name, ": rows of ", row, " values, want a multiple of ", info->block_values, " for ", info->name);
  head.offset = in.number<std::uint64_t>();
  return head;
}

/// Places the tensors in the data section, which must hold each of them, none over another.
void place_tensors(std::vector<TensorHead>& heads, std::span<const std::byte> data, std::int64_t alignment,
                   const std::string& where) {
  std::vector<TensorHead*> order;
  for (TensorHead& head : heads) order.push_back(&head);
  std::sort(order.begin(), order.end(), [](const TensorHead* a, const TensorHead* b) { return a->offset < b->offset; });
  std::uint64_t used = 0;
  for (TensorHead* head : order) {
    const std::string& name = head->tensor.name;
    const auto bytes = static_cast<std::uint64_t>(head->tensor.bytes());
    HADAL_CHECK(head->offset % static_cast<std::uint64_t>(alignment) == 0, where, ": ", name, ": data at ",
                head->offset, ", want a multiple of ", alignment);
    HADAL_CHECK(head->offset >= used, where, ": ", name, ": data at ", head->offset,
                " overlaps that of another tensor, which ends at ", used);
    HADAL_CHECK(head->offset <= data.size() && bytes <= data.size() - head->offset, where, ": ", name, ": ", bytes,
                " bytes at ", head->offset, " in a data section of ", data.size(), ": the file is cut short");
    head->tensor.data = data.data() + head->offset;
    used = head->offset + bytes;
  }
}

}  // namespace

GgufPiece parse_gguf(std::span<const std::byte> bytes, const std::string& where) {
  Cursor in(bytes, where);
  GgufPiece piece;
  HADAL_CHECK(bytes.size() >= 24 && std::memcmp(bytes.data(), "GGUF", 4) == 0, where, ": no GGUF file");
  in.number<std::uint32_t>();
  const auto version = in.number<std::uint32_t>();
  HADAL_CHECK((version & 0xFFFF) != 0, where, ": a big-endian GGUF file, want a little-endian one");
  HADAL_CHECK(version == 2 || version == 3, where, ": GGUF version ", version, ", want 2 or 3");
  piece.version = static_cast<int>(version);
  const auto num_tensors = in.number<std::uint64_t>(), num_values = in.number<std::uint64_t>();
  // The smallest tensor head takes 24 bytes, the smallest key with its value 13.
  if (num_values > in.left() / 13 || num_tensors > in.left() / 24)
    in.reject(num_tensors, " tensors and ", num_values, " keys in ", in.left(), " bytes");
  for (std::uint64_t i = 0; i < num_values; ++i) {
    std::string key = in.string(kMaxNameBytes, "a key");
    if (piece.metadata.contains(key)) in.reject("key \"", key, "\" is there twice");
    GgufValue value = read_value(in);
    piece.metadata.emplace(std::move(key), std::move(value));
  }
  std::int64_t alignment = kDefaultAlignment;
  if (const auto found = piece.metadata.find("general.alignment"); found != piece.metadata.end())
    alignment = gguf_as<std::int64_t>(found->second).value_or(-1);
  HADAL_CHECK(
      alignment >= 8 && alignment <= kMaxAlignment && std::has_single_bit(static_cast<std::uint64_t>(alignment)), where,
      ": general.alignment: got ", alignment, ", want a power of two from 8 to ", kMaxAlignment);
  std::vector<TensorHead> heads;
  heads.reserve(num_tensors);
  for (std::uint64_t i = 0; i < num_tensors; ++i) heads.push_back(read_tensor_head(in));
  const auto mask = static_cast<std::size_t>(alignment) - 1;
  const std::size_t data_begin = std::min((in.offset() + mask) & ~mask, bytes.size());
  place_tensors(heads, bytes.subspan(data_begin), alignment, where);
  for (TensorHead& head : heads) piece.tensors.push_back(std::move(head.tensor));
  return piece;
}

}  // namespace hadal
