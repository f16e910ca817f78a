// A yardstick, not part of the product: what the disk itself takes. Batches of the given size are appended to one file
// that was filled before, O_DIRECT where the file system has it, each followed by fdatasync: a group commit that
// nothing waits for.
//
//   disk_syncs FILE SECONDS BYTES_OF_A_BATCH
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t block = 4096;
constexpr std::size_t file_bytes = std::size_t{64} << 20U;

int fail(const char* what) {
  std::perror(what);
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto duration = std::chrono::seconds(std::atoi(argv[2]));
  const auto asked = static_cast<std::size_t>(std::max(1, std::atoi(argv[3])));
  const std::size_t batch = (asked + block - 1) / block * block;
  if (batch > file_bytes) return 2;
  int file = open(argv[1], O_CREAT | O_RDWR | O_DIRECT, 0600);
  if (file < 0) file = open(argv[1], O_CREAT | O_RDWR, 0600);
  if (file < 0) return fail("open");
  auto* bytes = static_cast<char*>(std::aligned_alloc(block, file_bytes));
  std::mt19937_64 random(1);
  for (std::size_t i = 0; i < file_bytes; ++i) bytes[i] = static_cast<char>(random());
  if (pwrite(file, bytes, file_bytes, 0) != static_cast<ssize_t>(file_bytes) || fsync(file) != 0) return fail("fill");
  std::uint64_t batches = 0;
  std::size_t at = 0;
  const auto begun = Clock::now();
  while (Clock::now() - begun < duration) {
    if (at + batch > file_bytes) at = 0;
    if (pwrite(file, bytes + at, batch, static_cast<off_t>(at)) != static_cast<ssize_t>(batch)) return fail("pwrite");
    if (fdatasync(file) != 0) return fail("fdatasync");
    at += batch;
    ++batches;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  std::free(bytes);
  close(file);
  unlink(argv[1]);
  std::printf("syncs/s %.1f  bytes of a batch %zu  us of a sync %.1f\n", static_cast<double>(batches) / seconds, batch,
              seconds / static_cast<double>(batches) * 1e6);
}
