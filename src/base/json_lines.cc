#include "base/json_lines.h"

#include <fstream>

namespace hadal {

void for_each_json_line(const std::filesystem::path& path,
                        const std::function<void(const Json& value, const std::string& where)>& use) {
  std::ifstream file(path, std::ios::binary);
  HADAL_CHECK(file.good(), path.string(), ": cannot be read");
  std::string line;
  for (std::int64_t number = 1; std::getline(file, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string where = str_cat(path.string(), ":", number);
    use(parse_json(line, where), where);
  }
}

}  // namespace hadal
