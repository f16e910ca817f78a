#include "sim/disk_lanes.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "node/loop_placement.h"

namespace assent::sim {
namespace {

// Between the byte that names the owner of a token and its number.
constexpr unsigned lane_shift = 48;
constexpr std::uint64_t lane_mask = 0xFF;

}  // namespace

class DiskLanes::Lane final : public Disk {
 public:
  Lane(DiskLanes& all, std::size_t loop) : all_(all), disk_(all.disk_), loop_(loop), folder_(loop_folder(loop)) {}

  [[nodiscard]] Result<FileId> open(std::string_view path, std::uint64_t reserve_bytes) override {
    return disk_.open(at(path), reserve_bytes);
  }
  void close(FileId file) override { disk_.close(file); }
  void write(FileId file, std::uint64_t offset, Bytes data, IoToken token) override {
    disk_.write(file, offset, std::move(data), mine(token));
  }
  void sync(FileId file, IoToken token) override { disk_.sync(file, mine(token)); }
  void write_then_sync(FileId file, std::uint64_t offset, Bytes data, IoToken written, IoToken synced) override {
    disk_.write_then_sync(file, offset, std::move(data), mine(written), mine(synced));
  }
  [[nodiscard]] bool start(Meanwhile meanwhile) override { return disk_.start(meanwhile); }
  [[nodiscard]] Result<void> write_durably(FileId file, std::uint64_t offset, Bytes data) override {
    return disk_.write_durably(file, offset, std::move(data));
  }
  [[nodiscard]] std::vector<IoCompletion> poll() override {
    all_.poll();
    return std::exchange(done_, {});
  }
  [[nodiscard]] Result<Bytes> read(std::string_view path, std::uint64_t offset, std::uint64_t size) override {
    return disk_.read(at(path), offset, size);
  }
  [[nodiscard]] Result<std::uint64_t> size(std::string_view path) override { return disk_.size(at(path)); }
  [[nodiscard]] Result<std::vector<std::string>> list(std::string_view folder) override {
    return disk_.list(at(folder));
  }
  [[nodiscard]] Result<void> make_folder(std::string_view folder) override { return disk_.make_folder(at(folder)); }
  [[nodiscard]] Result<void> truncate(std::string_view path, std::uint64_t size) override {
    return disk_.truncate(at(path), size);
  }
  [[nodiscard]] Result<void> rename(std::string_view from, std::string_view to) override {
    return disk_.rename(at(from), at(to));
  }
  [[nodiscard]] Result<void> remove(std::string_view path) override { return disk_.remove(at(path)); }
  [[nodiscard]] Result<void> sync_directory(std::string_view folder) override {
    return disk_.sync_directory(at(folder));
  }

  void finished(IoCompletion completion) { done_.push_back(std::move(completion)); }
  [[nodiscard]] bool pending() const { return !done_.empty(); }

 private:
  [[nodiscard]] std::string at(std::string_view path) const {
    if (folder_.empty()) return std::string(path);
    return path.empty() ? folder_ : fmt::format("{}/{}", folder_, path);
  }
  [[nodiscard]] IoToken mine(IoToken token) const {
    ASSENT_CHECK((token.value >> lane_shift & lane_mask) == 0, "a token's number has 48 bits");
    return IoToken(token.value | std::uint64_t{loop_} << lane_shift);
  }

  DiskLanes& all_;
  Disk& disk_;
  std::size_t loop_;
  std::string folder_;
  std::vector<IoCompletion> done_;
};

Result<std::unique_ptr<DiskLanes>> DiskLanes::open(Disk& disk, std::size_t loops) {
  std::unique_ptr<DiskLanes> all(new DiskLanes(disk));
  for (std::size_t loop = 0; loop < loops; ++loop) {
    all->lanes_.push_back(std::make_unique<Lane>(*all, loop));
    if (loop == 0) continue;
    for (const std::string& folder : {std::string("loops"), loop_folder(loop)}) {
      if (auto made = disk.make_folder(folder); !made) return fail(made.error());
    }
  }
  for (const char* folder : {"", "loops"}) {
    if (auto kept = disk.sync_directory(folder); !kept) return fail(kept.error());
  }
  return all;
}

DiskLanes::DiskLanes(Disk& disk) : disk_(disk) {}
DiskLanes::~DiskLanes() = default;

Disk& DiskLanes::disk(std::size_t loop) { return *lanes_[loop]; }

bool DiskLanes::pending() const {
  for (const auto& lane : lanes_) {
    if (lane->pending()) return true;
  }
  return false;
}

void DiskLanes::poll() {
  for (IoCompletion& completion : disk_.poll()) {
    const auto lane = static_cast<std::size_t>(completion.token.value >> lane_shift & lane_mask);
    completion.token = IoToken(completion.token.value & ~(lane_mask << lane_shift));
    lanes_.at(lane)->finished(std::move(completion));
  }
}

}  // namespace assent::sim
