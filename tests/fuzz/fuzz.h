#pragma once
// libFuzzer entry points. Each reader may refuse its input with an Error and nothing else: any other exception, crash,
// sanitizer report, hang or large allocation is a finding.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace hadal::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Ends the process when something that must hold does not.
inline void require(bool condition) {
  if (!condition) std::abort();
}

/// Runs `body`; an Error is a proper answer.
template <class Body>
int refuse_or_accept(Body&& body) {
  try {
    body();
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace hadal::fuzz
