#include "server/scrub_thread.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "server/loop_question.h"
#include "server/system_clock.h"
#include "sql_adapter/database_check.h"

namespace assent {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t piece_bytes_max = 256ULL << 10U;
constexpr auto loop_patience = 2s;
constexpr auto publish_every = 1s;
// A repair takes a snapshot, or as many batches as there are segments; looked at again after this.
constexpr auto repair_time = 2s;

std::string database_path(const GroupConfig& group) {
  return fmt::format("{}/{}.db", group.role == GroupRole::coordinator ? "coordinators" : "shards", group.name);
}

// On the loop's thread.
std::vector<ColdFile> all_cold_files(const Loop& loop) {
  std::vector<ColdFile> files = loop.cold_files();
  for (const GroupStatus& group : loop.status()) {
    if (group.config.role == GroupRole::map) continue;  // has no database
    files.push_back({.kind = ColdFile::Kind::other, .path = database_path(group.config), .group = group.config.id});
  }
  return files;
}

}  // namespace

ScrubThread::ScrubThread(ScrubOptions options, Inbox& inbox, Found found)
    : options_(std::move(options)), inbox_(inbox), found_(std::move(found)) {}

ScrubThread::~ScrubThread() { stop(); }

Result<void> ScrubThread::start() {
  auto disk = PosixDisk::open_for_reading(options_.data_dir);
  if (!disk) return fail(std::move(disk.error()));
  disk_ = std::move(*disk);
  scrubber_ = std::make_unique<Scrubber>(*disk_, [this](const ColdFile& file) { return look(file); });
  thread_ = std::thread([this] { run(); });
  return {};
}

void ScrubThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// ---- on the thread ----

bool ScrubThread::wait_until(Clock::time_point time) {
  std::unique_lock lock(mutex_);
  stopped_.wait_until(lock, time, [this] { return stopping_; });
  return !stopping_;
}

bool ScrubThread::read(std::uint64_t bytes) {
  const auto now = Clock::now();
  due_ = std::max(due_, now) + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                                   static_cast<double>(bytes) / static_cast<double>(options_.bytes_per_second)));
  if (now - published_ >= publish_every) publish();
  return wait_until(due_);
}

void ScrubThread::run() {
  while (true) {
    const auto begun = Clock::now();
    pass(Scrubber::Scope::all);
    // What is damaged is looked at again until it is replaced.
    const auto next = begun + options_.every;
    while (!scrubber_->damaged().empty() && Clock::now() < next) {
      if (!wait_until(std::min(next, Clock::now() + repair_time))) return;
      pass(Scrubber::Scope::damaged);
    }
    if (!wait_until(next)) return;
  }
}

bool ScrubThread::begin(Scrubber::Scope scope) {
  auto files = ask_loop<std::vector<ColdFile>>(inbox_, loop_patience, [](Loop& loop) { return all_cold_files(loop); });
  if (!files) return false;
  forget_cached(*files);
  scrubber_->begin(std::move(*files), scope);
  return true;
}

// What is read is to come from the medium.
void ScrubThread::forget_cached(const std::vector<ColdFile>& files) const {
  for (const ColdFile& file : files) {
    if (file.kind == ColdFile::Kind::other) continue;  // closing a database's file would let go of SQLite's locks
    const int fd = ::open((options_.data_dir + "/" + file.path).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    static_cast<void>(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    ::close(fd);
  }
}

void ScrubThread::pass(Scrubber::Scope scope) {
  if (!begin(scope)) return;
  const std::uint64_t piece = std::min(piece_bytes_max, options_.bytes_per_second);
  while (scrubber_->running()) {
    const std::uint64_t before = scrubber_->figures().bytes;
    looked_bytes_ = 0;
    if (auto damage = scrubber_->step(piece)) tell(std::move(*damage));
    const std::uint64_t bytes = scrubber_->figures().bytes - before;
    if (!read(bytes - std::min(bytes, looked_bytes_))) return;
  }
  if (scope == Scrubber::Scope::all) last_pass_micros_ = SystemClock::wall_micros();
  publish();
}

Scrubber::Look ScrubThread::look(const ColdFile& file) {
  const auto problems = look_at_database(options_.data_dir + "/" + file.path, [this](std::uint64_t bytes) {
    looked_bytes_ += bytes;
    return read(bytes);
  });
  Scrubber::Look look{.damage = std::nullopt, .bytes = looked_bytes_};
  if (problems && !problems->empty()) look.damage = problems->front();
  return look;
}

void ScrubThread::tell(Scrubber::Damage damage) {
  static_cast<void>(inbox_.post([this, damage = std::move(damage)](Loop& loop) {
    const bool repaired = loop.repair(damage.file);
    found_(damage, repaired);
  }));
  publish();
}

void ScrubThread::publish() {
  published_ = Clock::now();
  ScrubStatus status{.figures = scrubber_->figures(), .last_pass_micros = last_pass_micros_, .damaged = {}};
  for (const auto& [path, what] : scrubber_->damaged()) status.damaged.push_back(fmt::format("{}: {}", path, what));
  static_cast<void>(inbox_.post([status = std::move(status)](Loop& loop) { loop.scrubbed(status); }));
}

}  // namespace assent
