// Reads cold files from end to end, piece by piece, and says which are damaged: so that a bad place is found while the
// node still has the good bytes elsewhere, and not on the day when they are needed.
//
// It knows no time: who drives it decides how much is read when, and which files there are (Loop::cold_files()). It
// changes nothing. What is found stays on the list until the file is gone or reads well. One thread drives it; the disk
// may be one of that thread's own, for reading.
//
// A file counts as damaged when it is found so twice in a row, so that what only went wrong on its way is not repaired.
// A file that is gone is none of its business. A read error is damage.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/cold_check.h"
#include "storage/cold_file.h"
#include "storage/disk.h"

namespace assent {

struct ScrubFigures {
  std::uint64_t bytes = 0;     // read
  std::uint64_t files = 0;     // read to their end
  std::uint64_t passes = 0;    // over all files
  std::uint64_t found = 0;     // damaged files
  std::uint64_t repaired = 0;  // of these: gone by now, or whole again
  std::uint64_t wavered = 0;   // files that were damaged when read once, and whole when read again
};

class Scrubber {
 public:
  struct Damage {
    ColdFile file;
    std::string what;
    bool again = false;  // it was known, and is not repaired yet
  };
  // Looks at a file of the kind `other`, in one go: what is wrong with it, and how many bytes it read.
  struct Look {
    std::optional<std::string> damage;
    std::uint64_t bytes = 0;
  };
  using LookAtOther = std::function<Look(const ColdFile&)>;
  enum class Scope : std::uint8_t { all, damaged };  // damaged: those that are on the list

  // Without a way to look at others these are passed over.
  explicit Scrubber(Disk& disk, LookAtOther look = {}) : disk_(&disk), look_(std::move(look)) {}

  // These are all cold files now. Begins to read them, or those on the list; what was under way is given up.
  void begin(std::vector<ColdFile> files, Scope scope = Scope::all);
  [[nodiscard]] bool running() const { return current_.has_value() || !queue_.empty(); }
  // Reads so many bytes more of one file, at most; what it found at the file's end.
  [[nodiscard]] std::optional<Damage> step(std::uint64_t bytes_max);

  // By path: what is wrong.
  [[nodiscard]] const std::map<std::string, std::string>& damaged() const { return damaged_; }
  [[nodiscard]] const ScrubFigures& figures() const { return figures_; }

 private:
  struct Current {
    ColdFile file;
    std::unique_ptr<ColdCheck> check;
    std::uint64_t offset = 0;
    bool second = false;  // it was damaged when it was read first
  };

  [[nodiscard]] std::optional<Damage> look_at_other();
  [[nodiscard]] std::optional<Damage> judge(std::optional<std::string> what);
  void end();

  Disk* disk_;
  LookAtOther look_;
  std::deque<ColdFile> queue_;
  std::optional<Current> current_;
  Scope scope_ = Scope::all;
  std::map<std::string, std::string> damaged_;
  ScrubFigures figures_;
};

}  // namespace assent
