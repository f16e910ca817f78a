#include "server/inbox.h"

#include <utility>

namespace assent {

template <class Put>
bool Inbox::put(Put&& put) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    put();
    wake = std::exchange(sleeping_, false);
  }
  if (wake) wake_();
  return true;
}

void Inbox::push(Event event) {
  put([&] { items_.emplace_back(std::move(event)); });
}

void Inbox::push_frame(FrameReceived frame, FrameReader& reader) {
  const bool open = put([&] {
    items_.emplace_back(Event(std::move(frame)));
    readers_.push_back(&reader);
  });
  if (!open) reader.proceed();
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

bool Inbox::sleep() {
  const std::lock_guard lock(mutex_);
  sleeping_ = items_.empty() && !closed_;
  return sleeping_;
}

void Inbox::awake() {
  const std::lock_guard lock(mutex_);
  sleeping_ = false;
}

void Inbox::take(std::vector<Item>& items) {
  items.clear();
  const std::lock_guard lock(mutex_);
  items.swap(items_);
  taken_.insert(taken_.end(), readers_.begin(), readers_.end());
  readers_.clear();
  disk_progress_ = false;
}

void Inbox::read_on() {
  std::vector<FrameReader*> readers;
  {
    const std::lock_guard lock(mutex_);
    if (taken_.empty()) return;
    readers.swap(taken_);
  }
  for (FrameReader* reader : readers) reader->proceed();
}

void Inbox::close() {
  std::vector<FrameReader*> readers;
  std::vector<Item> dropped;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    readers.swap(taken_);
    readers.insert(readers.end(), readers_.begin(), readers_.end());
    readers_.clear();
    dropped.swap(items_);
  }
  for (FrameReader* reader : readers) reader->proceed();
  wake_();
}

}  // namespace assent
