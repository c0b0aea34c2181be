// An accepted config must have sizes without overflow and must read back equal after it was written.
#include "formats/model_config.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  return fuzz::refuse_or_accept([&] {
    const ModelConfig config = parse_model_config(fuzz::text_of(data, size), "fuzz");
    const ParameterCount count = count_parameters(config);
    fuzz::require(count.total > 0 && count.active > 0 && count.active <= count.total && count.mtp >= 0);
    fuzz::require(kv_elements_per_token(config) > 0);
    const std::string text = model_config_json(config);
    try {
      fuzz::require(model_config_json(parse_model_config(text, "written")) == text);
    } catch (const Error&) {
      fuzz::require(false);
    }
  });
}
