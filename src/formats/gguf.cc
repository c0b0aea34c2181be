#include "formats/gguf.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "formats/gguf_parse.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

// Files of a split model; DeepSeek-V3 at full precision is split into some dozens.
constexpr std::int64_t kMaxFiles = 4096;

}  // namespace

index_t GgufTensor::count() const {
  index_t count = 1;
  for (const index_t dim : dims) count *= dim;
  return count;
}

struct GgufFile::Impl {
  std::string where;
  std::deque<MappedFile> files;  // tensors point to them
  GgufPiece all;
  std::unordered_map<std::string_view, std::size_t> index;  // of all.tensors by name

  std::int64_t integer_or(const GgufPiece& piece, std::string_view key, std::int64_t fallback,
                          const std::string& piece_where) const {
    const auto found = piece.metadata.find(key);
    if (found == piece.metadata.end()) return fallback;
    const std::optional<std::int64_t> value = gguf_as<std::int64_t>(found->second);
    HADAL_CHECK(value, piece_where, ": ", key, ": got ", gguf_type_name(found->second), ", want an integer");
    return *value;
  }
  void read_files(const fs::path& path);
  void add_file(const fs::path& path, std::int64_t number, std::int64_t count);
  void make_index() {
    for (std::size_t i = 0; i < all.tensors.size(); ++i)
      HADAL_CHECK(index.emplace(all.tensors[i].name, i).second, where, ": tensor \"", all.tensors[i].name,
                  "\" is there twice");
  }
};

void GgufFile::Impl::read_files(const fs::path& path) {
  files.emplace_back(path);
  all = parse_gguf(files.back().bytes(), where);
  for (GgufTensor& tensor : all.tensors) tensor.file = &files.back();
  const std::int64_t count = integer_or(all, "split.count", 1, where);
  HADAL_CHECK(count >= 0 && count <= kMaxFiles, where, ": split.count: got ", count, ", want 1 to ", kMaxFiles);
  if (count <= 1) return;
  const std::string name = path.filename().string();
  const std::string ending = fmt::format("-{:05}-of-{:05}.gguf", 1, count);
  const std::int64_t number = integer_or(all, "split.no", 0, where);
  HADAL_CHECK(number == 0 && name.ends_with(ending), where, ": file ", number + 1, " of ", count,
              " of a split model; want the first, whose name ends in ", ending);
  const std::string stem = name.substr(0, name.size() - ending.size());
  for (std::int64_t i = 1; i < count; ++i)
    add_file(path.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", stem, i + 1, count), i, count);
  const std::int64_t num_tensors = integer_or(all, "split.tensors.count", -1, where);
  HADAL_CHECK(num_tensors == -1 || num_tensors == static_cast<std::int64_t>(all.tensors.size()), where,
              ": split.tensors.count: got ", num_tensors, ", but the files hold ", all.tensors.size(), " tensors");
}

void GgufFile::Impl::add_file(const fs::path& path, std::int64_t number, std::int64_t count) {
  files.emplace_back(path);
  GgufPiece piece = parse_gguf(files.back().bytes(), path.string());
  const std::int64_t got_number = integer_or(piece, "split.no", -1, path.string());
  const std::int64_t got_count = integer_or(piece, "split.count", -1, path.string());
  HADAL_CHECK(got_number == number && got_count == count, path.string(), ": says it is file ", got_number + 1, " of ",
              got_count, ", want ", number + 1, " of ", count);
  for (GgufTensor& tensor : piece.tensors) {
    tensor.file = &files.back();
    all.tensors.push_back(std::move(tensor));
  }
}

GgufFile::GgufFile(const fs::path& path) : impl_(std::make_unique<Impl>()) {
  impl_->where = path.string();
  impl_->read_files(path);
  impl_->make_index();
}

GgufFile::GgufFile(std::span<const std::byte> bytes, std::string_view where) : impl_(std::make_unique<Impl>()) {
  impl_->where = where;
  impl_->all = parse_gguf(bytes, impl_->where);
  impl_->make_index();
}

GgufFile::~GgufFile() = default;
GgufFile::GgufFile(GgufFile&&) noexcept = default;
GgufFile& GgufFile::operator=(GgufFile&&) noexcept = default;

const std::string& GgufFile::where() const {
  return impl_->where;
}
int GgufFile::version() const {
  return impl_->all.version;
}
int GgufFile::num_files() const {
  return std::max(1, static_cast<int>(impl_->files.size()));
}
const GgufMetadata& GgufFile::metadata() const {
  return impl_->all.metadata;
}
const std::vector<GgufTensor>& GgufFile::tensors() const {
  return impl_->all.tensors;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = impl_->index.find(name);
  return found == impl_->index.end() ? nullptr : &impl_->all.tensors[found->second];
}

const GgufTensor& GgufFile::tensor(std::string_view name) const {
  const GgufTensor* found = find_tensor(name);
  HADAL_CHECK(found != nullptr, impl_->where, ": no tensor \"", name, "\"");
  return *found;
}

const GgufValue* GgufFile::find_value(std::string_view key) const {
  const auto found = impl_->all.metadata.find(key);
  return found == impl_->all.metadata.end() ? nullptr : &found->second;
}

void GgufFile::fail_missing(std::string_view key) const {
  fail(impl_->where, ": no key \"", key, "\"");
}

void GgufFile::fail_kind(std::string_view key, const GgufValue& value, std::string_view wanted) const {
  fail(impl_->where, ": ", key, ": got ", gguf_type_name(value), ", want ", wanted);
}

const std::vector<std::string>& GgufFile::strings(std::string_view key) const {
  const GgufValue* value = find_value(key);
  if (value == nullptr) fail_missing(key);
  const GgufArray* array = std::get_if<GgufArray>(value);
  const auto* list = array == nullptr ? nullptr : std::get_if<std::vector<std::string>>(&array->values);
  if (list == nullptr) fail_kind(key, *value, "an array of strings");
  return *list;
}

}  // namespace hadal
