#include "sim/explore/crash_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <variant>

namespace assent::explore {
namespace {

constexpr unsigned outage_rounds = 60;  // longer than every time-out of the model
constexpr unsigned rounds_max = 400;
constexpr unsigned quiet_rounds = 4;  // what is only written down for later has been written by then

template <class Variant, class One>
constexpr std::size_t kind = 0;
template <class... All, class One>
constexpr std::size_t kind<std::variant<All...>, One> = [] {
  std::size_t at = 0;
  static_cast<void>(((std::is_same_v<All, One> || (++at, false)) || ...));
  return at;
}();
template <class One>
constexpr std::size_t message = kind<TxnMessage, One>;
template <class One>
constexpr std::size_t decision = kind<CoordinatorCommand, One>;
template <class One>
constexpr std::size_t work = kind<ShardCommand, One>;

std::string names_of(unsigned reach) {
  std::string names;
  for (unsigned place = 1; place < groups_max; ++place) {
    if ((reach >> place & 1U) != 0) names += fmt::format("{}s{}", names.empty() ? "" : ",", place);
  }
  return "{" + names + "}";
}

}  // namespace

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::process_crash: return "process crash";
    case Fault::power_loss: return "power loss";
    case Fault::change: return "leader change";
    case Fault::change_kept: return "leader change, entries survive";
    case Fault::outage: return "no majority";
    case Fault::gone: return "lost for ever";
  }
  return "?";
}

std::string describe(const Strike& strike) {
  return fmt::format("{} at {}", to_string(strike.fault), strike.point.name);
}

// ---- points
// ----------------------------------------------------------------------------------------------------------

CrashMatrix::CrashMatrix(const Model& model) : model_(&model), scene_(model), convergence_(scene_) {
  if (model.shards > 1) points_ = points_of_coordinator();
  for (std::size_t place = 1; place < scene_.size(); ++place) {
    const std::vector<Point> more = points_of_participant(place);
    points_.insert(points_.end(), more.begin(), more.end());
  }
}

std::vector<Point> CrashMatrix::points_of_coordinator() const {
  using When = Point::When;
  const unsigned everybody = ((1U << scene_.size()) - 1U) & ~1U;
  std::vector<Point> points;
  points.push_back({"k1 before the first prepare is sent", 0, When::sends, message<Prepare>, 0, {}});
  for (unsigned some = 2; some <= everybody; some += 2) {
    points.push_back({"k2 prepares sent to " + names_of(some), 0, When::sends, message<Prepare>, some, {}});
    if (some != everybody) {
      points.push_back({"k3 votes counted of " + names_of(some), 0, When::counts, message<Vote>, some, {}});
    }
  }
  const Protocol protocol = effective_protocol(model_->txns[0]);
  const bool by_votes = by_content(protocol);
  if (ballots_decide(protocol)) {
    points.push_back({"k4 all votes, no pre-commit in the log", 0, When::proposes, decision<BallotWork>, 0, false});
    points.push_back({"k4 pre-commit committed, not applied", 0, When::proposes, decision<BallotWork>, 0, true});
    points.push_back({"k4 pre-commit applied", 0, When::applies, decision<BallotWork>, 0, {}});
    for (unsigned some = 0; some <= everybody; some += 2) {
      points.push_back({"k4 pre-commits sent to " + names_of(some), 0, When::sends, message<BallotRequest>, some, {}});
      if (some == 0) continue;
      points.push_back(
          {"k4 pre-commits counted of " + names_of(some), 0, When::counts, message<BallotReply>, some, {}});
    }
  }
  // Where the votes decide nothing is logged before the answer: the outcome is noted afterwards.
  const std::size_t record = by_votes ? decision<NoteOutcomes> : decision<Decide>;
  const std::string what = by_votes ? "note" : "decision";
  points.push_back({"k4 all votes, no " + what + " in the log", 0, When::proposes, record, 0, false});
  points.push_back({"k5 " + what + " proposed", 0, When::proposes, record, 0, {}});
  points.push_back({"k6 " + what + " committed, not applied", 0, When::proposes, record, 0, true});
  points.push_back({"k7 " + what + " applied, nothing sent", 0, When::applies, record, 0, {}});
  for (unsigned some = 2; some <= everybody; some += 2) {
    points.push_back({"k8 decision sent to " + names_of(some), 0, When::sends, message<Finish>, some, {}});
  }
  points.push_back({"k9 all have finished", 0, When::counts, message<Finished>, everybody, {}});
  if (!by_votes) points.push_back({"k10 forgetting", 0, When::proposes, decision<EndTxns>, 0, {}});
  return points;
}

