#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace hadal {
namespace {

using Args = std::vector<std::string_view>;

struct Command {
  std::string_view name, help;
  int (*run)(const Args& args);
};

constexpr std::array<Command, 0> kCommands{};

int usage(std::FILE* out) {
  fmt::print(out, "usage: hadal <verb> [options]    (hadal <verb> --help tells more)\n\n");
  for (const Command& command : kCommands) fmt::print(out, "  {:<12} {}\n", command.name, command.help);
  return out == stdout ? 0 : 2;
}

int run(const Args& args) {
  if (args.empty()) return usage(stderr);
  if (args[0] == "--help" || args[0] == "-h" || args[0] == "help") return usage(stdout);
  for (const Command& command : kCommands)
    if (command.name == args[0]) return command.run({args.begin() + 1, args.end()});
  fmt::print(stderr, "hadal: unknown verb \"{}\"\n", args[0]);
  return usage(stderr);
}

}  // namespace
}  // namespace hadal

int main(int argc, char** argv) {
  try {
    return hadal::run({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    fmt::print(stderr, "hadal: {}\n", e.what());
    return 1;
  }
}
