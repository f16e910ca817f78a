#include "fuzz/checksums.h"

#include <algorithm>
#include <cstring>

#include "base/byte_codec.h"
#include "base/digest.h"

namespace assent::fuzz {
namespace {

constexpr std::size_t segment_header = 72;
constexpr std::size_t batch_header = 32;
constexpr std::size_t record_header = 24;
constexpr std::size_t block_min = 64;
constexpr std::size_t block_max = 65'536;

template <class Number>
Number load(const Bytes& file, std::size_t at) {
  Number value{};
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}
template <class Number>
void store(Bytes& file, std::size_t at, Number value) {
  std::memcpy(file.data() + at, &value, sizeof value);
}

std::uint64_t place(std::uint64_t number, std::size_t offset) {
  Bytes bytes;
  ByteWriter(bytes).u64(identity).u64(number).u64(offset);
  return xxh3(bytes);
}

void seal(Bytes& file, std::size_t from, std::size_t to, std::size_t sum_at, std::uint64_t seed) {
  store(file, sum_at, xxh3(ByteView(file).substr(from, to - from), seed));
}

std::size_t round_up(std::size_t value, std::size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// The end of the batch's records; 0 when they do not fit the file.
std::size_t repair_batch(Bytes& file, std::uint64_t number, std::size_t at) {
  const auto records = load<std::uint32_t>(file, at + 12);
  std::size_t end = at + batch_header;
  for (std::uint32_t i = 0; i < records; ++i) {
    if (file.size() < end + record_header) return 0;
    const auto length = load<std::uint32_t>(file, end + 8);
    if (file.size() - end - record_header < length) return 0;
    seal(file, end + 8, end + record_header + length, end, place(number, end));
    end = round_up(end + record_header + length, 8);
  }
  store(file, at + 24, static_cast<std::uint64_t>(end - at - batch_header));
  seal(file, at + 8, at + batch_header, at, place(number, at));
  return end;
}

}  // namespace

void repair_segment(Bytes& file, std::uint64_t number) {
  if (file.size() < segment_header) return;
  std::memcpy(file.data(), "ASNTWAL\n", 8);
  store(file, 16, identity);
  store(file, 24, number);
  seal(file, 0, segment_header - 8, segment_header - 8, place(number, 0));
  std::size_t block = load<std::uint32_t>(file, 12);
  if (block < block_min || block > block_max || (block & (block - 1)) != 0) return;
  for (std::size_t at = round_up(segment_header, block); at + batch_header <= file.size();) {
    const std::size_t end = repair_batch(file, number, at);
    if (end == 0) return;
    at = round_up(end, block);
  }
}

void repair_snapshot(Bytes& file) {
  constexpr std::size_t fixed = 40;
  if (file.size() < fixed) return;
  const auto mark = load<std::uint32_t>(file, 12);
  if (file.size() - fixed < std::size_t{mark} + 8) return;
  const std::size_t data = fixed + mark + 8;
  std::memcpy(file.data(), "ASNTSNAP", 8);
  store(file, 24, static_cast<std::uint64_t>(file.size() - data));
  seal(file, data, file.size(), 32, load<std::uint64_t>(file, 16));
  seal(file, 0, data - 8, data - 8, 0);
}

}  // namespace assent::fuzz
