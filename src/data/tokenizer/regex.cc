#include "data/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>

#include "base/error.h"

namespace hadal {
namespace {

constexpr std::size_t kMaxPatternBytes = 64 << 10;
constexpr std::uint32_t kMatchLimit = 10'000'000;  // steps of backtracking
constexpr std::uint32_t kHeapLimitKilobytes = 512 << 10;
constexpr std::size_t kJitStackStart = 64 << 10, kJitStackMax = 64 << 20;

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

/// The pattern in PCRE2's words. ^ and $ are those of lines, as always in Oniguruma (see the options below). \s and \S
/// are spelled out: PCRE2 counts U+180E as white space, Oniguruma and Unicode do not.
std::string translate(std::string_view pattern) {
  // DeepSeek LLM's "\s+$" would look at a long run of spaces that ends in something else from each of its places. No
  // match begins inside a run.
  if (pattern == "\\s+$") return "(?<!\\p{White_Space})\\p{White_Space}+$";
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '\\') {
      out += pattern[i];
      continue;
    }
    HADAL_CHECK(++i < pattern.size(), "regex: ends in a backslash: ", pattern);
    const char c = pattern[i];
    const bool is_punctuation =
        (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
    if (c == 's') {
      out += "\\p{White_Space}";
    } else if (c == 'S') {
      out += "\\P{White_Space}";
    } else if (is_punctuation || c == ' ' || std::string_view("pPdDwWrntfb").find(c) != std::string_view::npos) {
      out.append({'\\', c});
    } else {
      fail("regex: \\", c, " is not supported: ", pattern);
    }
  }
  return out;
}

}  // namespace

struct Regex::Workspace::Impl {
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr);
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);

  Impl() {
    HADAL_CHECK(context != nullptr && stack != nullptr && match != nullptr, "regex: out of memory");
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kHeapLimitKilobytes);
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Impl() {
    pcre2_match_data_free(match);
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
  }
};

Regex::Workspace::Workspace() : impl_(std::make_unique<Impl>()) {}
Regex::Workspace::~Workspace() = default;
Regex::Workspace::Workspace(Workspace&&) noexcept = default;
Regex::Workspace& Regex::Workspace::operator=(Workspace&&) noexcept = default;

struct Regex::Impl {
  pcre2_code* code = nullptr;
  bool jit = false;
  ~Impl() { pcre2_code_free(code); }
};

Regex::Regex(std::string_view pattern) : impl_(std::make_unique<Impl>()) {
  HADAL_CHECK(pattern.size() <= kMaxPatternBytes, "regex: ", pattern.size(), " bytes, want at most ", kMaxPatternBytes);
  const std::string text = translate(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  impl_->code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  HADAL_CHECK(impl_->code != nullptr, "regex: ", pcre2_message(error), " at byte ", offset, " of ", text);
  impl_->jit = pcre2_jit_compile(impl_->code, PCRE2_JIT_COMPLETE) == 0;
}
Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

std::optional<std::pair<std::size_t, std::size_t>> Regex::find(std::string_view text, std::size_t from,
                                                               Workspace& workspace) const {
  const Workspace::Impl& w = *workspace.impl_;
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int rc = PCRE2_ERROR_JIT_STACKLIMIT;
  if (impl_->jit) rc = pcre2_jit_match(impl_->code, subject, text.size(), from, 0, w.match, w.context);
  if (rc == PCRE2_ERROR_JIT_STACKLIMIT)  // very long runs: the interpreter keeps its state on the heap
    rc = pcre2_match(impl_->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, w.match, w.context);
  if (rc == PCRE2_ERROR_NOMATCH) return std::nullopt;
  HADAL_CHECK(rc >= 0, "regex: ", pcre2_message(rc), " in a text of ", text.size(), " bytes");
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(w.match);
  HADAL_CHECK(bounds[0] <= bounds[1], "regex: a match that ends before it begins");  // \K and such
  return std::pair<std::size_t, std::size_t>{bounds[0], bounds[1]};
}

}  // namespace hadal
