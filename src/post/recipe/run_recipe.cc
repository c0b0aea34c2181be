#include "post/recipe/run_recipe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/stopwatch.h"
#include "train/manifest.h"
#include "train/stop_signal.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

fs::path step_file(const fs::path& out, const std::string& stage, const char* what) {
  return out / "steps" / (stage + what);
}

double cpu_of(const rusage& used) {
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

struct Ended {
  int status = 0;
  double cpu_seconds = 0;
};

/// Starts the words as a process with stdout in a file and waits for it. It ends with this process, and gets one
/// SIGTERM when this one is asked to stop; a signal of the terminal does not reach it twice.
Ended run_process(const std::vector<std::string>& words, const fs::path& stdout_file) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const std::string file = stdout_file.string();
  const pid_t parent = ::getpid(), child = ::fork();
  HADAL_CHECK(child >= 0, "cannot start ", words[0], ": ", std::strerror(errno));
  if (child == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    const int to = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644),
              from = ::open("/dev/null", O_RDONLY);
    if (::getppid() != parent || to < 0 || ::dup2(to, STDOUT_FILENO) < 0 || ::dup2(from, STDIN_FILENO) < 0)
      ::_exit(127);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  bool told = false;
  Ended ended;
  rusage used{};
  while (::wait4(child, &ended.status, WNOHANG, &used) == 0) {
    if (StopSignal::requested() && !told) ::kill(child, SIGTERM), told = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ended.cpu_seconds = cpu_of(used);
  return ended;
}

/// The last line of a file, as JSON; an empty object when it has none.
JsonObject last_line(const fs::path& file) {
  std::istringstream lines(read_file(file));
  std::string line, last;
  while (std::getline(lines, line))
    if (!line.empty()) last = line;
  if (last.empty()) return {};
  const Json json = parse_json(last, file.string());
  return json.is_object() ? json.get_object() : JsonObject{};
}

std::string model_of(const fs::path& out, const std::string& stage) {
  const std::optional<StageResult> done = stage_result(out, stage);
  HADAL_CHECK(done, "stage ", stage, " is not done");
  const Json* const model = done->result.if_contains("model");
  return model != nullptr && model->is_string() ? std::string(model->get_string()) : (out / stage).string();
}

/// A stage is done once; with other options it would be another one.
void check_unchanged(const Stage& stage, JsonObject before, JsonObject now, const fs::path& out) {
  before.erase("threads"), now.erase("threads");  // results do not depend on them
  const std::vector<std::string> changes = option_changes(before, now);
  HADAL_CHECK(changes.empty(), "stage ", stage.name, " was done with other options (", changes.front(),
              "); give another --out, or remove ", step_file(out, stage.name, ".done.json").string(), " and ",
              (out / stage.name).string());
}

/// Time and CPU time that a stage took in all its sessions, with one more.
JsonObject time_spent(const fs::path& file, double seconds, double cpu_seconds) {
  if (fs::exists(file)) {
    const Json before = read_json_file(file);
    ObjectReader reader(before, file.string());
    seconds += reader.get<double>("seconds"), cpu_seconds += reader.get<double>("cpu_seconds");
  }
  JsonObject time{{"seconds", seconds}, {"cpu_seconds", cpu_seconds}};
  write_file_atomically(file, json_pretty(time));
  return time;
}

/// Returns false when a signal stopped it.
bool run_stage(const Stage& stage, const JsonObject& options, const RecipeRunOptions& o) {
  const fs::path config = step_file(o.out, stage.name, ".json"), printed = step_file(o.out, stage.name, ".out");
  write_file_atomically(config, json_pretty(options));
  std::vector<std::string> words{o.program.empty() ? fs::read_symlink("/proc/self/exe").string() : o.program};
  std::istringstream verb(stage.verb);
  for (std::string word; verb >> word;) words.push_back(word);
  words.insert(words.end(), {"--config", config.string()});
  if (stage.resumes() && fs::exists(o.out / stage.name / "manifest.json")) words.push_back("--resume");

  const Stopwatch stopwatch;
  const Ended ended = run_process(words, printed);
  JsonObject done = time_spent(step_file(o.out, stage.name, ".time.json"), stopwatch.seconds(), ended.cpu_seconds);
  const bool good = WIFEXITED(ended.status) && WEXITSTATUS(ended.status) == 0;
  if (!good && StopSignal::requested()) return false;
  HADAL_CHECK(good, "stage ", stage.name, " failed; its command was: ", fmt::format("{}", fmt::join(words, " ")));
  JsonObject result = last_line(printed);
  const Json* const finished = result.if_contains("finished");
  if (finished != nullptr && finished->is_bool() && !finished->get_bool()) return false;
  done["options"] = options, done["result"] = std::move(result);
  write_file_atomically(step_file(o.out, stage.name, ".done.json"), json_pretty(done));
  return true;
}

}  // namespace

std::optional<StageResult> stage_result(const fs::path& out, const std::string& stage) {
  const fs::path file = step_file(out, stage, ".done.json");
  if (!fs::exists(file)) return std::nullopt;
  const Json json = read_json_file(file);
  ObjectReader reader(json, file.string());
  const auto object = [&](const char* key) {
    const Json& value = reader.value(key);
    HADAL_CHECK(value.is_object(), reader.at(key), ": want an object");
    return value.get_object();
  };
  StageResult done{.options = object("options"), .result = object("result")};
  done.seconds = reader.get<double>("seconds"), done.cpu_seconds = reader.get<double>("cpu_seconds");
  reader.finish();
  return done;
}

bool run_recipe(const Recipe& recipe, const RecipeRunOptions& o) {
  if (!o.until.empty()) recipe.stage(o.until);
  fs::create_directories(o.out / "steps");
  const StopSignal stop;
  for (std::size_t i = 0; i < recipe.stages.size(); ++i) {
    const Stage& stage = recipe.stages[i];
    const JsonObject options =
        stage.resolved(o.out, o.seed, o.threads, [&](const std::string& name) { return model_of(o.out, name); });
    if (const std::optional<StageResult> done = stage_result(o.out, stage.name)) {
      check_unchanged(stage, done->options, options, o.out);
    } else {
      log_info("[", i + 1, "/", recipe.stages.size(), "] ", stage.name, ": ",
               stage.about.empty() ? stage.verb : stage.about);
      if (!run_stage(stage, options, o)) return false;
    }
    if (StopSignal::requested()) return false;
    if (stage.name == o.until) break;
  }
  return true;
}

}  // namespace hadal