std::vector<Point> CrashMatrix::points_of_participant(std::size_t place) const {
  using When = Point::When;
  const std::string at = fmt::format(" at s{}", place);
  if (model_->shards == 1) {
    return {{"m2 work proposed" + at, place, When::proposes, work<ExecuteWork>, 0, {}},
            {"m7 work committed, not applied" + at, place, When::proposes, work<ExecuteWork>, 0, true},
            {"m8 work applied" + at, place, When::applies, work<ExecuteWork>, 0, {}}};
  }
  std::vector<Point> points = {
      {"m1 prepare heard" + at, place, When::hears, message<Prepare>, 0, {}},
      {"m2 prepare proposed" + at, place, When::proposes, work<PrepareWork>, 0, {}},
      {"m3 vote committed, not sent" + at, place, When::sends, message<Vote>, 0, {}},
      {"m4 vote sent" + at, place, When::sends, message<Vote>, 1, {}},
      {"m5 decision heard" + at, place, When::hears, message<Finish>, 0, {}},
      {"m6 finish proposed" + at, place, When::proposes, work<FinishWork>, 0, {}},
      {"m7 finish committed, not applied" + at, place, When::proposes, work<FinishWork>, 0, true},
      {"m8 finish applied, not acknowledged" + at, place, When::sends, message<Finished>, 0, {}}};
  if (!ballots_decide(effective_protocol(model_->txns[0]))) return points;
  points.push_back({"m4 pre-commit heard" + at, place, When::hears, message<BallotRequest>, 0, {}});
  points.push_back({"m4 pre-commit proposed" + at, place, When::proposes, work<BallotWork>, 0, {}});
  points.push_back({"m4 pre-commit committed, not applied" + at, place, When::proposes, work<BallotWork>, 0, true});
  points.push_back({"m4 pre-commit applied, not acknowledged" + at, place, When::sends, message<BallotReply>, 0, {}});
  return points;
}

// ---- the run
// ---------------------------------------------------------------------------------------------------------

DrillResult CrashMatrix::run(std::span<const Strike> plan, std::vector<std::string>* lines) {
  groups_ = scene_.initial();
  told_ = 0;
  in_flight_.clear();
  plan_ = plan;
  next_ = 0;
  counted_ = 0;
  asked_ = 0;
  ask_again_ = true;
  out_for_ = {};
  gone_ = 0;
  broken_.clear();
  lines_ = lines;
  play();
  DrillResult result{.broken = broken_, .struck = static_cast<unsigned>(next_), .committed = false};
  if (gone_ != 0) {
    result.committed = (scene_.outcomes(groups_) & outcome_bit(0, true)) != 0;
    return result;
  }
  if (result.broken.empty()) result.broken = convergence_.run(groups_, told_, false, lines);
  const auto place = static_cast<std::uint8_t>(scene_.place_of(model_->asks[0].group));
  for (const std::size_t one : {1U, 0U}) {  // the outcome, sealing it; then the same once more
    if (!result.broken.empty()) return result;
    const auto time = static_cast<std::uint16_t>(one * 8U + (one == 0 ? 7U : 0U));
    const Event event{.kind = Event::Kind::ask, .group = place, .what = time};
    result.broken = convergence_.play(convergence_.rest(), convergence_.told(), {event});
  }
  const Outcomes held = scene_.outcomes(convergence_.rest());
  result.committed = (held & outcome_bit(0, true)) != 0;
  if (result.broken.empty() && (held == 0 || convergence_.told() != held)) {
    result.broken = "A5, A6: asked in the end, nobody can say what became of the transaction";
  }
  return result;
}

void CrashMatrix::play() {
  unsigned quiet = 0;
  for (unsigned round = 0; round < rounds_max && broken_.empty(); ++round) {
    do {
      if (std::exchange(ask_again_, false)) ask(0);
    } while (broken_.empty() && (step() || ask_again_));
    const bool out = std::any_of(out_for_.begin(), out_for_.end(), [](unsigned left) { return left > 0; });
    quiet = !out && at_rest() ? quiet + 1 : 0;
    if (quiet == quiet_rounds) return;
    pass_time();
  }
  if (broken_.empty() && gone_ != 0) broken_ = "A5, A7: with a group lost for ever the others do not come to rest";
}

// Of those that are left. Who may have a shard to tell that is gone for ever goes on telling it.
bool CrashMatrix::at_rest() const {
  for (std::size_t place = 0; place < scene_.size(); ++place) {
    const GroupFacts& facts = scene_.facts(groups_, place);
    const bool rests = (gone_ & ~1U) != 0 ? facts.decided : facts.quiescent;
    if (!gone(place) && !rests) return false;
  }
  return true;
}

