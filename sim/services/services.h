// All services of a world, and the nodes' way to them: what server/service_gateway is in life. A call leaves a node's
// loop (Loop::take_calls), reaches its service late, twice or never, and what the service answers becomes the event
// ServiceAnswered, unless the call's time is over or the node has died since.
//
// It repeats nothing and decides nothing. Of equal calls of a node's life one is under way at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "node/loop.h"
#include "sim/services/service_checker.h"
#include "sim/services/service_site.h"

namespace assent::sim {

// A node that calls, in one of its lives.
struct ServiceCaller {
  NodeId node;
  std::uint64_t life = 0;
  std::function<void(ServiceAnswered)> heard;  // nothing happens when that life is over
};

class Services final : private SiteSurroundings {
 public:
  // script: none: what breaks is drawn.
  Services(const Swarm& swarm, const Rng& rng, Schedule& schedule, Recorder& recorder, TxnChecker& txns,
           const GroupConfig& coordinator, const ServiceSite::MakeClient& make_client, ServiceScript* script = nullptr);

  void start();
  void begin();
  void heal();
  void invoked(const Execute& execute) { checker_.invoked(execute); }
  void call(const ServiceCaller& from, const ServiceCall& call);

  // What is not at rest; empty when everything is.
  [[nodiscard]] std::string unrest() const;
  void judge_settled() { checker_.judge_settled(); }

 private:
  using Key = std::tuple<NodeId, std::uint64_t, TxnId, GroupId, std::size_t, Attempt>;  // node, life, call
  struct UnderWay {
    Key key;
    std::uint64_t serial = 0;
    ServiceCaller from;
    ServiceCall call;
  };

  void committed(const std::string& site, const Change& change) override { checker_.committed(site, change); }
  void prepared(const std::string& site, const std::string& name, const Change& change) override {
    checker_.prepared(site, name, change);
  }
  void rolled_back(const std::string& site, const std::string& name) override { checker_.rolled_back(site, name); }

  void send(const std::shared_ptr<const UnderWay>& one);
  void arrive(const std::shared_ptr<const UnderWay>& one, ServiceSite& site);
  void reply(const std::shared_ptr<const UnderWay>& one, const service::Answer& answer);
  void answer(const UnderWay& one, TxnMessage message);
  [[nodiscard]] Way way_of_call(const ServiceCall& call);
  [[nodiscard]] Way way_of_reply(const ServiceCall& call);
  void judge(const ServiceCall& call, const service::Answer& answer);
  [[nodiscard]] Micros time_of(Way way);
  void plan_death();

  const Swarm& swarm_;
  Rng rng_;
  Schedule& schedule_;
  Recorder& recorder_;
  const std::string coordinator_name_;
  ServiceScript* const script_;
  ServiceChecker checker_;
  std::map<std::string, std::unique_ptr<ServiceSite>> sites_;  // by target
  std::map<Key, std::uint64_t> under_way_;
  std::uint64_t last_serial_ = 0;
  bool breaks_ = false;
};

// What a service's answer means for the coordinator that had it called: a Vote, a Finished, or Trouble.
[[nodiscard]] TxnMessage message_of(const ServiceCall& call, const service::Answer& answer);

}  // namespace assent::sim
