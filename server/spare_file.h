// A file of written zeros kept ready for when the log needs a new segment. Writing over zeros that are on the disk
// leaves nothing but data to be synced; a file that is only reserved must have each of its blocks entered as written by
// the same sync, which costs two to three times as much.
//
// take() and prepare() from one thread; the zeros are written by another, in pieces, so that syncs of the log find the
// device free. Whatever goes wrong here is only a spare that is missing.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace assent {

class SpareFile {
 public:
  // Removes what an earlier process left under this path.
  explicit SpareFile(std::string path);
  ~SpareFile();
  SpareFile(const SpareFile&) = delete;
  SpareFile& operator=(const SpareFile&) = delete;

  // Gives the spare its name and place, when there is one of this size that is ready. The names are durable once their
  // folders are synced.
  [[nodiscard]] bool take(const std::string& to, std::uint64_t bytes);
  // Begins to make one, unless there is one or one is being made.
  void prepare(std::uint64_t bytes);

 private:
  void make(std::uint64_t bytes);

  const std::string path_;
  std::uint64_t bytes_ = 0;  // of the spare, or of the one being made
  std::atomic<bool> ready_ = false;
  std::atomic<bool> failed_ = false;
  std::atomic<bool> stopping_ = false;
  std::thread maker_;
};

// Fills a new file with zeros up to bytes, synced; 0 or an errno. Ends early, with ECANCELED, when stopping is set.
[[nodiscard]] int write_zeros(int fd, std::uint64_t bytes, const std::atomic<bool>* stopping = nullptr);

}  // namespace assent
