// The disk of a real node: a folder of an ordinary file system, behind the Disk seam.
//
// Writes and syncs run on one thread of its own, in the order of the calls; everything else runs in the caller's thread
// and blocks. When something finished, wake is called; the owner then calls poll() from its own thread. A write whose
// file is synced right behind it is reported together with that sync, so that a batch costs one wake-up.
//
// An owner that asks for it gathers writes and syncs until it calls start(): then they go to the thread together, with
// one wake-up; or they run at once in the caller's thread, without any, when that has nothing to do meanwhile and the
// device syncs faster than two threads can tell each other about it (docs/PERFORMANCE.md has what each is worth).
//
// The folder is locked with flock(2) on its file LOCK while the disk is open: two processes never share one.
// Errors name the file and what the operating system said.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "storage/disk.h"

namespace assent {

class PosixDisk : public Disk {
 public:
  enum class Begin : std::uint8_t {
    at_once,   // each write and sync goes to the I/O thread when it is handed in
    on_start,  // writes and syncs are gathered until start()
  };

  // Creates the folder when it does not exist (mode 0700). refused when another process holds it. wake must be callable
  // from any thread until the disk is destroyed, must not block and must not call back into the disk.
  [[nodiscard]] static Result<std::unique_ptr<PosixDisk>> open(const std::string& path, std::function<void()> wake,
                                                               Begin begin = Begin::at_once);
  // Every sync takes this much longer, until told otherwise: what a slow device does to a cluster, for development.
  // From any thread.
  virtual void delay_syncs(std::chrono::milliseconds delay) = 0;
  // For tools: no lock, no thread; whatever would change something is refused.
  [[nodiscard]] static Result<std::unique_ptr<PosixDisk>> open_for_reading(const std::string& path);
};

}  // namespace assent
