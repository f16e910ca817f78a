#include "sim/explore/convergence.h"

#include "base/digest.h"

namespace assent::explore {

namespace {
constexpr unsigned rounds_max = 400;  // each a tick of every group; a model's time-outs are far shorter
}

void Convergence::act(const Event& event) {
  if (!broken_.empty()) return;
  if (lines_ != nullptr) scene_->narrate(groups_, event, *lines_);
  const Transition& transition = scene_->group(event.group).step(groups_[event.group], event);
  const GroupNumbers before = groups_;
  groups_[event.group] = transition.to;
  told_ |= transition.told;
  in_flight_.insert(in_flight_.end(), transition.sends.begin(), transition.sends.end());
  broken_ = scene_->find_broken(before, groups_, event.group, transition, told_, aged_);
}

void Convergence::commit_all(std::size_t place) {
  while (broken_.empty() && scene_->facts(groups_, place).pending > 0) {
    act(Event{.kind = Event::Kind::commit, .group = static_cast<std::uint8_t>(place), .aged = aged_});
  }
}

void Convergence::hear_all() {
  while (broken_.empty() && !in_flight_.empty()) {
    const std::uint16_t message = in_flight_.front();
    in_flight_.pop_front();
    const std::size_t place = scene_->place_of(scene_->language().messages.at(message).to);
    act(Event{.kind = Event::Kind::deliver, .group = static_cast<std::uint8_t>(place), .what = message, .aged = aged_});
    commit_all(place);
  }
}

std::size_t Convergence::Hash::operator()(const Moment& moment) const {
  Digest digest;
  for (const std::uint32_t group : moment.groups) digest.add(group);
  return digest.add(moment.aged ? 1 : 0).value();
}

std::string Convergence::run(GroupNumbers groups, Outcomes told, bool aged, std::vector<std::string>* lines) {
  groups_ = groups;
  told_ = told;
  aged_ = aged;
  lines_ = lines;
  in_flight_.clear();
  broken_.clear();
  for (std::size_t place = 0; place < scene_->size(); ++place) {
    while (broken_.empty() && scene_->facts(groups_, place).replaced > 0) {
      act(Event{.kind = Event::Kind::resign, .group = static_cast<std::uint8_t>(place), .who = 1});
    }
  }
  return go_on();
}

std::string Convergence::play(GroupNumbers groups, Outcomes told, const std::vector<Event>& events) {
  groups_ = groups;
  told_ = told;
  in_flight_.clear();
  broken_.clear();
  for (const Event& event : events) act(event);
  return go_on();
}

std::string Convergence::go_on() {
  std::vector<Moment> passed;
  for (unsigned round = 0; round < rounds_max; ++round) {
    for (std::size_t place = 0; place < scene_->size(); ++place) commit_all(place);
    hear_all();
    if (!broken_.empty()) return broken_;
    const Moment now{groups_, aged_};
    const auto known = ends_.find(now);
    const bool ends_well = known != ends_.end() && contradictions(known->second | told_) == 0;
    if (ends_well || scene_->quiescent(groups_)) {
      const Outcomes end = ends_well ? known->second : scene_->outcomes(groups_);
      for (const Moment& moment : passed) ends_.emplace(moment, end);
      return {};
    }
    if (remembering_) passed.push_back(now);
    for (std::size_t place = 0; place < scene_->size(); ++place) {
      act(Event{.kind = Event::Kind::tick, .group = static_cast<std::uint8_t>(place), .aged = aged_});
    }
  }
  return broken_.empty() ? "A5, A7: without further faults it does not come to rest" : broken_;
}

}  // namespace assent::explore
