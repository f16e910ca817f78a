# Flags that every target of ours has, and the two ways to make one.

set(ASSENT_SANITIZE "" CACHE STRING "address, thread, fuzz (clang), or empty")

find_program(ASSENT_CCACHE ccache)
if(ASSENT_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ASSENT_CCACHE})
endif()
find_program(ASSENT_MOLD mold)
if(ASSENT_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

if(ASSENT_SANITIZE STREQUAL "address")
  # GCC's own note: the sanitizers make its uninitialized-use analysis see ghosts, in std::variant above all.
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
    -Wno-maybe-uninitialized)
  add_link_options(-fsanitize=address,undefined)
elseif(ASSENT_SANITIZE STREQUAL "fuzz")
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=address,undefined)
elseif(ASSENT_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
endif()

add_library(assent_flags INTERFACE)
target_compile_options(assent_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
target_include_directories(assent_flags INTERFACE ${CMAKE_SOURCE_DIR})

# Headers that nearly every file reads, read once: a fifth of the time of a build. Each file still includes what it uses.
# A target whose flags differ in what these headers look at reads them as text. GCC only: clang refuses where GCC reads.
# Not by default: files that were compiled with them are of no use to ccache in another folder.
option(ASSENT_PRECOMPILED_HEADERS "Read common headers once; for builds from nothing" OFF)
set(CMAKE_PCH_WARN_INVALID OFF)
function(assent_common_headers name)
  add_library(${name} OBJECT ${CMAKE_SOURCE_DIR}/cmake/common_headers.cc)
  target_link_libraries(${name} PRIVATE fmt::fmt tl::expected assent_flags ${ARGN})
  target_precompile_headers(${name} PRIVATE <algorithm> <array> <chrono> <functional> <map> <memory> <optional> <set> <span> <string>
    <string_view> <unordered_map> <variant> <vector> <fmt/format.h> <tl/expected.hpp>)
endfunction()
function(assent_reuse_headers name from)
  if(TARGET ${from})
    target_precompile_headers(${name} REUSE_FROM ${from})
  endif()
endfunction()
if(ASSENT_PRECOMPILED_HEADERS AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-pthread)
  assent_common_headers(assent_headers)
endif()

# assent_library(name [OWN_HEADERS] SOURCES a.cc b.cc LINK other...); OWN_HEADERS: it precompiles others, or none.
function(assent_library name)
  cmake_parse_arguments(ARG "OWN_HEADERS" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE assent_flags)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  if(NOT ARG_OWN_HEADERS)
    assent_reuse_headers(${name} assent_headers)
  endif()
endfunction()

# assent_program(name SOURCES main.cc LINK other...)
function(assent_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} assent_flags)
  assent_reuse_headers(${name} assent_headers)
endfunction()

# The allocator of the programs, unless a sanitizer brings its own: a transaction makes thousands of small, short-lived
# objects, and tcmalloc hands them out at half the price of glibc's.
add_library(assent_allocator INTERFACE)
if(NOT ASSENT_SANITIZE)
  find_library(ASSENT_TCMALLOC tcmalloc_minimal REQUIRED)
  target_link_libraries(assent_allocator INTERFACE ${ASSENT_TCMALLOC})
endif()

# What the programs with gRPC link and the libraries do not: the allocator, and no search for deadlocks in gRPC's mutexes,
# which Debian's abseil does at every lock unless it is told not to.
add_library(assent_runtime OBJECT ${CMAKE_SOURCE_DIR}/cmake/runtime.cc)
target_link_libraries(assent_runtime PUBLIC absl::synchronization assent_allocator)
