#include "storage/scrubber.h"

#include <algorithm>
#include <utility>

namespace assent {

void Scrubber::begin(std::vector<ColdFile> files, Scope scope) {
  current_.reset();
  queue_.clear();
  scope_ = scope;
  std::erase_if(damaged_, [&](const auto& item) {
    const bool gone =
        std::none_of(files.begin(), files.end(), [&item](const ColdFile& file) { return file.path == item.first; });
    if (gone) ++figures_.repaired;
    return gone;
  });
  for (ColdFile& file : files) {
    if (file.kind == ColdFile::Kind::other && !look_) continue;
    if (scope == Scope::all || damaged_.contains(file.path)) queue_.push_back(std::move(file));
  }
  if (queue_.empty()) end();
}

std::optional<Scrubber::Damage> Scrubber::step(std::uint64_t bytes_max) {
  if (!current_) {
    if (queue_.empty()) return std::nullopt;
    current_ = Current{.file = std::move(queue_.front()), .check = nullptr};
    queue_.pop_front();
  }
  Current& current = *current_;
  if (current.file.kind == ColdFile::Kind::other) return look_at_other();
  if (current.check == nullptr) current.check = make_cold_check(current.file);
  auto bytes = disk_->read(current.file.path, current.offset, bytes_max);
  if (!bytes && bytes.error().code == ErrorCode::not_found) {
    end();
    return std::nullopt;
  }
  if (!bytes) return judge(bytes.error().message);
  figures_.bytes += bytes->size();
  current.offset += bytes->size();
  const bool enough = current.check->add(*bytes);
  if (!enough && bytes->size() == bytes_max) return std::nullopt;
  return judge(current.check->verdict());
}

std::optional<Scrubber::Damage> Scrubber::look_at_other() {
  Look look = look_(current_->file);
  figures_.bytes += look.bytes;
  return judge(std::move(look.damage));
}

std::optional<Scrubber::Damage> Scrubber::judge(std::optional<std::string> what) {
  Current& current = *current_;
  if (what && !current.second) {
    current.second = true;
    current.offset = 0;
    current.check.reset();
    return std::nullopt;
  }
  ++figures_.files;
  std::optional<Damage> damage;
  if (what) {
    const bool known = !damaged_.insert_or_assign(current.file.path, *what).second;
    if (!known) ++figures_.found;
    damage = Damage{std::move(current.file), std::move(*what), known};
  } else {
    if (current.second) ++figures_.wavered;
    if (damaged_.erase(current.file.path) > 0) ++figures_.repaired;
  }
  end();
  return damage;
}

// Of a file, and perhaps of the pass.
void Scrubber::end() {
  current_.reset();
  if (queue_.empty() && scope_ == Scope::all) ++figures_.passes;
}

}  // namespace assent
