#include "consensus/raft/message_codec.h"

#include <utility>

#include "base/byte_codec.h"

namespace assent::raft {
namespace {

enum class Kind : std::uint8_t {
  pre_vote_request = 1,
  pre_vote_reply = 2,
  vote_request = 3,
  vote_reply = 4,
  append_request = 5,
  append_accept = 6,
  append_reject = 7,
  heartbeat = 8,
  heartbeat_reply = 9,
  timeout_now = 10,
  stale_term = 11,
  sleep = 12,
  sleep_reply = 13,
  lease_request = 14,
  lease_grant = 15,
  read_point_request = 16,
  read_point_reply = 17,
};

constexpr std::uint8_t between_incarnations = 0x80;  // added to the kind
constexpr std::size_t header_bytes = 17 + 16;
constexpr std::size_t entry_header_bytes = 21;

// ---- writing ----

Kind kind_of(const PreVoteRequest&) { return Kind::pre_vote_request; }
Kind kind_of(const PreVoteReply&) { return Kind::pre_vote_reply; }
Kind kind_of(const VoteRequest&) { return Kind::vote_request; }
Kind kind_of(const VoteReply&) { return Kind::vote_reply; }
Kind kind_of(const AppendRequest&) { return Kind::append_request; }
Kind kind_of(const AppendAccept&) { return Kind::append_accept; }
Kind kind_of(const AppendReject&) { return Kind::append_reject; }
Kind kind_of(const Heartbeat&) { return Kind::heartbeat; }
Kind kind_of(const HeartbeatReply&) { return Kind::heartbeat_reply; }
Kind kind_of(const TimeoutNow&) { return Kind::timeout_now; }
Kind kind_of(const StaleTerm&) { return Kind::stale_term; }
Kind kind_of(const Sleep&) { return Kind::sleep; }
Kind kind_of(const SleepReply&) { return Kind::sleep_reply; }
Kind kind_of(const LeaseRequest&) { return Kind::lease_request; }
Kind kind_of(const LeaseGrant&) { return Kind::lease_grant; }
Kind kind_of(const ReadPointRequest&) { return Kind::read_point_request; }
Kind kind_of(const ReadPointReply&) { return Kind::read_point_reply; }

std::uint8_t flag(bool value) { return value ? 1 : 0; }
ByteWriter& place(ByteWriter& out, const Position& at) { return out.id(at.epoch).id(at.index); }

void body(ByteWriter& out, const PreVoteRequest& m) { place(out, m.last); }
void body(ByteWriter& out, const PreVoteReply& m) { out.id(m.proposed).u8(flag(m.granted)); }
void body(ByteWriter& out, const VoteRequest& m) { place(out, m.last).u8(flag(m.forced)); }
void body(ByteWriter& out, const VoteReply& m) { out.u8(flag(m.granted)); }
void body(ByteWriter& out, const AppendRequest& m) {
  place(out, m.prev).id(m.commit).u32(static_cast<std::uint32_t>(m.entries.size()));
  for (const EntryPtr& entry : m.entries) {
    out.id(entry->epoch).id(entry->stamp).u8(static_cast<std::uint8_t>(entry->kind)).bytes(entry->payload);
  }
}
void body(ByteWriter& out, const AppendAccept& m) { out.id(m.match); }
void body(ByteWriter& out, const AppendReject& m) { place(out.id(m.rejected), m.hint); }
void body(ByteWriter& out, const Heartbeat& m) { out.id(m.commit).u64(m.round); }
void body(ByteWriter& out, const HeartbeatReply& m) { out.u64(m.round); }
void body(ByteWriter&, const TimeoutNow&) {}
void body(ByteWriter&, const StaleTerm&) {}
void body(ByteWriter& out, const Sleep& m) { out.id(m.last).u64(m.round); }
void body(ByteWriter& out, const SleepReply& m) { out.u64(m.round); }
void body(ByteWriter& out, const LeaseRequest& m) { out.u64(m.sent); }
void body(ByteWriter& out, const LeaseGrant& m) { out.u64(m.sent); }
void body(ByteWriter& out, const ReadPointRequest& m) { out.u64(m.sent); }
void body(ByteWriter& out, const ReadPointReply& m) { out.u64(m.sent).id(m.index); }

template <class M>
std::size_t size_hint(const M&) {
  return header_bytes + 28;
}
std::size_t size_hint(const AppendRequest& m) {
  std::size_t size = header_bytes + 28;
  for (const EntryPtr& entry : m.entries) size += entry_header_bytes + entry->payload.size();
  return size;
}

// ---- reading ----

// A ByteReader that also notices values out of range.
class Fields {
 public:
  explicit Fields(ByteView bytes) : in_(bytes) {}

