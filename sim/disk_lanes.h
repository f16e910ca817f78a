// One simulated disk as the disks of several loops of a node: each sees its own folder of it (node/loop_placement.h),
// and hears of its own writes alone. In life they are folders of one file system with a thread each
// (server/posix_disk.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/disk.h"

namespace assent::sim {

class DiskLanes {
 public:
  // The disk must outlive this. Makes the folders.
  [[nodiscard]] static Result<std::unique_ptr<DiskLanes>> open(Disk& disk, std::size_t loops);
  ~DiskLanes();

  [[nodiscard]] Disk& disk(std::size_t loop);
  // Something finished that a loop has not heard of: it is to be told by DiskProgress.
  [[nodiscard]] bool pending() const;

 private:
  class Lane;
  explicit DiskLanes(Disk& disk);
  void poll();

  Disk& disk_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace assent::sim
