#include "txn_proto/resolution.h"

#include <algorithm>

namespace assent {

void Resolution::voted_yes(GroupId from) { words_.try_emplace(from, Word::yes); }

void Resolution::hear(GroupId from, const Report& report) {
  if (std::find(participants_.begin(), participants_.end(), from) == participants_.end()) return;
  const bool same = report.protocol == protocol_ && report.fingerprint == fingerprint_;
  switch (report.standing) {
    case Standing::empty: return;
    case Standing::old:
      if (const auto known = words_.try_emplace(from, Word::old).first; known->second == Word::yes) {
        known->second = Word::old;  // it was finished there, and forgotten
      }
      return;
    case Standing::prepared:
      if (same) return voted_yes(from);
      break;
    case Standing::committed:
      if (same) {
        words_[from] = Word::committed;
        return;
      }
      break;
    case Standing::aborted: break;
  }
  words_[from] = Word::no;
  if (refusal_.reason != AbortReason::none) return;
  if (report.standing == Standing::aborted) {
    refusal_ = report.refusal;
  } else {
    refusal_.reason = AbortReason::reused_id;
    refusal_.message = "this id was already used with other content";
  }
  if (refusal_.participant.none()) refusal_.participant = from;
}

Resolution::Verdict Resolution::verdict() const {
  std::size_t yes = 0;
  bool no = false;
  for (const auto& [group, word] : words_) {
    if (word == Word::committed) return Verdict::commit;
    no = no || word == Word::no;
    yes += word == Word::yes ? 1 : 0;
  }
  if (no) return Verdict::abort;
  if (participants_.empty() || words_.size() < participants_.size()) return Verdict::open;
  if (yes == participants_.size()) return Verdict::commit;
  return yes == 0 ? Verdict::gone : Verdict::old;
}

bool Resolution::somebody_is_old() const {
  return std::any_of(words_.begin(), words_.end(), [](const auto& item) { return item.second == Word::old; });
}

std::vector<GroupId> Resolution::silent() const {
  std::vector<GroupId> groups;
  for (const GroupId group : participants_) {
    if (!words_.contains(group)) groups.push_back(group);
  }
  return groups;
}

void Resolution::add_to(Digest& digest) const {
  digest.add(participants_.size()).add(static_cast<std::uint64_t>(protocol_)).add(fingerprint_);
  for (const GroupId group : participants_) digest.add(group);
  for (const auto& [group, word] : words_) digest.add(group).add(static_cast<std::uint64_t>(word));
  digest.add(static_cast<std::uint64_t>(refusal_.reason));
}

}  // namespace assent
