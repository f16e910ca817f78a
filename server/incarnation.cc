#include "server/incarnation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>

#include "server/durable_file.h"

namespace assent {

namespace {

constexpr std::uint64_t incarnation_max = 1ULL << 62U;

// Zero when there is none, or none that can be read.
std::uint64_t last_incarnation(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return std::min(number, incarnation_max);
}

}  // namespace

Result<Incarnation> next_incarnation(const std::string& data_dir, std::uint64_t now_micros) {
  const std::string path = data_dir + "/INCARNATION";
  const std::uint64_t last = last_incarnation(path);
  const std::uint64_t next = std::max(now_micros, last + 1);
  // Durable before anybody hears of it: who knows of a later start than the disk does takes the disk for an old one.
  if (auto written = replace_file(path, fmt::format("{}\n", next)); !written) return fail(written.error());
  return Incarnation{next, last};
}

}  // namespace assent
