# cmake -D SOURCE=... -D OUTPUT=build_info.cc -D VERSION=... -D COMPILER=... -D BUILD_TYPE=... -P git_hash.cmake
# Writes the definition of hadal::build_info(). The file changes only when its text does, so nothing is rebuilt in vain.
execute_process(COMMAND git rev-parse --short=12 HEAD WORKING_DIRECTORY ${SOURCE}
                OUTPUT_VARIABLE hash OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE status ERROR_QUIET)
if(NOT status EQUAL 0)
  set(hash "unknown")
else()
  execute_process(COMMAND git status --porcelain --untracked-files=no WORKING_DIRECTORY ${SOURCE}
                  OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    string(APPEND hash "-dirty")
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
#include "base/build_info.h"

namespace hadal {

const BuildInfo& build_info() {
  static constexpr BuildInfo kInfo = {"@VERSION@", "@hash@", "@COMPILER@", "@BUILD_TYPE@"};
  return kInfo;
}

}  // namespace hadal
]] @ONLY)
