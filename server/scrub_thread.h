// The thread that reads a running node's cold data at a set rate and tells the loop what is damaged: closed segments
// and snapshots by the disk seam, with a disk of its own for reading; databases by SQLite, with connections of its own.
// It writes nothing. What there is to read it asks the loop; what is to be done about damage the loop decides
// (Loop::repair).
//
// start() and stop() from one thread. The inbox outlives it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "server/inbox.h"
#include "server/posix_disk.h"
#include "storage/scrubber.h"

namespace assent {

struct ScrubOptions {
  std::string data_dir;
  std::uint64_t bytes_per_second = 0;  // above 0
  std::chrono::milliseconds every{};   // from the begin of a pass to that of the next
};

class ScrubThread {
 public:
  // Called on the loop's thread, for each file that is found damaged, also again; repaired: the node replaces it.
  using Found = std::function<void(const Scrubber::Damage& damage, bool repaired)>;

  ScrubThread(ScrubOptions options, Inbox& inbox, Found found);
  ~ScrubThread();
  ScrubThread(const ScrubThread&) = delete;
  ScrubThread& operator=(const ScrubThread&) = delete;

  // io: the folder cannot be read.
  [[nodiscard]] Result<void> start();
  void stop();

 private:
  using Clock = std::chrono::steady_clock;

  void run();
  void pass(Scrubber::Scope scope);
  [[nodiscard]] bool begin(Scrubber::Scope scope);
  void forget_cached(const std::vector<ColdFile>& files) const;
  [[nodiscard]] Scrubber::Look look(const ColdFile& file);
  void tell(Scrubber::Damage damage);
  void publish();
  [[nodiscard]] bool read(std::uint64_t bytes);           // keeps to the rate; false: stop
  [[nodiscard]] bool wait_until(Clock::time_point time);  // false: stop

  const ScrubOptions options_;
  Inbox& inbox_;
  const Found found_;

  // Of the thread.
  std::unique_ptr<PosixDisk> disk_;
  std::unique_ptr<Scrubber> scrubber_;
  Clock::time_point due_;  // when what was read so far may have been read
  Clock::time_point published_;
  std::uint64_t looked_bytes_ = 0;  // of the database that is looked at
  std::uint64_t last_pass_micros_ = 0;

  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace assent
