#include "server/inbox.h"

namespace assent {

template <class Put>
bool Inbox::put(Put&& put) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    put();
    wake = sleeping_;
    sleeping_ = false;
  }
  if (wake) filled_.notify_one();
  return true;
}

void Inbox::push(Event event) {
  put([&] { items_.emplace_back(std::move(event)); });
}

void Inbox::push_frame(FrameReceived frame, FrameReader& reader) {
  bool full = false;
  put([&] {
    frame_bytes_ += frame.frame.size();
    items_.emplace_back(Event(std::move(frame)));
    full = frame_bytes_ >= frame_bytes_max_;
    if (full) waiting_.push_back(&reader);
  });
  if (!full) reader.proceed();
}

bool Inbox::post(Task task) {
  return put([&] { items_.emplace_back(std::move(task)); });
}

void Inbox::disk_progress() {
  put([&] {
    if (!disk_progress_) items_.emplace_back(Event(DiskProgress{}));
    disk_progress_ = true;
  });
}

void Inbox::take(std::vector<Item>& items, std::chrono::steady_clock::time_point until) {
  items.clear();
  std::vector<FrameReader*> readers;
  {
    std::unique_lock lock(mutex_);
    if (items_.empty() && !closed_) {
      sleeping_ = true;
      filled_.wait_until(lock, until, [this] { return !items_.empty() || closed_; });
      sleeping_ = false;
    }
    items.swap(items_);
    readers.swap(waiting_);
    frame_bytes_ = 0;
    disk_progress_ = false;
  }
  for (FrameReader* reader : readers) reader->proceed();
}

void Inbox::close() {
  std::vector<FrameReader*> readers;
  std::vector<Item> dropped;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    readers.swap(waiting_);
    dropped.swap(items_);
  }
  filled_.notify_all();
  for (FrameReader* reader : readers) reader->proceed();
}

}  // namespace assent
