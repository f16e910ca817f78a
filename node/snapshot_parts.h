// What has arrived of snapshots that are not whole yet: chunk after chunk, each with a checksum of its own, kept when
// the stream that brought them breaks, so that the next one goes on where it ended.
//
// Pure: no clock, no network, no disk. Whoever takes snapshots from peers asks it (server/peer_service.cc; the
// simulator's process), on the loop's thread.
//
// Invariants:
//   * A part is gone on with only under an equal label: the same group and mark, and the same size and checksum of the
//     whole. So its bytes may come from several senders, and bytes of another snapshot never stand in it.
//   * One part for each group, and one stream for each part: a later stream takes a part over, and the earlier one is
//     refused from then on.
//   * What finish() gives is whole, and its checksum is the label's.
//   * Parts that no stream works on are bounded by number, bytes and age: the oldest go first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/log_entry.h"
#include "base/result.h"
#include "base/running_checksum.h"

namespace assent {

// Which bytes a stream brings: who has a snapshot of an equal label has the same bytes.
struct SnapshotLabel {
  GroupId group;
  SnapshotMark mark;
  std::uint64_t size = 0;      // of the data, in bytes
  std::uint64_t checksum = 0;  // XXH3-64 of the data
  bool operator==(const SnapshotLabel&) const = default;
};

// Of a chunk at this offset of the data: at another place it is another one.
[[nodiscard]] std::uint64_t chunk_checksum(std::uint64_t offset, ByteView data);

class SnapshotParts {
 public:
  struct Bounds {
    std::uint64_t bytes_max = 1ULL << 30U;               // of one snapshot
    std::size_t streams_max = 4;                         // at one time
    std::size_t kept_max = 4;                            // parts without a stream
    std::uint64_t kept_bytes_max = 1ULL << 30U;          // of all of these together
    std::uint64_t kept_micros_max = 600ULL * 1'000'000;  // since their streams broke
  };
  using Stream = Id<struct SnapshotStreamTag>;

  SnapshotParts() : SnapshotParts(Bounds{}) {}
  explicit SnapshotParts(const Bounds& bounds) : bounds_(bounds) {}

  // From which byte on it is missing: where a stream should begin.
  [[nodiscard]] std::uint64_t held(const SnapshotLabel& label) const;

  // A stream begins to bring it from this byte on. malformed: larger than may be. conflict: what lies before is not
  // here; ask held(). busy: as many streams come as may, or a later snapshot of the group is coming.
  [[nodiscard]] Result<Stream> begin(const SnapshotLabel& label, std::uint64_t offset);
  // refused: another stream has taken over, or the part is gone. conflict: it does not begin where the last one ended.
  // malformed: there is more than the label says. corruption: its checksum is another (who sends none is believed
  // until the end). After any of these everything that came before stands, and the stream should end.
  [[nodiscard]] Result<void> add(Stream stream, std::uint64_t offset, ByteView data,
                                 std::optional<std::uint64_t> checksum);
  // The whole, which is kept here no longer. refused as above; conflict: it is not whole; corruption: its checksum is
  // another than the label's, and nothing of it is kept.
  [[nodiscard]] Result<Bytes> finish(Stream stream);
  // The stream is over. What it brought stays for a while; after finish() and for a stream that was taken over this
  // does nothing. now_micros: of any clock that does not go back.
  void leave(Stream stream, std::uint64_t now_micros);
  // Drops what is older than it may be.
  void expire(std::uint64_t now_micros);

  [[nodiscard]] std::size_t streams() const;
  [[nodiscard]] std::uint64_t kept_bytes() const;

 private:
  struct Part {
    SnapshotLabel label;
    Bytes data;
    RunningChecksum sum;
    Stream stream;  // none: nobody brings more
    std::uint64_t left_at = 0;
  };
  [[nodiscard]] Part* find(Stream stream);
  void bound_kept();

  Bounds bounds_;
  std::map<GroupId, Part> parts_;
  std::uint64_t last_stream_ = 0;
};

}  // namespace assent
