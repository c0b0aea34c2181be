#pragma once
// Two kinds of failure: Result<T> where the caller has a plan B, the exception Error where the job cannot go on. A
// message says what, got, wanted and where.
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace hadal {

/// The job cannot go on. Caught in four places only: main, per request, worker edge, rank edge.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& what) : std::runtime_error(what) {}
};

/// The parts, printed one after the other.
template <class... Parts>
std::string str_cat(const Parts&... parts) {
  std::string text;
  (fmt::format_to(std::back_inserter(text), "{}", parts), ...);
  return text;
}

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(str_cat(parts...));
}

/// Why there is no value; converts to any Result.
struct Failure {
  std::string message;
};

/// A value, or the reason why there is none.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}            // NOLINT(google-explicit-constructor)
  Result(Failure failure) : state_(std::move(failure)) {}  // NOLINT(google-explicit-constructor)
  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  /// Throws Error when there is no value.
  T& value() & { return check(), std::get<0>(state_); }
  const T& value() const& { return check(), std::get<0>(state_); }
  T&& value() && { return check(), std::get<0>(std::move(state_)); }
  /// Only when !ok().
  const std::string& message() const { return std::get<1>(state_).message; }

 private:
  void check() const {
    if (!ok()) throw Error(message());
  }
  std::variant<T, Failure> state_;
};

/// `v` as another integer type. Throws when it does not fit.
template <class To, class From>
To narrow(From v) {
  const To r = static_cast<To>(v);
  if (static_cast<From>(r) != v || (r < To{}) != (v < From{}))
    fail(v, " does not fit into the integer type it is stored in");
  return r;
}

}  // namespace hadal

/// Checks that stay on in release, at public borders. The parts say what, got, wanted.
#define HADAL_CHECK(condition, ...) \
  do {                              \
    if (!(condition)) [[unlikely]]  \
      ::hadal::fail(__VA_ARGS__);   \
  } while (false)

/// Checks of inner loops, on in the dev and sanitizer presets.
#ifdef HADAL_DCHECKS
#define HADAL_DCHECK(condition, ...) HADAL_CHECK(condition, __VA_ARGS__)
#else
#define HADAL_DCHECK(condition, ...) static_cast<void>(0)
#endif
