// Whatever parses must be written as text that parses to the same value.
#include "base/json.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  return fuzz::refuse_or_accept([&] {
    const Json value = parse_json(fuzz::text_of(data, size), "fuzz");
    fuzz::require(parse_json(json_line(value), "line", {.max_bytes = std::int64_t{1} << 30}) == value);
    fuzz::require(parse_json(json_pretty(value), "pretty", {.max_bytes = std::int64_t{1} << 30}) == value);
  });
}
