#include "sim/sim_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/digest.h"

namespace assent {
namespace {

constexpr std::uint64_t block_bytes = 4096;

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

tl::unexpected<Error> power_off() { return fail(ErrorCode::io, "the power is off"); }

tl::unexpected<Error> no_such_file(std::string_view path) {
  return fail(ErrorCode::not_found, fmt::format("{}: no such file or directory", path));
}

tl::unexpected<Error> no_space(std::string_view path) {
  return fail(ErrorCode::io, fmt::format("cannot write to {}: no space left on device", path));
}

}  // namespace

SimDisk::SimDisk(std::uint64_t seed, SimDiskOptions options) : rng_(Rng(seed).split("disk")), options_(options) {}

// ---- time ----

void SimDisk::advance(std::uint64_t now_micros) {
  now_ = std::max(now_, now_micros);
  finish_due();
}

std::optional<std::uint64_t> SimDisk::next_completion() const {
  if (!done_.empty()) return now_;
  if (queue_.empty() || power_is_off()) return std::nullopt;
  return queue_.front().finishes;
}

void SimDisk::enqueue(Operation operation, std::uint64_t micros_min, std::uint64_t micros_max) {
  const std::uint64_t starts = queue_.empty() ? now_ : std::max(now_, queue_.back().finishes);
  operation.finishes = starts + (micros_max == 0 ? 0 : rng_.between(std::min(micros_min, micros_max), micros_max));
  queue_.push_back(std::move(operation));
}

void SimDisk::finish_due() {
  const std::size_t before = done_.size();
  while (!queue_.empty() && queue_.front().finishes <= now_ && !power_is_off()) {
    Operation operation = std::move(queue_.front());
    queue_.pop_front();
    finish(std::move(operation));
  }
  if (wake_ && done_.size() > before) wake_();
}

bool SimDisk::start(Meanwhile) {
  if (queue_.empty() || options_.quick_chance == 0 || !rng_.chance(options_.quick_chance)) return false;
  while (!queue_.empty() && !power_is_off()) {
    Operation operation = std::move(queue_.front());
    queue_.pop_front();
    finish(std::move(operation));
  }
  return !power_is_off();
}

void SimDisk::finish(Operation operation) {
  IoCompletion completion{operation.token, std::nullopt};
  if (operation.fails && operation.is_sync) {
    forsake(*operation.file);
    completion.error = Error{ErrorCode::io, "cannot sync: input/output error", {}};
  } else if (operation.fails) {
    completion.error = Error{ErrorCode::io, "cannot write: no space left on device", {}};
  } else if (operation.is_sync) {
    make_durable(*operation.file);
  } else {
    apply_write(operation.file->memory, operation.offset, operation.data);
    operation.file->last_write = operation.offset;
    operation.file->pending.push_back({operation.offset, std::move(operation.data), false, false});
  }
  done_.push_back(std::move(completion));
}

std::vector<IoCompletion> SimDisk::poll() {
  if (power_is_off()) return {};
  finish_due();
  return std::exchange(done_, {});
}

// ---- platter and memory ----

void SimDisk::apply_write(Bytes& image, std::uint64_t offset, ByteView data) {
  if (data.empty()) return;
  if (image.size() < offset) image.resize(offset, '\0');
  const std::size_t over = std::min(data.size(), image.size() - offset);  // what stood there
  std::memcpy(image.data() + offset, data.data(), over);
  image.append(data.substr(over));
}

void SimDisk::make_durable(File& file) {
  bool forsaken = false;
  for (const Pending& pending : file.pending) {
    forsaken = forsaken || pending.forsaken;
    if (pending.forsaken) continue;
    apply_write(file.platter, pending.offset, pending.data);
    file.last_durable_write = pending.offset;
  }
  if (forsaken) {
    std::erase_if(file.pending, [](const Pending& pending) { return !pending.forsaken; });
  } else {
    file.pending.clear();
  }
  file.reserved_platter = file.reserved;
}

void SimDisk::forsake(File& file) {
  for (Pending& pending : file.pending) pending.forsaken = true;
}

// Sector by sector, later writes over earlier ones. A sector that is rewritten is at risk as a whole, durable bytes
// included, unless the write is powersafe.
void SimDisk::lose_writes(File& file, const std::vector<Pending>& in_flight) {
  std::vector<const Pending*> lost;
  for (const Pending& pending : file.pending) lost.push_back(&pending);
  for (const Pending& pending : in_flight) lost.push_back(&pending);
  const std::uint64_t sector = options_.sector_bytes;
  for (const Pending* pending : lost) {
    const std::uint64_t end = pending->offset + pending->data.size();
    for (std::uint64_t from = pending->offset; from < end;) {
      const std::uint64_t to = std::min(end, (from / sector + 1) * sector);
      const ByteView part = ByteView(pending->data).substr(from - pending->offset, to - from);
      if (rng_.chance(options_.tear_chance)) {
        switch (rng_.below(3)) {
          case 0: apply_write(file.platter, from, part.substr(0, rng_.below(part.size() + 1))); break;
          case 1: {
            const std::uint64_t skipped = rng_.below(part.size() + 1);
            apply_write(file.platter, from + skipped, part.substr(skipped));
            break;
          }
          default: {
            Bytes garbage(sector, '\0');
            for (char& byte : garbage) byte = static_cast<char>(rng_.next());
            const std::uint64_t begin = from / sector * sector;
            const ByteView harmed =
                pending->powersafe ? ByteView(garbage).substr(from - begin, part.size()) : ByteView(garbage);
            apply_write(file.platter, pending->powersafe ? from : begin, harmed);
          }
        }
      } else if (rng_.chance(options_.keep_chance)) {
        apply_write(file.platter, from, part);
      }
      from = to;
    }
  }
  file.pending.clear();
  file.memory = file.platter;
  file.last_write = file.last_durable_write;  // what came behind it may be gone without a trace
  if (file.reserved_platter != file.reserved && rng_.chance(options_.keep_chance))
    file.reserved_platter = file.reserved;
  file.reserved = file.reserved_platter;
}

void SimDisk::apply_directory_operation(Names& names, const DirectoryOperation& operation) {
  switch (operation.kind) {
    case DirectoryOperation::Kind::create: names[operation.name] = operation.file; break;
    case DirectoryOperation::Kind::make_folder: names[operation.name] = nullptr; break;
    case DirectoryOperation::Kind::remove: names.erase(operation.name); break;
    case DirectoryOperation::Kind::rename:
      names.erase(operation.name);
      names[operation.to] = operation.file;
      break;
  }
}

// One that is lost takes along every later one on the same names: a journal does not forget the middle of a story.
void SimDisk::lose_directory_operations() {
  std::set<std::string> lost;
  for (const DirectoryOperation& operation : directory_pending_) {
    const bool depends = lost.contains(operation.name) || lost.contains(operation.folder) ||
                         (!operation.to.empty() && lost.contains(operation.to));
    if (!depends && rng_.chance(options_.keep_chance)) {
      apply_directory_operation(names_platter_, operation);
    } else {
      lost.insert(operation.name);
      if (!operation.to.empty()) lost.insert(operation.to);
    }
  }
  directory_pending_.clear();
  // What stands in a folder that is not there is not there.
  std::erase_if(names_platter_, [&](const auto& item) {
    const std::string folder = folder_of(item.first);
    return !folder.empty() && !names_platter_.contains(folder);
  });
  names_ = names_platter_;
}

// ---- faults ----

void SimDisk::crash(CrashKind kind) {
  // What had been handed in and was not finished: the device may have got any of it (power), or the first part
  // (process).
  std::size_t performed = kind == CrashKind::process ? rng_.below(queue_.size() + 1) : queue_.size();
  std::map<File*, std::vector<Pending>> in_flight;
  for (const Operation& operation : queue_) {
    if (performed-- == 0) break;
    if (operation.is_sync || operation.fails) continue;
    Pending pending{operation.offset, operation.data, false, false};
    if (kind == CrashKind::process) {
      apply_write(operation.file->memory, pending.offset, pending.data);
      operation.file->last_write = pending.offset;
      operation.file->pending.push_back(std::move(pending));
    } else {
      in_flight[operation.file.get()].push_back(std::move(pending));
    }
  }
  queue_.clear();
  done_.clear();
  open_.clear();
  fail_syncs_ = 0;
  fail_writes_ = 0;
  fail_reads_ = 0;
  garbled_.reset();
  operations_left_ = std::numeric_limits<std::uint64_t>::max();
  if (kind == CrashKind::process) return;
  lose_directory_operations();
  for (auto& [name, file] : names_) {
    if (file == nullptr) continue;
    const auto flying = in_flight.find(file.get());
    const bool clean = file->pending.empty() && file->reserved == file->reserved_platter;
    if (!clean || flying != in_flight.end()) {
      lose_writes(*file, flying == in_flight.end() ? std::vector<Pending>() : flying->second);
    }
  }
}

bool SimDisk::rot(std::string_view path, std::uint64_t offset, std::uint8_t mask) {
  const FilePtr file = find(path);
  if (!file || offset >= file->memory.size()) return false;
  file->memory[offset] = static_cast<char>(file->memory[offset] ^ mask);
  if (offset < file->platter.size()) file->platter[offset] = static_cast<char>(file->platter[offset] ^ mask);
  return true;
}

bool SimDisk::spoil(std::string_view path) {
  const FilePtr file = find(path);
  if (file) file->spoiled = true;
  return file != nullptr;
}

bool SimDisk::has_spoiled() const {
  return std::any_of(names_.begin(), names_.end(),
                     [](const auto& item) { return item.second != nullptr && item.second->spoiled; });
}

std::optional<std::pair<std::string, std::uint64_t>> SimDisk::rot_somewhere(std::string_view prefix) {
  std::vector<std::string> candidates;
  for (const auto& [name, file] : names_) {
    if (file != nullptr && !file->memory.empty() && name.starts_with(prefix)) candidates.push_back(name);
  }
  if (candidates.empty()) return std::nullopt;
  const std::string& name = candidates[rng_.below(candidates.size())];
  const std::uint64_t offset = rng_.below(find(name)->memory.size());
  rot(name, offset, static_cast<std::uint8_t>(1U << rng_.below(8)));
  return std::pair(name, offset);
}

// What was last written to a log may be torn and nobody could tell. A snapshot that has its name is whole.
std::uint64_t SimDisk::damageable_bytes(std::string_view name, const File& file) {
  if (!file.pending.empty()) return 0;
  if (name.starts_with("snapshots/") && name.ends_with(".snap")) return file.memory.size();
  // Not a shard's database: SQLite's pages carry no checksums of their own.
  return name.starts_with("wal/") ? std::min<std::uint64_t>(file.last_write, file.memory.size()) : 0;
}

std::vector<std::string> SimDisk::damageable(std::uint64_t bytes) const {
  std::vector<std::string> names;
  for (const auto& [name, file] : names_) {
    if (file != nullptr && damageable_bytes(name, *file) >= bytes) names.push_back(name);
  }
  return names;
}

std::optional<std::pair<std::string, std::uint64_t>> SimDisk::rot_at_rest() {
  const std::vector<std::string> names = damageable(1);
  if (names.empty()) return std::nullopt;
  const std::string& name = names[rng_.below(names.size())];
  const std::uint64_t offset = rng_.below(damageable_bytes(name, *find(name)));
  rot(name, offset, static_cast<std::uint8_t>(1U << rng_.below(8)));
  return std::pair(name, offset);
}

std::vector<SimDisk::Swap> SimDisk::alike_blocks(const SimDisk& other, const Alike& alike) const {
  std::vector<Swap> found;
  for (const std::string& name : damageable(block_bytes)) {
    const FilePtr mine = find(name);
    const std::uint64_t end = damageable_bytes(name, *mine);
    for (std::uint64_t at = 0; at + block_bytes <= end; at += block_bytes) {
      const ByteView block = ByteView(mine->memory).substr(at, block_bytes);
      for (const auto& [path, theirs] : other.names_) {
        for (std::uint64_t from = 0; theirs && from + block_bytes <= theirs->platter.size(); from += block_bytes) {
          const ByteView candidate = ByteView(theirs->platter).substr(from, block_bytes);
          if (alike(block, candidate) && block != candidate) found.push_back({name, at, theirs, from});
        }
      }
    }
  }
  return found;
}

std::vector<SimDisk::Swap> SimDisk::blocks_in_the_same_place(const SimDisk& other) const {
  std::vector<Swap> found;
  for (const std::string& name : damageable(block_bytes)) {
    const FilePtr theirs = other.find(name);
    const std::uint64_t mine = damageable_bytes(name, *find(name));
    const std::uint64_t end = theirs ? std::min<std::uint64_t>(mine, theirs->platter.size()) : 0;
    for (std::uint64_t at = 0; at + block_bytes <= end; at += block_bytes) found.push_back({name, at, theirs, at});
  }
  return found;
}

std::optional<std::pair<std::string, std::uint64_t>> SimDisk::take_block_of(const SimDisk& other, const Alike& alike) {
  if (&other == this) return std::nullopt;
  std::vector<Swap> swaps;
  if (alike) swaps = alike_blocks(other, alike);
  if (swaps.empty()) swaps = blocks_in_the_same_place(other);
  if (swaps.empty()) return std::nullopt;
  const Swap& swap = swaps[rng_.below(swaps.size())];
  const FilePtr mine = find(swap.mine);
  const Bytes bytes = swap.theirs->platter.substr(swap.from, block_bytes);
  apply_write(mine->memory, swap.offset, bytes);
  apply_write(mine->platter, swap.offset, bytes);
  return std::pair(swap.mine, swap.offset);
}

void SimDisk::wipe() {
  crash(CrashKind::process);
  names_.clear();
  names_platter_.clear();
  directory_pending_.clear();
}

// One more operation that changes something. False when the power went off before it.
bool SimDisk::spend_operation() {
  if (power_is_off()) return false;
  ++operations_;
  if (operations_left_ != std::numeric_limits<std::uint64_t>::max()) --operations_left_;
  return true;
}

// ---- looking ----

SimDisk::FilePtr SimDisk::find(std::string_view path) const {
  const auto found = names_.find(path);
  return found == names_.end() ? nullptr : found->second;
}

SimDisk::FilePtr SimDisk::find(FileId file) const {
  const auto found = open_.find(file);
  return found == open_.end() ? nullptr : found->second;
}

std::optional<Bytes> SimDisk::contents(std::string_view path) const {
  const FilePtr file = find(path);
  if (!file) return std::nullopt;
  return file->memory;
}

void SimDisk::put(std::string_view path, Bytes bytes) {
  auto file = std::make_shared<File>();
  file->platter = bytes;
  file->memory = std::move(bytes);
  for (Names* names : {&names_, &names_platter_}) {
    for (std::string folder = folder_of(path); !folder.empty(); folder = folder_of(folder)) {
      names->emplace(folder, nullptr);
    }
    names->insert_or_assign(std::string(path), file);
  }
}

std::vector<std::string> SimDisk::paths() const {
  std::vector<std::string> paths;
  for (const auto& [name, file] : names_) {
    if (file != nullptr) paths.push_back(name);
  }
  return paths;
}

std::uint64_t SimDisk::used_bytes() const {
  std::uint64_t used = 0;
  for (const auto& [name, file] : names_) used += file == nullptr ? 0 : file->size();
  return used;
}

std::uint64_t SimDisk::digest() const {
  Digest digest;
  digest.add(now_).add(operations_);
  for (const auto& [name, file] : names_) {
    digest.add(name);
    if (file != nullptr) digest.add(file->memory).add(file->platter).add(file->pending.size());
  }
  return digest.value();
}

// ---- Disk ----

Result<FileId> SimDisk::open(std::string_view path, std::uint64_t reserve_bytes) {
  if (power_is_off()) return power_off();
  FilePtr file = find(path);
  if (!file) {
    if (!spend_operation()) return power_off();
    const std::string folder = folder_of(path);
    if (!folder.empty() && !names_.contains(folder)) return no_such_file(folder);
    if (options_.capacity_bytes != std::numeric_limits<std::uint64_t>::max() &&
        used_bytes() + reserve_bytes > options_.capacity_bytes) {
      return no_space(path);
    }
    file = std::make_shared<File>();
    file->reserved = reserve_bytes;
    names_[std::string(path)] = file;
    directory_pending_.push_back({DirectoryOperation::Kind::create, folder, std::string(path), {}, file});
  }
  const FileId id(++last_file_);
  open_.emplace(id, file);
  return id;
}

void SimDisk::close(FileId file) { open_.erase(file); }

void SimDisk::write(FileId file, std::uint64_t offset, Bytes data, IoToken token) {
  const FilePtr target = find(file);
  if (!spend_operation()) return;
  if (!target) {
    done_.push_back({token, Error{ErrorCode::io, "cannot write to a file that is not open", {}}});
    return;
  }
  Operation operation{target, false, offset, std::move(data), token, 0, false};
  operation.fails = fail_writes_ > 0 && fail_writes_-- > 0;
  if (!has_room(*target, offset + operation.data.size())) operation.fails = true;
  enqueue(std::move(operation), options_.write_micros_min, options_.write_micros_max);
}

void SimDisk::sync(FileId file, IoToken token) {
  const FilePtr target = find(file);
  if (!spend_operation()) return;
  if (!target) {
    done_.push_back({token, Error{ErrorCode::io, "cannot sync a file that is not open", {}}});
    return;
  }
  Operation operation{target, true, 0, {}, token, 0, false};
  operation.fails = (fail_syncs_ > 0 && fail_syncs_-- > 0) ||
                    (options_.sync_error_chance > 0 && rng_.chance(options_.sync_error_chance));
  enqueue(std::move(operation), options_.sync_micros_min, options_.sync_micros_max);
}

bool SimDisk::has_room(const File& file, std::uint64_t end) const {
  return options_.capacity_bytes == std::numeric_limits<std::uint64_t>::max() || end <= file.size() ||
         used_bytes() - file.size() + end <= options_.capacity_bytes;
}

Result<void> SimDisk::write_at_once(FileId file, std::uint64_t offset, Bytes data, bool powersafe) {
  const FilePtr target = find(file);
  if (!target) return fail(ErrorCode::io, "cannot write to a file that is not open");
  if (!spend_operation()) return power_off();
  if ((fail_writes_ > 0 && fail_writes_-- > 0) || !has_room(*target, offset + data.size())) return no_space("a file");
  apply_write(target->memory, offset, data);
  target->last_write = offset;
  target->pending.push_back({offset, std::move(data), false, powersafe});
  return {};
}

Result<void> SimDisk::sync_at_once(FileId file) {
  const FilePtr target = find(file);
  if (!target) return fail(ErrorCode::io, "cannot sync a file that is not open");
  if (!spend_operation()) return power_off();
  if ((fail_syncs_ > 0 && fail_syncs_-- > 0) ||
      (options_.sync_error_chance > 0 && rng_.chance(options_.sync_error_chance))) {
    forsake(*target);
    return fail(ErrorCode::io, "cannot sync: input/output error");
  }
  make_durable(*target);
  return {};
}

// The power may go between the write and the sync.
Result<void> SimDisk::write_durably(FileId file, std::uint64_t offset, Bytes data) {
  if (auto done = write_at_once(file, offset, std::move(data)); !done) return done;
  return sync_at_once(file);
}

Result<Bytes> SimDisk::read(std::string_view path, std::uint64_t offset, std::uint64_t size) {
  if (power_is_off()) return power_off();
  const FilePtr file = find(path);
  if (!file) return no_such_file(path);
  if (file->spoiled || (fail_reads_ > 0 && fail_reads_-- > 0) ||
      (options_.read_error_chance > 0 && rng_.chance(options_.read_error_chance))) {
    return fail(ErrorCode::io, fmt::format("cannot read {}: input/output error", path));
  }
  if (offset >= file->size()) return Bytes{};
  const std::uint64_t count = std::min(size, file->size() - offset);
  Bytes bytes;
  bytes.reserve(count);
  if (offset < file->memory.size()) bytes.append(file->memory, offset, count);
  bytes.resize(count, '\0');
  if (garbled_ && count > 0 && path.starts_with(*garbled_)) {
    garbled_.reset();
    bytes[rng_.below(count)] ^= static_cast<char>(1U << rng_.below(8));
  }
  return bytes;
}

Result<std::uint64_t> SimDisk::size(std::string_view path) {
  if (power_is_off()) return power_off();
  const FilePtr file = find(path);
  if (!file) return no_such_file(path);
  return file->size();
}

Result<std::vector<std::string>> SimDisk::list(std::string_view folder) {
  if (power_is_off()) return power_off();
  std::vector<std::string> names;
  const std::string prefix = folder.empty() ? std::string() : std::string(folder) + "/";
  for (auto it = names_.lower_bound(prefix); it != names_.end() && it->first.starts_with(prefix); ++it) {
    const std::string_view rest = std::string_view(it->first).substr(prefix.size());
    if (rest.find('/') == std::string_view::npos) names.emplace_back(rest);
  }
  return names;
}

Result<void> SimDisk::make_folder(std::string_view folder) {
  if (names_.contains(folder)) return {};
  if (!spend_operation()) return power_off();
  names_[std::string(folder)] = nullptr;
  directory_pending_.push_back(
      {DirectoryOperation::Kind::make_folder, folder_of(folder), std::string(folder), {}, nullptr});
  return {};
}

Result<void> SimDisk::truncate(std::string_view path, std::uint64_t size) {
  const FilePtr file = find(path);
  if (!file) return no_such_file(path);
  if (!spend_operation()) return power_off();
  make_durable(*file);
  if (file->memory.size() > size) file->memory.resize(size);
  if (file->platter.size() > size) file->platter.resize(size);
  for (Pending& pending : file->pending) {
    if (pending.offset + pending.data.size() > size)
      pending.data.resize(pending.offset >= size ? 0 : size - pending.offset);
  }
  file->reserved = file->reserved_platter = size;
  return {};
}

Result<void> SimDisk::rename(std::string_view from, std::string_view to) {
  const FilePtr file = find(from);
  if (!file) return no_such_file(from);
  if (!spend_operation()) return power_off();
  const DirectoryOperation operation{DirectoryOperation::Kind::rename, folder_of(from), std::string(from),
                                     std::string(to), file};
  apply_directory_operation(names_, operation);
  directory_pending_.push_back(operation);
  return {};
}

Result<void> SimDisk::remove(std::string_view path) {
  const FilePtr file = find(path);
  if (!file) return no_such_file(path);
  if (!spend_operation()) return power_off();
  names_.erase(std::string(path));
  directory_pending_.push_back({DirectoryOperation::Kind::remove, folder_of(path), std::string(path), {}, file});
  return {};
}

// Makes the names in this folder durable, not the folder's own name.
Result<void> SimDisk::sync_directory(std::string_view folder) {
  if (!spend_operation()) return power_off();
  if (!folder.empty() && !names_.contains(folder)) return no_such_file(folder);
  std::erase_if(directory_pending_, [&](const DirectoryOperation& operation) {
    if (operation.folder != folder) return false;
    apply_directory_operation(names_platter_, operation);
    return true;
  });
  return {};
}

}  // namespace assent