// False: there is nothing to do but to wait.
bool CrashMatrix::step() {
  for (std::size_t place = 0; place < scene_.size(); ++place) {
    if (out_for_[place] > 0 || gone(place) || scene_.facts(groups_, place).pending == 0) continue;
    act(Event{.kind = Event::Kind::commit, .group = static_cast<std::uint8_t>(place)});
    return true;
  }
  if (in_flight_.empty()) return false;
  const std::uint16_t oldest = in_flight_.front();
  in_flight_.pop_front();
  hear(oldest);
  return true;
}

void CrashMatrix::ask(std::size_t one) {
  const auto place = static_cast<std::uint8_t>(scene_.place_of(model_->asks[one].group));
  if (gone(place)) return;
  const unsigned time = std::min(asked_++, 6U);
  act(Event{.kind = Event::Kind::ask, .group = place, .what = static_cast<std::uint16_t>(one * 8U + time)});
}

// Replaced leaders hear it too, and first.
void CrashMatrix::hear(std::uint16_t message_number) {
  const Envelope& envelope = scene_.language().messages.at(message_number);
  const std::size_t place = scene_.place_of(envelope.to);
  const std::size_t from = scene_.place_of(envelope.from);
  const std::size_t kind = envelope.message.index();
  if (gone(place)) return;
  if (awaited(Point::When::hears, place, kind)) return strike();
  Event event{.kind = Event::Kind::deliver, .group = static_cast<std::uint8_t>(place), .what = message_number};
  for (unsigned who = scene_.facts(groups_, place).replaced; who > 0; --who) {
    event.who = static_cast<std::uint8_t>(who);
    act(event);
  }
  event.who = 0;
  act(event);
  if (!awaited(Point::When::counts, place, kind)) return;
  counted_ |= 1U << from;
  if ((counted_ & plan_[next_].point.reach) == plan_[next_].point.reach) strike();
}

void CrashMatrix::act(const Event& event) {
  if (!broken_.empty()) return;
  if (lines_ != nullptr) scene_.narrate(groups_, event, *lines_);
  const std::uint32_t kinds_before = scene_.facts(groups_, event.group).pending_kinds;
  const Transition& transition = scene_.group(event.group).step(groups_[event.group], event);
  const GroupNumbers before = groups_;
  groups_[event.group] = transition.to;
  told_ |= transition.told;
  const std::size_t first_sent = in_flight_.size();
  in_flight_.insert(in_flight_.end(), transition.sends.begin(), transition.sends.end());
  broken_ = scene_.find_broken(before, groups_, event.group, transition, told_, false);
  if (event.who == 0 && broken_.empty()) after(event, first_sent, kinds_before);
}

bool CrashMatrix::awaited(Point::When when, std::size_t place, std::size_t kind) const {
  if (next_ >= plan_.size() || gone(place)) return false;
  const Point& point = plan_[next_].point;
  return point.when == when && point.place == place && point.kind == kind;
}

// Whether what the leader just did is what is waited for.
void CrashMatrix::after(const Event& event, std::size_t first_sent, std::uint32_t kinds_before) {
  if (next_ >= plan_.size() || gone(plan_[next_].point.place)) return;
  const Point& point = plan_[next_].point;
  lose_uncounted();
  if (point.place != event.group) return;
  const std::uint32_t kinds = scene_.facts(groups_, event.group).pending_kinds;
  const std::uint32_t bit = 1U << point.kind;
  if (point.when == Point::When::proposes && (kinds & ~kinds_before & bit) != 0) return strike();
  const bool applied = event.kind == Event::Kind::commit && (kinds_before & ~kinds & bit) != 0;
  if (point.when == Point::When::applies && applied) {
    in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(first_sent), in_flight_.end());
    return strike();
  }
  if (point.when != Point::When::sends) return;
  bool sent = false;
  const auto lost = [&](std::uint16_t number) {
    const Envelope& envelope = scene_.language().messages.at(number);
    if (envelope.message.index() != point.kind) return false;
    sent = true;
    return (point.reach >> scene_.place_of(envelope.to) & 1U) == 0;
  };
  in_flight_.erase(std::remove_if(in_flight_.begin() + static_cast<std::ptrdiff_t>(first_sent), in_flight_.end(), lost),
                   in_flight_.end());
  if (sent) strike();
}

void CrashMatrix::lose_uncounted() {
  const Point& point = plan_[next_].point;
  if (point.when != Point::When::counts) return;
  if ((point.reach & gone_) != 0) return;  // it is waited for in vain
  std::erase_if(in_flight_, [&](std::uint16_t number) {
    const Envelope& envelope = scene_.language().messages.at(number);
    return envelope.message.index() == point.kind && scene_.place_of(envelope.to) == point.place &&
           (point.reach >> scene_.place_of(envelope.from) & 1U) == 0;
  });
}

