#include "base/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>

namespace hadal {
namespace {

std::string table_text(std::string_view program, std::span<const Command> commands) {
  std::string text = fmt::format("usage: {} <verb> [options]    ({} <verb> --help tells more)\n\n", program, program);
  for (const Command& command : commands) text += fmt::format("  {:<12} {}\n", command.name, command.help);
  return text;
}

}  // namespace

int run_command(std::string_view program, std::span<const Command> commands, Args args) {
  if (args.empty()) throw UsageError(str_cat("a verb is missing\n", table_text(program, commands)));
  if (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    fmt::print("{}", table_text(program, commands));
    return 0;
  }
  const auto it = std::ranges::find(commands, args[0], &Command::name);
  if (it != commands.end()) return it->run(args.subspan(1));
  std::vector<std::string> names;
  for (const Command& command : commands) names.emplace_back(command.name);
  throw UsageError(
      str_cat("unknown verb \"", args[0], '"', did_you_mean(args[0], names), "\n", table_text(program, commands)));
}

int run_program(std::string_view program, std::span<const Command> commands, Args args) {
  try {
    return run_command(program, commands, args);
  } catch (const UsageError& e) {
    fmt::print(stderr, "{}: {}\n", program, e.what());
    return 2;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}: {}\n", program, e.what());
    return 1;
  }
}

}  // namespace hadal
