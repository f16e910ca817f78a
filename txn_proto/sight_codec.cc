#include "txn_proto/sight_codec.h"

#include "txn_proto/api_codec.h"
#include "txn_proto/value_codec.h"

namespace assent {
namespace {

Stage stage_of(const std::string& text) {
  for (std::uint8_t value = 0; value <= static_cast<std::uint8_t>(stage_last); ++value) {
    if (text == to_string(static_cast<Stage>(value))) return static_cast<Stage>(value);
  }
  return Stage::in_doubt;
}

Protocol protocol_of(v1::Protocol protocol) {
  for (const Protocol one : {Protocol::one_phase, Protocol::two_phase, Protocol::three_phase, Protocol::paxos_commit}) {
    if (to_api(one) == protocol) return one;
  }
  return Protocol::automatic;
}

void read_txns(const google::protobuf::RepeatedPtrField<std::string>& from, std::vector<TxnId>& to) {
  for (const std::string& hex : from) {
    if (const auto txn = TxnId::from_hex(hex)) to.push_back(*txn);
  }
}

}  // namespace

v1::Sight to_api(const Sight& sight, const GroupDirectory& groups) {
  v1::Sight out;
  out.set_txn_id(sight.txn.to_hex());
  out.set_stage(std::string(to_string(sight.stage)));
  out.set_protocol(to_api(sight.protocol));
  out.set_commit(sight.commit);
  out.set_coordinator(groups.name(sight.coordinator));
  for (const GroupId group : sight.participants) {
    out.add_participants(name_of_participant(group, groups, sight.services));
  }
  for (const GroupId group : sight.missing) out.add_missing(name_of_participant(group, groups, sight.services));
  for (const TxnId& txn : sight.waits_for) out.add_waits_for(txn.to_hex());
  for (const TxnId& txn : sight.blocks) out.add_blocks(txn.to_hex());
  out.set_queries_blocked(sight.queries_blocked);
  out.set_locks(sight.locks);
  out.set_millis(sight.millis);
  if (sight.left_millis) out.set_left_millis(*sight.left_millis);
  write_services(sight.services, *out.mutable_services());
  for (const std::string& words : sight.troubles) out.add_troubles(is_utf8(words) ? words : "?");
  for (const std::string& key : sight.wanted_keys) out.add_wanted_keys(is_utf8(key) ? key : "?");
  for (const std::string& key : sight.contested_keys) out.add_contested_keys(is_utf8(key) ? key : "?");
  for (const GroupId service : sight.failing) out.add_failing(name_of_participant(service, groups, sight.services));
  if (sight.heuristic) {
    v1::Heuristic& forced = *out.mutable_heuristic();
    forced.set_commit(sight.heuristic->commit);
    forced.set_at_millis(static_cast<std::int64_t>(sight.heuristic->at.value));
    forced.set_reason(is_utf8(sight.heuristic->reason) ? sight.heuristic->reason : "?");
  }
  return out;
}

Sight from_api(const v1::Sight& message) {
  Sight out;
  out.txn = TxnId::from_hex(message.txn_id()).value_or(TxnId{});
  out.stage = stage_of(message.stage());
  out.protocol = protocol_of(message.protocol());
  out.commit = message.commit();
  out.coordinator = group_id(message.coordinator());
  out.services = read_services(message.services());
  out.troubles.assign(message.troubles().begin(), message.troubles().end());
  for (const std::string& name : message.participants())
    out.participants.push_back(participant_named(name, out.services));
  for (const std::string& name : message.missing()) out.missing.push_back(participant_named(name, out.services));
  for (const std::string& name : message.failing()) out.failing.push_back(participant_named(name, out.services));
  read_txns(message.waits_for(), out.waits_for);
  read_txns(message.blocks(), out.blocks);
  out.wanted_keys.assign(message.wanted_keys().begin(), message.wanted_keys().end());
  out.contested_keys.assign(message.contested_keys().begin(), message.contested_keys().end());
  out.queries_blocked = message.queries_blocked();
  out.locks = message.locks();
  out.millis = message.millis();
  if (message.has_left_millis()) out.left_millis = message.left_millis();
  if (message.has_heuristic()) {
    const v1::Heuristic& forced = message.heuristic();
    const auto at = static_cast<std::uint64_t>(std::max<std::int64_t>(0, forced.at_millis()));
    out.heuristic = Heuristic{.commit = forced.commit(), .at = ClusterMillis(at), .reason = forced.reason()};
  }
  return out;
}

}  // namespace assent
