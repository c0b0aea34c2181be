#include "formats/cmd_inspect.h"

#include <fmt/format.h>

#include <string>

#include "formats/inspect.h"

namespace hadal {
namespace {

struct InspectOptions {
  std::string path;
  bool json = false;
  template <class V>
  void visit(V&& v) {
    v("path", path, "model folder, config .json, .safetensors or .gguf file",
      {.required = true, .positional = true, .placeholder = "DIR|FILE"});
    v("json", json, "print one JSON object");
  }
};

}  // namespace

int cmd_inspect(Args args) {
  InspectOptions options;
  const VerbInfo verb = {.verb = "inspect",
                         .about = "family, shapes, parameters, dtypes and KV bytes per token of a model",
                         .example = "hadal inspect configs/models/deepseek-v3.json"};
  if (!parse_options(options, args, verb)) return 0;
  const JsonObject report = inspect(options.path);
  if (options.json)
    fmt::print("{}\n", json_line(report));
  else
    fmt::print("{}", inspect_text(report));
  return 0;
}

}  // namespace hadal
