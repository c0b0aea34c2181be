#include <array>
#include <string_view>
#include <vector>

#include "base/command.h"

namespace hadal {
namespace {

constexpr std::array<Command, 0> kCommands{};

}  // namespace
}  // namespace hadal

int main(int argc, char** argv) {
  const std::vector<std::string_view> args(argv + 1, argv + argc);
  return hadal::run_program("hadal", hadal::kCommands, args);
}
