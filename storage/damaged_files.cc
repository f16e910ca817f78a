#include "storage/damaged_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace assent {
namespace {

constexpr std::size_t digits = 6;

std::string path_of(std::string_view name) { return fmt::format("{}/{}", damaged_folder, name); }

// By which they came; 0 for what is none of ours.
std::uint64_t number_of(std::string_view name) {
  std::uint64_t number = 0;
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos || dash < digits) return 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + dash, number);
  return error == std::errc{} && end == name.data() + dash ? number : 0;
}

Result<void> move(Disk& disk, const std::string& path, const std::string& name) {
  if (auto made = disk.make_folder(damaged_folder); !made) return made;
  if (auto synced = disk.sync_directory(""); !synced) return synced;
  return disk.rename(path, path_of(name));
}

// Best effort: what cannot be removed now is in the way of nobody.
void remove_oldest(Disk& disk, std::uint64_t bytes_max) {
  auto names = disk.list(damaged_folder);
  if (!names) return;
  std::erase_if(*names, [](const std::string& name) { return number_of(name) == 0; });
  std::sort(names->begin(), names->end(),
            [](const std::string& a, const std::string& b) { return number_of(a) > number_of(b); });
  std::uint64_t kept = 0;
  for (const std::string& name : *names) {
    kept += disk.size(path_of(name)).value_or(0);
    if (kept > bytes_max) (void)disk.remove(path_of(name));
  }
}

}  // namespace

Result<void> set_aside(Disk& disk, const std::string& path, std::uint64_t bytes_max) {
  const auto names = disk.list(damaged_folder);
  std::uint64_t newest = 0;
  if (names) {
    for (const std::string& name : *names) newest = std::max(newest, number_of(name));
  }
  std::string name = fmt::format("{:0{}}-{}", newest + 1, digits, path);
  std::replace(name.begin(), name.end(), '/', '-');
  if (!move(disk, path, name)) return disk.remove(path);
  remove_oldest(disk, bytes_max);
  (void)disk.sync_directory(damaged_folder);
  return {};
}

}  // namespace assent
