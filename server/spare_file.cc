#include "server/spare_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <vector>

namespace assent {

namespace {
constexpr std::uint64_t piece_bytes = 1ULL << 20U;
}

int write_zeros(int fd, std::uint64_t bytes, const std::atomic<bool>* stopping) {
  // Reserved first: a disk that is too small says so at once and keeps its free blocks.
  if (const int number = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes)); number != 0) return number;
  const std::vector<char> zeros(std::min(bytes, piece_bytes), '\0');
  std::uint64_t offset = 0;
  while (offset < bytes) {
    if (stopping != nullptr && *stopping) return ECANCELED;
    const std::uint64_t piece = std::min(bytes - offset, piece_bytes);
    const ssize_t written = ::pwrite(fd, zeros.data(), piece, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : EIO;
    offset += static_cast<std::uint64_t>(written);
    if (::fdatasync(fd) != 0) return errno;
  }
  // Nobody reads them, and direct writes would have to throw them out page by page.
  static_cast<void>(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
  return 0;
}

SpareFile::SpareFile(std::string path) : path_(std::move(path)) { ::unlink(path_.c_str()); }

SpareFile::~SpareFile() {
  stopping_ = true;
  if (maker_.joinable()) maker_.join();
  ::unlink(path_.c_str());
}

bool SpareFile::take(const std::string& to, std::uint64_t bytes) {
  if (!ready_ || bytes_ != bytes || ::rename(path_.c_str(), to.c_str()) != 0) return false;
  ready_ = false;
  maker_.join();
  return true;
}

void SpareFile::prepare(std::uint64_t bytes) {
  if (maker_.joinable()) {
    if (!failed_) return;
    maker_.join();
  }
  bytes_ = bytes;
  failed_ = false;
  maker_ = std::thread([this, bytes] { make(bytes); });
}

void SpareFile::make(std::uint64_t bytes) {
  const int fd = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const bool made = fd >= 0 && write_zeros(fd, bytes, &stopping_) == 0;
  if (fd >= 0) ::close(fd);
  if (!made) ::unlink(path_.c_str());
  failed_ = !made;
  ready_ = made;
}

}  // namespace assent
