// Digests of the values that drivers keep: what two drivers must agree in to act alike. Times count from now, so that
// the same situation at another time has the same digest.
#pragma once

#include <cstdint>

#include "base/byte_codec.h"
#include "base/digest.h"
#include "txn_proto/due_queue.h"
#include "txn_proto/record_codec.h"
#include "txn_proto/types.h"

namespace assent {

inline void add_to(Digest& digest, const Attempt& attempt) { digest.add(attempt.epoch).add(attempt.number); }

// Of what has an encoding: a Refusal, a WorkResult, Effects.
template <class Value>
void add_encoded(Digest& digest, const Value& value) {
  Bytes bytes;
  ByteWriter out(bytes);
  write(out, value);
  digest.add(bytes);
}

template <class Ids>
void add_ids(Digest& digest, const Ids& ids) {
  digest.add(ids.size());
  for (const auto& id : ids) digest.add(id);
}

// Ticks from now; what is past is 0.
inline std::uint64_t ticks_left(std::uint64_t tick, std::uint64_t now) { return tick > now ? tick - now : 0; }

template <class Key>
void add_to(Digest& digest, const DueQueue<Key>& queue, std::uint64_t now) {
  digest.add(queue.size());
  for (const auto& [tick, key] : queue.in_order()) digest.add(ticks_left(tick, now)).add(key);
}

inline void add_to(Digest& digest, const ClientRequest& request) {
  digest.add(request.id).add(request.body.index());
  if (const auto* execute = std::get_if<Execute>(&request.body)) {
    digest.add(execute->txn).add(fingerprint(*execute)).add(execute->age).add(execute->timeout_ticks);
  } else if (const auto* ask = std::get_if<GetOutcome>(&request.body)) {
    digest.add(ask->txn).add(ask->seal ? 1 : 0).add(ask->wait_ticks);
  } else if (const auto* forced = std::get_if<Override>(&request.body)) {
    digest.add(forced->txn).add(forced->commit ? 1 : 0).add(forced->reason);
  } else if (const auto* forgotten = std::get_if<Forget>(&request.body)) {
    digest.add(forgotten->txn).add(forgotten->reason);
  } else if (const auto* retry = std::get_if<Retry>(&request.body)) {
    digest.add(retry->txn);
  } else if (const auto* ended = std::get_if<OverrideService>(&request.body)) {
    digest.add(ended->txn).add(ended->service).add(ended->commit ? 1 : 0).add(ended->reason);
  }
}

}  // namespace assent