  std::uint8_t u8() { return in_.u8(); }
  std::uint32_t u32() { return in_.u32(); }
  std::uint64_t u64() { return in_.u64(); }
  ByteView bytes() { return in_.bytes(); }
  bool flag() {
    const std::uint8_t value = in_.u8();
    require(value <= 1);
    return value == 1;
  }
  template <class T>
  T number() {
    const T value(in_.u64());
    require(value.value < number_max);
    return value;
  }
  Position place() {
    const Epoch epoch = number<Epoch>();
    return {epoch, number<Index>()};
  }
  void require(bool condition) { sound_ = sound_ && condition; }
  [[nodiscard]] bool ok() const { return sound_ && in_.ok(); }
  [[nodiscard]] bool complete() const { return sound_ && in_.complete(); }
  [[nodiscard]] std::size_t remaining() const { return in_.remaining(); }

 private:
  ByteReader in_;
  bool sound_ = true;
};

Entry read_entry(Fields& in, Index index) {
  Entry entry;
  entry.epoch = in.number<Epoch>();
  entry.index = index;
  entry.stamp = ClusterMillis(in.u64());
  const std::uint8_t kind = in.u8();
  in.require(kind <= static_cast<std::uint8_t>(EntryKind::membership));
  entry.kind = static_cast<EntryKind>(kind);
  entry.payload = in.bytes();
  in.require(entry.kind != EntryKind::membership || decode_membership(entry.payload));
  return entry;
}

AppendRequest read_append(Fields& in, Epoch term) {
  AppendRequest message{.term = term, .prev = in.place(), .commit = in.number<Index>(), .entries = {}};
  const std::uint32_t count = in.u32();
  in.require(count <= in.remaining() / entry_header_bytes);  // before anything is allocated for it
  if (!in.ok()) return message;
  message.entries.reserve(count);
  Position last = message.prev;
  ClusterMillis stamp;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
    Entry entry = read_entry(in, last.index.next());
    in.require(entry.epoch >= last.epoch && entry.epoch <= term && !entry.epoch.none() && entry.stamp >= stamp);
    last = {entry.epoch, entry.index};
    stamp = entry.stamp;
    message.entries.push_back(std::make_shared<const Entry>(std::move(entry)));
  }
  in.require(last.epoch <= term);
  return message;
}

Message read_body(Fields& in, Kind kind, Epoch term) {
  switch (kind) {
    case Kind::pre_vote_request: return PreVoteRequest{.term = term, .last = in.place()};
    case Kind::pre_vote_reply: return PreVoteReply{.term = term, .proposed = in.number<Epoch>(), .granted = in.flag()};
    case Kind::vote_request: return VoteRequest{.term = term, .last = in.place(), .forced = in.flag()};
    case Kind::vote_reply: return VoteReply{.term = term, .granted = in.flag()};
    case Kind::append_request: return read_append(in, term);
    case Kind::append_accept: return AppendAccept{.term = term, .match = in.number<Index>()};
    case Kind::append_reject: return AppendReject{.term = term, .rejected = in.number<Index>(), .hint = in.place()};
    case Kind::heartbeat: return Heartbeat{.term = term, .commit = in.number<Index>(), .round = in.u64()};
    case Kind::heartbeat_reply: return HeartbeatReply{.term = term, .round = in.u64()};
    case Kind::timeout_now: return TimeoutNow{.term = term};
    case Kind::stale_term: return StaleTerm{.term = term};
    case Kind::sleep: return Sleep{.term = term, .last = in.number<Index>(), .round = in.u64()};
    case Kind::sleep_reply: return SleepReply{.term = term, .round = in.u64()};
    case Kind::lease_request: return LeaseRequest{.term = term, .sent = in.u64()};
    case Kind::lease_grant: return LeaseGrant{.term = term, .sent = in.u64()};
    case Kind::read_point_request: return ReadPointRequest{.term = term, .sent = in.u64()};
    case Kind::read_point_reply: return ReadPointReply{.term = term, .sent = in.u64(), .index = in.number<Index>()};
  }
  in.require(false);
  return StaleTerm{};
}

}  // namespace

Bytes encode(GroupId group, const Message& message, const Incarnations& between) {
  return std::visit(
      [&](const auto& m) {
        Bytes bytes;
        bytes.reserve(size_hint(m));
        ByteWriter out(bytes);
        const bool founders = between.from == 0 && between.to == 0;
        const auto kind = static_cast<std::uint8_t>(kind_of(m));
        out.u8(founders ? kind : kind | between_incarnations).id(group).id(m.term);
        if (!founders) out.u64(between.from).u64(between.to);
        body(out, m);
        return bytes;
      },
      message);
}

std::optional<Letter> decode_letter(GroupId group, ByteView bytes) {
  Fields in(bytes);
  const std::uint8_t first = in.u8();
  in.require(in.u64() == group.value);
  const auto term = in.number<Epoch>();
  Incarnations between;
  if ((first & between_incarnations) != 0) {
    between.from = in.u64();
    between.to = in.u64();
    in.require(between.from != 0 || between.to != 0);
  }
  if (!in.ok()) return std::nullopt;
  Message message = read_body(in, static_cast<Kind>(first & ~between_incarnations), term);
  if (!in.complete()) return std::nullopt;
  return Letter{between, std::move(message)};
}

std::optional<Message> decode(GroupId group, ByteView bytes) {
  auto letter = decode_letter(group, bytes);
  if (!letter) return std::nullopt;
  return std::move(letter->message);
}

}  // namespace assent::raft
