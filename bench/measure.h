// What benchmarks without clients measure: the processor's time, and the memory that a process has.
#pragma once

#include <malloc.h>

#include <cstdint>
#include <ctime>
#include <fstream>

namespace assent {

// Of the processor.
[[nodiscard]] double seconds_of(const auto& work) {
  const std::clock_t begun = std::clock();
  work();
  return static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
}

// What is free inside is given back first.
[[nodiscard]] inline double resident_mib() {
  malloc_trim(0);
  std::ifstream statm("/proc/self/statm");
  std::uint64_t whole = 0;
  std::uint64_t resident = 0;
  statm >> whole >> resident;
  return static_cast<double>(resident) * 4'096 / (1 << 20U);
}

}  // namespace assent
