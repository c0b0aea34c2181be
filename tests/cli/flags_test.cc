// Freezes the verbs and flags of the program in golden/flags.txt: scripts rely on them. After a wanted change, run the
// test with HADAL_UPDATE_GOLDEN=1 and look at the difference that it makes.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"

namespace hadal {
namespace {

struct Output {
  int code = -1;
  std::string text;  // stdout; with stderr when asked
};

Output run(const std::string& args, bool with_stderr = false) {
  const std::string command = std::string(HADAL_BINARY) + " " + args + (with_stderr ? " 2>&1" : " 2>/dev/null");
  std::FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return {};
  Output output;
  std::array<char, 4096> block{};
  for (std::size_t n = 0; (n = std::fread(block.data(), 1, block.size(), pipe)) > 0;)
    output.text.append(block.data(), n);
  const int status = pclose(pipe);
  output.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) result.push_back(line);
  return result;
}

// The left column of a line of help, without its two leading spaces; empty for other lines.
std::string left_column(const std::string& line) {
  if (!line.starts_with("  ") || line.size() < 3 || line[2] == ' ') return "";
  const std::string rest = line.substr(2);
  return rest.substr(0, rest.find("  "));
}

bool is_table(const Output& help) {
  return lines(help.text).at(0).find("<verb> [options]") != std::string::npos;
}

void describe(const std::string& verb, std::string& out) {
  const Output help = run(verb + " --help");
  ASSERT_EQ(help.code, 0) << "hadal " << verb << " --help";
  ASSERT_TRUE(help.text.starts_with("usage: hadal")) << help.text;
  const bool table = is_table(help);
  const std::vector<std::string> all = lines(help.text);
  // Of an option list, the second line says what the verb does.
  for (std::size_t i = table ? 1 : 2; i < all.size(); ++i) {
    const std::string left = left_column(all[i]);
    if (left.empty() || left == "--help") continue;
    if (table)
      describe(verb.empty() ? left : verb + " " + left, out);
    else
      out += verb + " " + left + "\n";
  }
  if (!table && run(verb + " --no-such-flag").code != 2) ADD_FAILURE() << verb << ": an unknown flag must exit with 2";
}

TEST(Cli, VerbsAndFlagsAreThoseOfTheGoldenFile) {
  std::string found;
  describe("", found);
  const std::filesystem::path golden = std::filesystem::path(HADAL_SOURCE_DIR) / "tests/cli/golden/flags.txt";
  if (std::getenv("HADAL_UPDATE_GOLDEN") != nullptr) write_file_atomically(golden, found);
  EXPECT_EQ(found, read_file(golden)) << "if the change is wanted: HADAL_UPDATE_GOLDEN=1 " << HADAL_SOURCE_DIR
                                      << "/dev test -R Cli.Verbs";
}

TEST(Cli, TheReadmeNamesEveryVerb) {
  const std::string readme = read_file(std::filesystem::path(HADAL_SOURCE_DIR) / "README.md");
  for (const std::string& line : lines(run("--help").text)) {
    const std::string verb = left_column(line);
    if (!verb.empty()) {
      EXPECT_NE(readme.find("`" + verb + "`"), std::string::npos) << verb;
    }
  }
}

TEST(Cli, ExitCodes) {
  EXPECT_EQ(run("--help").code, 0);
  EXPECT_EQ(run("").code, 2);
  const Output unknown = run("pretrian", true);
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.text.find("unknown verb \"pretrian\""), std::string::npos) << unknown.text;
}

}  // namespace
}  // namespace hadal
