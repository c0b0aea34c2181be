#pragma once
// A compiled regex of a tokenizer file (Oniguruma's syntax there), run by PCRE2 with its just-in-time compiler.
// Patterns may come from untrusted files: what could differ between the two engines is refused, and matching has a step
// limit.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace hadal {

class Regex {
 public:
  /// Throws Error when the pattern is malformed or uses what is not known to mean the same in both engines.
  explicit Regex(std::string_view pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// What matching needs besides the pattern; one per thread, usable with any Regex.
  class Workspace {
   public:
    Workspace();
    ~Workspace();
    Workspace(Workspace&&) noexcept;
    Workspace& operator=(Workspace&&) noexcept;

   private:
    friend class Regex;
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

  /// The first match at or behind `from`, as [begin, end). `text` must be well-formed UTF-8 and is all that the pattern
  /// sees. Throws Error when the step limit is reached.
  std::optional<std::pair<std::size_t, std::size_t>> find(std::string_view text, std::size_t from,
                                                          Workspace& workspace) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