void CrashMatrix::strike() {
  const Strike& now = plan_[next_++];
  const std::size_t place = now.point.place;
  counted_ = 0;
  if (lines_ != nullptr) lines_->push_back("*** " + describe(now));
  if (now.fault == Fault::gone) {
    gone_ |= 1U << place;
    out_for_[place] = 0;
    return;
  }
  if (now.fault == Fault::outage) {
    out_for_[place] = outage_rounds;
    return;
  }
  const bool kept = now.fault == Fault::process_crash || now.fault == Fault::change_kept;
  const unsigned survive = now.point.survives.value_or(kept) ? scene_.facts(groups_, place).pending : 0;
  out_for_[place] = 0;
  act(Event{.kind = Event::Kind::elect,
            .group = static_cast<std::uint8_t>(place),
            .what = static_cast<std::uint16_t>(survive)});
  if (now.fault == Fault::process_crash || now.fault == Fault::power_loss) {
    const unsigned who = scene_.facts(groups_, place).replaced;
    act(Event{
        .kind = Event::Kind::resign, .group = static_cast<std::uint8_t>(place), .who = static_cast<std::uint8_t>(who)});
  }
  ask_again_ = place == scene_.place_of(model_->asks[0].group);  // its client heard nothing and asks again
}

void CrashMatrix::pass_time() {
  for (std::size_t place = 0; place < scene_.size(); ++place) {
    if (gone(place)) continue;
    if (out_for_[place] > 0) --out_for_[place];
    for (unsigned who = 0; who <= scene_.facts(groups_, place).replaced; ++who) {
      act(Event{
          .kind = Event::Kind::tick, .group = static_cast<std::uint8_t>(place), .who = static_cast<std::uint8_t>(who)});
    }
  }
}

// ---- many runs
// -------------------------------------------------------------------------------------------------------

std::vector<Strike> every_strike(const CrashMatrix& matrix) {
  std::vector<Strike> all;
  for (const Point& point : matrix.points()) {
    for (const Fault fault : all_faults) all.push_back(Strike{point, fault});
  }
  return all;
}

std::vector<Strike> every_loss(const CrashMatrix& matrix, std::size_t place) {
  std::vector<Strike> all;
  for (const Point& point : matrix.points()) {
    if (point.place == place) all.push_back(Strike{point, Fault::gone});
  }
  return all;
}

PairsResult run_pairs(const Model& model, std::span<const Strike> first, std::span<const Strike> second,
                      const std::function<void(const PairsResult&)>& progress) {
  PairsResult all;
  CrashMatrix matrix(model);
  for (const Strike& one : first) {
    for (const Strike& other : second) {
      const std::vector<Strike> plan = {one, other};
      const DrillResult result = matrix.run(plan);
      ++all.plans;
      all.both_struck += result.struck == 2 ? 1 : 0;
      all.committed += result.committed ? 1 : 0;
      if (result.broken.empty()) continue;
      all.broken = result.broken;
      all.plan = plan;
      return all;
    }
    if (progress) progress(all);
  }
  return all;
}

Model crash_matrix_model(Protocol protocol, unsigned shards) {
  const std::string base(to_string(protocol));
  Model model = *find_model(shards == 3 ? base + "-3" : base);
  model.name = fmt::format("crash matrix, {}, {} shards", to_string(protocol), shards);
  if (model.asks.size() < 2) {  // at its end each run asks what came of it, with seal
    model.asks.push_back(
        Ask{"the outcome of t1, sealing it", coordinator_group, GetOutcome{model.txns[0].txn, true, 0}, 1});
  }
  if (protocol == Protocol::one_phase) {
    model.txns.resize(1);
    model.asks.resize(2);
    model.serial = false;
  }
  model.options.conductor.timeout_ticks = 40;
  model.options.conductor.resend_ticks = 3;
  model.options.conductor.resend_ticks_max = 10;
  model.options.conductor.abort_sends_max = 5;
  model.options.conductor.end_ticks = 2;
  model.options.conductor.note_ticks = 2;
  model.options.conductor.ballot_ticks = 25;
  model.options.conductor.resolve_ticks = 20;
  model.options.caretaker.prepare_timeout_ticks = 20;
  model.options.caretaker.resend_ticks = 3;
  model.options.caretaker.resend_ticks_max = 10;
  model.options.caretaker.inquire_after_sends = 2;
  model.options.caretaker.resolve_ticks = 15;
  return model;
}

}  // namespace assent::explore
