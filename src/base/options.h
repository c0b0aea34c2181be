#pragma once
// One table per struct of options drives the command line, --help, the JSON config, the run manifest and its hash:
//
//   struct ScheduleOptions {
//     double lr = 3e-4;
//     template <class V> void visit(V&& v) { v("lr", lr, "peak learning rate"); }
//   };
//   struct TrainOptions {
//     std::string out; std::int64_t steps = 1000; ScheduleOptions schedule;
//     template <class V> void visit(V&& v) {
//       v("out", out, "run folder", {.required = true});
//       v("steps", steps, "optimizer steps");
//       v.group("schedule", schedule, "learning rate over time");
//     }
//   };
//   TrainOptions options;
//   if (!parse_options(options, args, {.verb = "pretrain", .about = "train a base model", .config = true})) return 0;
//
// accepts --steps 5, --steps=5, --schedule.lr 1e-3, --set schedule.lr=1e-3 and --config FILE, where FILE holds
// {"steps": 5, "schedule": {"lr": 1e-3}}. A key a_b is written --a-b on the command line; switches are --x and --no-x.
// Flags win over the config file, wherever they stand. Types: OptionTarget in base/option_value.h; vectors of structs
// through v.list(), which only the config file and --set (as JSON) can fill.
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/option_value.h"

namespace boost::json {
class object;
}

namespace hadal {

using Args = std::span<const std::string_view>;

/// The command line is wrong; main prints it and exits with 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

/// What an option may be beyond its type.
struct OptionTraits {
  bool required = false;             // must be given, on the command line or in the config
  bool positional = false;           // given by place, without a flag; a vector of strings takes the rest
  std::vector<std::string> choices;  // the strings that are allowed; empty: all
  std::string_view placeholder;      // what --help calls the value ("DIR"); empty: by type
};

struct Option {
  std::string path;  // keys from the root, as in JSON: "schedule.lr"
  std::string help;
  OptionTarget target;
  OptionTraits traits;
  std::string default_text;
  bool given = false;
};

/// What --help says about a verb and what it accepts beside its options.
struct VerbInfo {
  std::string_view verb;     // "pretrain", "tokenizer train"
  std::string_view about;    // one line
  bool config = false;       // takes --config FILE (JSON with the same keys) and --set key=value
  std::string_view example;  // optional; one command
};

/// The options of one struct, which must outlive the table. It is the visitor that Options::visit gets.
class OptionTable {
 public:
  template <class Options>
  explicit OptionTable(Options& options) {
    options.visit(*this);
  }

  template <class T>
  void operator()(std::string_view name, T& value, std::string_view help, OptionTraits traits = {}) {
    add(name, &value, help, std::move(traits));
  }
  /// Nested options; keys become name.key.
  template <class Options>
  void group(std::string_view name, Options& options, std::string_view help) {
    const std::string outer = open_group(name, help);
    options.visit(*this);
    prefix_ = outer;
  }
  /// A vector of nested options.
  template <class Options>
  void list(std::string_view name, std::vector<Options>& options, std::string_view help) {
    add(name,
        OptionList{.size = [&options] { return options.size(); },
                   .resize = [&options](std::size_t n) { options.resize(n); },
                   .element = [&options](std::size_t i) { return OptionTable(options.at(i)); }},
        help, {});
  }

  /// Sets what `config` holds. `where` opens error messages (a file name). Throws Error on unknown keys and wrong
  /// types.
  void read_json(const boost::json::value& config, const std::string& where);
  boost::json::object to_json() const;

  /// Reads flags and positional arguments; throws UsageError. Returns false when --help was asked for.
  bool read_args(Args args, const VerbInfo& verb);
  std::string help(const VerbInfo& verb) const;

  const std::vector<Option>& options() const { return options_; }

 private:
  struct Group {
    std::string path, help;
  };
  struct Assignment {
    Option* option = nullptr;
    std::string_view text;
    std::string flag;  // for messages
  };

  void add(std::string_view name, OptionTarget target, std::string_view help, OptionTraits traits);
  std::string open_group(std::string_view name, std::string_view help);
  Option* find(std::string_view path);
  static void check_choice(const Option& option, std::string_view where);
  void read_object(const boost::json::object& object, const std::string& prefix, const std::string& where);
  Assignment by_flag(std::string_view argument, Args& rest, const VerbInfo& verb);
  Assignment by_set(std::string_view text);
  void assign(const std::vector<Assignment>& assignments);
  void assign_words(std::span<const std::string_view> words, std::vector<Assignment>& assignments);

  std::vector<Option> options_;
  std::vector<Group> groups_;
  std::string prefix_;
};

/// Fills `options` from the command line of a verb. Returns false when --help was printed (the verb then ends with 0).
/// Throws UsageError for a wrong command line and Error for a wrong config file.
template <class Options>
bool parse_options(Options& options, Args args, const VerbInfo& verb) {
  return OptionTable(options).read_args(args, verb);
}

/// "; did you mean x?" for the candidate that a typing mistake of `name` most likely meant; empty when none is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace hadal
