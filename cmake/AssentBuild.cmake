# Flags that every target of ours has, and the two ways to make one.

option(ASSENT_PLANTED_BUGS "Builds the bugs of base/planted.h in; for assent-sim canaries only" OFF)
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

if(ASSENT_PLANTED_BUGS)
  add_compile_definitions(ASSENT_PLANTED_BUGS)
endif()

add_library(assent_flags INTERFACE)
target_compile_options(assent_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
target_include_directories(assent_flags INTERFACE ${CMAKE_SOURCE_DIR})

# assent_library(name SOURCES a.cc b.cc LINK other...)
function(assent_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE assent_flags)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
endfunction()

# assent_program(name SOURCES main.cc LINK other...)
function(assent_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} assent_flags)
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
