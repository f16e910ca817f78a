// What waits for the loop: events from gRPC's threads and the disk's, and questions of the admin services. Many threads
// put in, the loop's thread takes everything out at once; it is woken only when it sleeps.
//
// Bounded where others fill it: frames by bytes (their readers wait), client requests by the services' table. Every
// member is guarded by mutex_.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <variant>
#include <vector>

#include "node/loop.h"

namespace assent {

class Inbox {
 public:
  // Runs on the loop's thread, between events.
  using Task = std::function<void(Loop&)>;
  using Item = std::variant<Event, Task>;

  // Whoever reads frames from a stream: told when it may read on.
  class FrameReader {
   public:
    virtual void proceed() = 0;  // any thread

   protected:
    ~FrameReader() = default;
  };

  explicit Inbox(std::size_t frame_bytes_max = 32ULL << 20U) : frame_bytes_max_(frame_bytes_max) {}

  // From any thread; nothing is kept after close().
  void push(Event event);
  void push_frame(FrameReceived frame, FrameReader& reader);  // calls proceed() now, or once there is room
  [[nodiscard]] bool post(Task task);                         // false after close(): it will never run
  void disk_progress();                                       // many are one

  // From the loop's thread: replaces items by all that is there, after waiting for the first until the given time.
  void take(std::vector<Item>& items, std::chrono::steady_clock::time_point until);

  // Readers that wait are let go; tasks that wait are dropped with what they hold.
  void close();

 private:
  template <class Put>
  bool put(Put&& put);

  const std::size_t frame_bytes_max_;
  std::mutex mutex_;
  std::condition_variable filled_;
  std::vector<Item> items_;
  std::vector<FrameReader*> waiting_;
  std::size_t frame_bytes_ = 0;  // in items_
  bool disk_progress_ = false;   // one is in items_
  bool sleeping_ = false;        // the loop waits for filled_
  bool closed_ = false;
};

}  // namespace assent
