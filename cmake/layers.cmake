# One static library per folder of src/ (shared rule of the house: a folder includes only folders of a smaller level;
# scripts/check_layers.py checks the includes themselves).
set(HADAL_LAYERS "" CACHE INTERNAL "libraries of the program")

# hadal_layer(name [DEPENDS layer...] [LINK library...]): library hadal_<name> from src/<name>/**.cc. A folder that has
# no source yet is skipped, and so is a dependency on it.
function(hadal_layer name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_library(hadal_${name} STATIC ${sources})
  target_include_directories(hadal_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  hadal_link_layers(hadal_${name} ${ARG_DEPENDS})
  target_link_libraries(hadal_${name} PUBLIC ${ARG_LINK})
  set(HADAL_LAYERS hadal_${name} ${HADAL_LAYERS} CACHE INTERNAL "")
endfunction()

function(hadal_link_layers target)
  foreach(layer ${ARGN})
    if(TARGET hadal_${layer})
      target_link_libraries(${target} PUBLIC hadal_${layer})
    endif()
  endforeach()
endfunction()

# src/kernels/: the files of cpu/ are compiled once per instruction set. No -m flag is passed: each file opens a target
# region after its includes (kernels/cpu/isa_begin.h), so no inline function of a shared header is built for a CPU that
# may not be there.
function(hadal_kernels)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB contracts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/kernels/*.cc ${CMAKE_SOURCE_DIR}/src/kernels/ref/*.cc)
  file(GLOB per_isa CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/kernels/cpu/*.cc)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(isas portable avx2 avx512)
  else()
    set(isas portable)
  endif()
  set(objects "")
  foreach(isa ${isas})
    add_library(hadal_kernels_${isa} OBJECT ${per_isa})
    target_compile_definitions(hadal_kernels_${isa} PRIVATE HADAL_ISA=${isa} HADAL_ISA_IS_${isa})
    # g++ 12 takes the undefined sources inside its own AVX-512 intrinsics for mistakes.
    target_compile_options(hadal_kernels_${isa} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized;-Wno-uninitialized>)
    target_include_directories(hadal_kernels_${isa} PRIVATE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(hadal_kernels_${isa} PRIVATE fmt::fmt)
    list(APPEND objects $<TARGET_OBJECTS:hadal_kernels_${isa}>)
  endforeach()
  add_library(hadal_kernels STATIC ${contracts} ${objects})
  target_include_directories(hadal_kernels PUBLIC ${CMAKE_SOURCE_DIR}/src)
  hadal_link_layers(hadal_kernels ${ARG_DEPENDS})
  if("avx2" IN_LIST isas)
    target_compile_definitions(hadal_kernels PRIVATE HADAL_X86)
  endif()
  set(HADAL_LAYERS hadal_kernels ${HADAL_LAYERS} CACHE INTERNAL "")
endfunction()
