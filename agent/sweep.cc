#include "agent/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/promise.h"

namespace assent::agent {

using service::AnswerCode;
using service::Call;
using service::Fate;

Swept Sweep::look(Time now) {
  Swept all;
  const auto note = [&all](const auto& done) {
    if (!done) all.trouble = done.error().message;
  };
  note(database_.refresh());
  record(all);
  const auto names = database_.prepared();
  note(names);
  if (!names) return all;
  std::erase_if(first_seen_,
                [&](const auto& one) { return std::find(names->begin(), names->end(), one.first) == names->end(); });
  for (const std::string& name : *names) judge(name, now, all);
  // Long after the registers were forgotten with which they are compared.
  const auto kept = 2 * static_cast<std::uint64_t>(branches_.options().retention.count());
  if (branches_.now().value > kept) note(database_.forget_markers(ClusterMillis(branches_.now().value - kept)));
  return all;
}

void Sweep::judge(const std::string& name, Time now, Swept& all) {
  // A yes, which nobody but the coordinator or the resolver ends.
  const auto promise = promise_from(name);
  if (promise && promise->database == database_of(database_.identity())) return;
  const std::optional<Gid> gid = gid_from(name);
  if (!gid) {
    all.foreign += 1;
    return;
  }
  const auto registers = database_.registers_of(gid->txn);
  if (!registers) {
    all.trouble = registers.error().message;
    return;
  }
  const Advice advice = judge_found(name, database_.identity(), *registers);
  switch (advice) {
    case Advice::leave: return;
    case Advice::roll_back: return roll_back(*gid, all);
    case Advice::foreign: all.foreign += 1; return;
    case Advice::contradiction:
      // Perhaps it was committed between the two looks.
      if (seen_for(name, now)) all.orphans.push_back(name + ": its branch is committed, and it is not");
      return;
    case Advice::unregistered: break;
  }
  if (seen_for(name, now)) forsake(*gid, all);
}

bool Sweep::seen_for(const std::string& name, Time now) {
  return now - first_seen_.emplace(name, now).first->second >= patience_;
}

// Of a branch that no register knows.
void Sweep::forsake(const Gid& gid, Swept& all) {
  if (ask_) {
    const Result<Fate> fate = ask_({{gid.txn, ""}, gid.attempt, "", ClusterMillis(0)});
    if (!fate || *fate == Fate::committed) {
      all.orphans.push_back(fmt::format("{}: no register knows its branch, and {}", gid.text(),
                                        fate ? "its transaction was committed: were registers deleted?"
                                             : "the cluster cannot be asked: " + fate.error().message));
      return;
    }
  }
  const auto done = fenced_(gid.branch_text(), [&]() -> Result<void> {
    const auto registers = database_.registers_of(gid.txn);
    if (!registers) return fail(registers.error());
    // A prepare that was running has written it meanwhile.
    if (judge_found(gid.text(), database_.identity(), *registers) != Advice::unregistered) return {};
    roll_back(gid, all);
    return {};
  });
  if (!done) all.trouble = done.error().message;
}

void Sweep::roll_back(const Gid& gid, Swept& all) {
  const auto done = database_.finish(gid, Call::abort);
  if (!done) {
    all.trouble = done.error().message;
  } else if (*done) {
    all.rolled_back += 1;
  }
}

void Sweep::record(Swept& all) {
  const auto found = database_.unrecorded();
  if (!found) {
    all.trouble = found.error().message;
    return;
  }
  for (const Unrecorded& one : *found) {
    service::Branch branch;
    branch.txn = one.key.txn;
    branch.name = one.key.name;
    branch.attempt = one.attempt;
    const service::Answer answer = branches_.end(Call::commit, branch);
    if (answer.ok()) {
      all.recorded += 1;
    } else if (answer.code != AnswerCode::running) {
      all.trouble = answer.message;
    }
  }
}

}  // namespace assent::agent
