// The sides of one group by number, and what each does in each event, computed once by the real code. Sides with equal
// digests are one.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/digest.h"
#include "sim/explore/groups.h"

namespace assent::explore {

struct SideEvent {
  enum class Kind : std::uint8_t { deliver, ask, tick, apply, apply_quietly, refuse, succeed, lead };
  Kind kind = Kind::tick;
  std::uint16_t what = 0;  // message, ask, command
  std::uint16_t epoch = 0;
  bool aged = false;
  bool leads = true;  // its proposals reach the log, its reads are confirmed

  [[nodiscard]] std::uint64_t pack() const {
    return static_cast<std::uint64_t>(kind) | (std::uint64_t{what} << 4U) | (std::uint64_t{epoch} << 20U) |
           (std::uint64_t{aged} << 36U) | (std::uint64_t{leads} << 37U);
  }
};

struct SideStep {
  std::uint32_t to = 0;
  std::vector<std::uint16_t> sends;
  std::vector<std::uint16_t> proposes;
  std::vector<ClientReply> replies;
};

template <class Side>
class SideTable {
 public:
  using Command = typename Side::Command;

  SideTable(const Model& model, GroupId self, Language& language) : model_(&model), self_(self), language_(&language) {}

  std::uint32_t fresh() { return number(std::make_unique<Side>(model_->options, self_)); }
  const SideStep& step(std::uint32_t side, const SideEvent& event) {
    const std::uint64_t key = (std::uint64_t{side} << 38U) | event.pack();
    const auto found = steps_.find(key);
    if (found != steps_.end()) return found->second;
    SideStep computed = compute(*sides_[side], event);
    return steps_.emplace(key, std::move(computed)).first->second;
  }
  [[nodiscard]] const Side& at(std::uint32_t side) const { return *sides_[side]; }
  [[nodiscard]] std::size_t size() const { return sides_.size(); }
  [[nodiscard]] std::size_t steps() const { return steps_.size(); }
  void doubt_digests() { doubting_ = true; }

  [[nodiscard]] Numbered<Command>& commands() const;

 private:
  std::uint32_t number(std::unique_ptr<Side> side) {
    const auto [found, fresh] = by_digest_.emplace(side->digest(), static_cast<std::uint32_t>(sides_.size()));
    if (fresh) {
      sides_.push_back(std::move(side));
    } else if (doubting_) {
      compare(*sides_[found->second], *side);
    }
    return found->second;
  }

  SideStep compute(const Side& from, const SideEvent& event) {
    auto side = std::make_unique<Side>(from);
    if (event.kind == SideEvent::Kind::succeed) {
      side = std::make_unique<Side>(model_->options, self_);
      side->succeed(from);
    }
    SideStep step = act(*side, event);
    step.to = number(std::move(side));
    return step;
  }

  SideStep act(Side& side, const SideEvent& event) {
    using Kind = SideEvent::Kind;
    switch (event.kind) {
      case Kind::deliver: side.driver.receive(language_->messages.at(event.what)); break;
      case Kind::ask: {
        const Ask& ask = model_->asks[event.what / 8U];
        side.driver.request(ClientRequest{RequestId(event.what + 1U), self_, ask.body});
        break;
      }
      case Kind::tick:
        for (unsigned i = 0; i < ticks(side); ++i) side.driver.tick();
        break;
      case Kind::apply:
      case Kind::apply_quietly:
        side.apply(context(side, event), commands().at(event.what), event.kind == Kind::apply);
        break;
      case Kind::refuse:
        side.driver.refused(commands().at(event.what), Error{ErrorCode::busy, "the log takes no more", {}});
        break;
      case Kind::succeed: break;
      case Kind::lead: side.driver.lead(Epoch(event.epoch)); break;
    }
    return drain(side, event);
  }

  // An empty entry is committed at once: as long as all clocks show the same it changes nothing but when the next one
  // is due.
  SideStep drain(Side& side, const SideEvent& event) {
    SideStep step;
    for (;;) {
      auto output = side.driver.take_output();
      if (output.empty()) return step;
      for (const Envelope& envelope : output.send) step.sends.push_back(language_->messages.number(envelope));
      for (const Command& command : output.propose) {
        if (!event.leads) continue;
        if (std::holds_alternative<Tidy>(command) && !event.aged) {
          side.apply(context(side, event), command, true);
        } else {
          step.proposes.push_back(commands().number(command));
        }
      }
      for (ClientReply& reply : output.reply) step.replies.push_back(std::move(reply));
      for (const ReadId read : output.read) {
        if (event.leads) {
          side.driver.read_ready(read);
        } else {
          side.driver.read_lost(read);
        }
      }
    }
  }

  EntryContext context(const Side& side, const SideEvent& event) const {
    return EntryContext{Epoch(event.epoch), next_index(side), ClusterMillis(model_->millis(event.aged))};
  }
  // Two at a shard: who is in doubt there says its vote in one tick and asks in the next.
  static unsigned ticks(const ShardSide&) { return 2; }
  static unsigned ticks(const CoordinatorSide&) { return 1; }
  static Index next_index(const ShardSide& side) { return side.machine.applied().next(); }
  static Index next_index(const CoordinatorSide&) { return Index(1); }  // Decisions asks for none

  // Equal digests claim equal behaviour; here the claim is put to the test.
  void compare(const Side& one, const Side& other) {
    doubting_ = false;
    const auto alike = [&](const SideEvent& event) {
      Side a(one);
      Side b(other);
      const SideStep from_a = act(a, event);
      const SideStep from_b = act(b, event);
      ASSENT_CHECK(a.digest() == b.digest() && from_a.sends == from_b.sends && from_a.proposes == from_b.proposes &&
                       from_a.replies.size() == from_b.replies.size(),
                   "two sides with equal digests act alike; a member is missing in a driver's digest");
    };
    for (std::size_t i = 0; i < language_->messages.size(); ++i) {
      const auto what = static_cast<std::uint16_t>(i);
      if (language_->messages.at(what).to != self_) continue;
      alike(SideEvent{.kind = SideEvent::Kind::deliver, .what = what, .epoch = 1});
    }
    for (std::size_t i = 0; i < model_->asks.size(); ++i) {
      if (model_->asks[i].group != self_) continue;
      alike(SideEvent{.kind = SideEvent::Kind::ask, .what = static_cast<std::uint16_t>(i * 8U + 7U), .epoch = 1});
    }
    alike(SideEvent{.kind = SideEvent::Kind::tick, .epoch = 1});
    doubting_ = true;
  }

  const Model* model_;
  GroupId self_;
  Language* language_;
  std::vector<std::unique_ptr<Side>> sides_;
  std::unordered_map<std::uint64_t, std::uint32_t> by_digest_;
  std::unordered_map<std::uint64_t, SideStep> steps_;
  bool doubting_ = false;
};

template <>
inline Numbered<CoordinatorCommand>& SideTable<CoordinatorSide>::commands() const {
  return language_->coordinator_commands;
}
template <>
inline Numbered<ShardCommand>& SideTable<ShardSide>::commands() const {
  return language_->shard_commands;
}

}  // namespace assent::explore
