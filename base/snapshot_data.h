// The bytes of a snapshot that is whole: they stay as they are while they are read piece by piece, whatever happens to
// what they were made of. Read by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace assent {

class SnapshotData {
 public:
  virtual ~SnapshotData() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  // Appends these bytes to out; all of them must be there. io when they lie in a file that cannot be read.
  [[nodiscard]] virtual Result<void> copy(std::uint64_t offset, std::uint64_t size, Bytes& out) const = 0;
};
using SnapshotDataPtr = std::shared_ptr<const SnapshotData>;

// Strings of bytes, one behind the other.
class SnapshotPieces final : public SnapshotData {
 public:
  struct Piece {
    Bytes bytes;
    std::size_t from = 0;  // what lies before is left out

    [[nodiscard]] ByteView view() const { return ByteView(bytes).substr(from); }
  };
  explicit SnapshotPieces(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {
    for (const Piece& piece : pieces_) size_ += piece.view().size();
  }
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  [[nodiscard]] Result<void> copy(std::uint64_t offset, std::uint64_t size, Bytes& out) const override {
    for (const Piece& piece : pieces_) {
      const ByteView all = piece.view();
      if (offset >= all.size()) {
        offset -= all.size();
        continue;
      }
      const ByteView part = all.substr(offset, size);
      out += part;
      size -= part.size();
      offset = 0;
      if (size == 0) break;
    }
    return {};
  }

 private:
  std::vector<Piece> pieces_;
  std::uint64_t size_ = 0;
};

[[nodiscard]] inline SnapshotDataPtr snapshot_of(Bytes bytes) {
  std::vector<SnapshotPieces::Piece> pieces;
  pieces.push_back({std::move(bytes)});
  return std::make_shared<SnapshotPieces>(std::move(pieces));
}
[[nodiscard]] inline Result<Bytes> all_of(const SnapshotData& data) {
  Bytes out;
  out.reserve(data.size());
  if (auto copied = data.copy(0, data.size(), out); !copied) return fail(copied.error());
  return out;
}

// A snapshot that was made in steps.
struct SnapshotMade {
  Index applied;  // what it holds
  SnapshotDataPtr data;
};

}  // namespace assent
