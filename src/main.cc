#include <array>
#include <string_view>
#include <vector>

#include "base/command.h"
#include "formats/cmd_inspect.h"

namespace hadal {
namespace {

constexpr std::array kCommands = {
    Command{"inspect", "what a model folder, a config or a safetensors file holds", cmd_inspect},
};

}  // namespace
}  // namespace hadal

int main(int argc, char** argv) {
  const std::vector<std::string_view> args(argv + 1, argv + argc);
  return hadal::run_program("hadal", hadal::kCommands, args);
}
