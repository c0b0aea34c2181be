#include "data/sft/reader.h"

#include "base/file.h"

namespace hadal {

void read_records(const std::filesystem::path& path, FunctionRef<void(Result<Json>&, index_t number)> use) {
  const MappedFile file(path);
  std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (path.extension() == ".json" && first != std::string_view::npos && text[first] == '[') {
    Json all = parse_json(text, path.string(), {.max_bytes = std::int64_t{1} << 31});
    check_mapped_files();
    index_t number = 0;
    for (Json& record : all.get_array()) {
      Result<Json> value(std::move(record));
      use(value, ++number);
    }
    return;
  }
  for (index_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    Result<Json> value = try_parse_json(line, "line");
    check_mapped_files();
    use(value, number);
  }
}

}  // namespace hadal
