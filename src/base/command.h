#pragma once
// Tables of verbs. The program is one table (src/main.cc); a verb with verbs of its own (hadal data prepare) is
// another.
#include <span>
#include <string_view>

#include "base/options.h"

namespace hadal {

struct Command {
  std::string_view name;
  std::string_view help;  // one line
  int (*run)(Args args);  // what follows the name; returns the exit code
};

/// Runs the command that args[0] names with the rest of args; `program` ("hadal", "hadal data") opens usage lines.
/// Prints the table for --help, -h or help. Throws UsageError when args is empty or names no command.
int run_command(std::string_view program, std::span<const Command> commands, Args args);

/// The body of main(): run_command with errors on stderr. Returns 0 done, 1 failed, 2 usage.
int run_program(std::string_view program, std::span<const Command> commands, Args args);

}  // namespace hadal
