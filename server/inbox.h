// What waits for the loop: events of the transport, the services and the disk, and questions of the admin services.
// Anyone may put in; the loop's thread takes everything out at once. Whoever puts in from another thread while the
// loop's sleeps wakes it.
//
// Bounded where others fill it: a stream is read on only when the loop has handled its last frame; client requests by
// the services' table. Every member is guarded by mutex_.
#pragma once

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
    virtual void proceed() = 0;

   protected:
    ~FrameReader() = default;
  };

  // wake is called by whoever puts in after sleep() said yes; it must be callable from any thread.
  explicit Inbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  // From any thread; nothing is kept after close().
  void push(Event event);
  void push_frame(FrameReceived frame, FrameReader& reader);  // proceed() is called by read_on() or close()
  [[nodiscard]] bool post(Task task);                         // false after close(): it will never run
  void disk_progress();                                       // many are one

  // The rest from the loop's thread.
  // May it wait? No when something is here. After a yes: awake(), when it no longer waits.
  [[nodiscard]] bool sleep();
  void awake();
  // Replaces items by all that is there, perhaps nothing.
  void take(std::vector<Item>& items);
  // Lets the readers go whose frames were taken.
  void read_on();

  // Readers that wait are let go, and later ones at once; tasks that wait are dropped with what they hold.
  void close();

 private:
  template <class Put>
  bool put(Put&& put);

  const std::function<void()> wake_;
  std::mutex mutex_;
  std::vector<Item> items_;
  std::vector<FrameReader*> readers_;  // whose frames are in items_
  std::vector<FrameReader*> taken_;    // ... or were taken
  bool disk_progress_ = false;         // one is in items_
  bool sleeping_ = false;              // the loop waits for wake_
  bool closed_ = false;
};

}  // namespace assent
