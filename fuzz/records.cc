// Small records below the checksums: what the log, the machines and the data directory keep. The first byte picks one;
// what is read must be written as the same bytes again.
#include "consensus/raft/hard_state.h"
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "storage/data_directory.h"
#include "storage/wal_format.h"
#include "txn_proto/record_codec.h"

namespace assent::fuzz {
namespace {

template <class Record>
void read_and_write(ByteView bytes) {
  ByteReader reader(bytes);
  Record record{};
  if (!read(reader, record)) return;
  Bytes again;
  ByteWriter writer(again);
  write(writer, record);
  require(again == bytes.substr(0, bytes.size() - reader.remaining()), "a record is written as it was read");
}

void read_mark(ByteView bytes) {
  const auto mark = wal_format::decode_mark(bytes);
  if (!mark) return;
  Bytes again;
  wal_format::encode_mark(again, *mark);
  require(again == bytes, "a mark is written as it was read");
}

void read_hard_state(ByteView bytes) {
  const auto state = raft::decode_hard_state(bytes);
  if (state && !bytes.empty())
    require(raft::encode_hard_state(*state) == bytes, "a hard state is written as it was read");
}

void read_identity(ByteView bytes) {
  const auto identity = decode_directory_identity(bytes);
  if (!identity) return;
  const auto again = decode_directory_identity(encode_directory_identity(*identity));
  require(again && *again == *identity, "an identity comes back as it was");
}

void read_place(ByteView bytes) {
  Input input(bytes);
  const std::uint64_t offset = input.below(8) * 64;
  const ByteView file = input.rest();
  static_cast<void>(wal_format::read_segment_header(file, {}));
  static_cast<void>(wal_format::read_batch_header(file, {}, offset));
  static_cast<void>(wal_format::read_batch(file, {}, offset, 64));
  static_cast<void>(wal_format::find_later_batch(file, {}, offset, 0));
  static_cast<void>(wal_format::segment_number(file));
}

}  // namespace

void run_records(ByteView bytes) {
  Input input(bytes);
  const std::uint64_t kind = input.below(11);
  const ByteView rest = input.rest();
  switch (kind) {
    case 0: return read_and_write<Attempt>(rest);
    case 1: return read_and_write<std::vector<GroupId>>(rest);
    case 2: return read_and_write<Refusal>(rest);
    case 3: return read_and_write<Effects>(rest);
    case 4: return read_and_write<WorkResult>(rest);
    case 5: return read_mark(rest);
    case 6: return static_cast<void>(wal_format::decode_entry(rest));
    case 7: return static_cast<void>(wal_format::decode_group(rest));
    case 8: return read_hard_state(rest);
    case 9: return read_identity(rest);
    default: return read_place(rest);
  }
}

std::vector<Bytes> records_seeds() {
  const auto written = [](std::uint64_t kind, const auto& record) {
    Bytes bytes(1, static_cast<char>(kind));
    ByteWriter writer(bytes);
    write(writer, record);
    return bytes;
  };
  const TxnId txn = TxnId::make(ClusterMillis(1'700'000'000'000), 1, 2);
  Bytes mark;
  wal_format::encode_mark(mark, SnapshotMark{{Epoch(2), Index(9)}, ClusterMillis(7), {NodeId(1), NodeId(2)}});
  Bytes group;
  ByteWriter(group).u64(12).raw(mark).raw("hard");
  Bytes entry;
  ByteWriter(entry).u64(2).u64(9).u64(7).u8(0).raw("payload");
  return {
      written(0, Attempt{Epoch(5), 6}),
      written(1, std::vector<GroupId>{GroupId(1), GroupId(2)}),
      written(2, Refusal{AbortReason::constraint, GroupId(2), "would be negative", "balance >= 0", txn}),
      written(3,
              Effects{"change", {{"a", LockMode::intention_exclusive}, {"b", LockMode::exclusive}}, {{"n", -5, 0, 9}}}),
      written(4, WorkResult{OperationResult{{"id", "n"}, {{std::string("a"), std::int64_t{1}}, {SqlNull{}, 0.5}}, 0},
                            OperationResult{{}, {}, 3}}),
      Seed().byte(5).rest(mark),
      Seed().byte(6).rest(entry),
      Seed().byte(7).rest(group),
      Seed().byte(8).rest(raft::encode_hard_state({Epoch(3), NodeId(2)})),
      Seed().byte(9).rest(encode_directory_identity({"bank", "n\"1\\"})),
      Seed().byte(10).byte(1).rest(Bytes(200, '\0'))};
}

}  // namespace assent::fuzz
