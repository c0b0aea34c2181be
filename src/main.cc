#include <array>
#include <string_view>
#include <vector>

#include "base/command.h"
#include "nn/cmd_logits.h"

namespace hadal {
namespace {

constexpr std::array kCommands{
    Command{"init", "random weights in the Hugging Face layout", cmd_init},
    Command{"logits", "logits of a token sequence, for parity checks", cmd_logits},
    Command{"grad", "gradients of a token sequence, for parity checks", cmd_grad},
};

}  // namespace
}  // namespace hadal

int main(int argc, char** argv) {
  const std::vector<std::string_view> args(argv + 1, argv + argc);
  return hadal::run_program("hadal", hadal::kCommands, args);
}
