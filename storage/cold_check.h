// Says whether a cold file is whole, from its bytes as they come in pieces. Pure; total on any bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "storage/cold_file.h"

namespace assent {

class ColdCheck {
 public:
  virtual ~ColdCheck() = default;
  // The next bytes of the file. True: that was enough, what comes behind does not count.
  virtual bool add(ByteView bytes) = 0;
  // After the last byte: what is wrong, in words with the offset; nullopt when it is whole.
  [[nodiscard]] virtual std::optional<std::string> verdict() = 0;
};

// Of a segment: its header, and batches and records without a gap up to file.end, all by their checksums. Holds the
// file's bytes up to there. Of a snapshot: its header and the checksum of its data; holds the header alone. Null for
// another kind.
[[nodiscard]] std::unique_ptr<ColdCheck> make_cold_check(const ColdFile& file);

}  // namespace assent
