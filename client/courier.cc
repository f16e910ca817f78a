#include "client/courier.h"

#include <algorithm>
#include <random>

#include "client/convert.h"

namespace assent::client {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// However many operations look for a leader, the nodes are asked no more often than this.
constexpr milliseconds refresh_spacing{20};
// A node that failed is asked again, but nobody waits long for it: the others know who leads now.
constexpr milliseconds doubtful_timeout{250};

SteadyTime steady_now() { return std::chrono::steady_clock::now(); }

microseconds until(SteadyTime deadline) {
  return std::max(microseconds(0), std::chrono::duration_cast<microseconds>(deadline - steady_now()));
}

std::uint64_t random_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32U) | device();
}

Error cancelled() { return Error{ErrorCode::cancelled, "the client is shutting down", {}, {}}; }

}  // namespace

Courier::Courier(Options options) : options_(std::move(options)), directory_(options_.endpoints), rng_(random_seed()) {}

std::shared_ptr<Peer> Courier::peer(const std::string& endpoint) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Peer>& peer = peers_[endpoint];
  if (peer == nullptr) peer = std::make_shared<Peer>(endpoint);
  return peer;
}

std::uint64_t Courier::seed() {
  const std::lock_guard lock(mutex_);
  return rng_.next();
}

Task<Result<Target>> Courier::find_leader(std::string group, SteadyTime deadline) {
  std::optional<Target> known = directory_.leader(group);
  if (known) co_return *known;
  Backoff backoff(options_.discovery, seed());
  for (;;) {
    co_await refresh(deadline);
    if (runtime_.closing()) co_return tl::unexpected(cancelled());
    known = directory_.leader(group);
    if (known) co_return *known;
    if (directory_.lacks(group) || until(deadline).count() == 0) co_return tl::unexpected(directory_.nobody(group));
    co_await runtime_.sleep(std::min(backoff.next(), until(deadline)));
  }
}

Task<Result<std::string>> Courier::find_coordinator(TxnId txn, SteadyTime deadline) {
  Backoff backoff(options_.discovery, seed());
  for (;;) {
    std::string name = directory_.coordinator_of(txn);
    if (!name.empty()) co_return name;
    co_await refresh(deadline);
    name = directory_.coordinator_of(txn);
    if (!name.empty()) co_return name;
    if (runtime_.closing()) co_return tl::unexpected(cancelled());
    if (directory_.lacks("") || until(deadline).count() == 0) co_return tl::unexpected(directory_.nobody(""));
    co_await runtime_.sleep(std::min(backoff.next(), until(deadline)));
  }
}

bool Courier::note(const Target& target, const ServiceError& error) {
  directory_.heard_map_epoch(error.map_epoch);
  switch (error.verdict) {
    case Verdict::elsewhere:
      if (error.stale_map()) return true;  // it answers, and it leads, for all that is known
      return directory_.not_leading(target, error.hint);
    case Verdict::unsent: directory_.failed(target.endpoint, error.message); return false;
    case Verdict::lost:
      // A node that says that it does not know the outcome is a node that answers.
      if (error.reason.empty()) directory_.failed(target.endpoint, error.message);
      return false;
    default: return false;
  }
}

// ---- surveys
// ---------------------------------------------------------------------------------------------------------

std::shared_ptr<Courier::Survey> Courier::join_refresh(SteadyTime deadline, bool& mine, microseconds& pause) {
  const std::lock_guard lock(mutex_);
  mine = refreshing_ == nullptr;
  if (!mine) return refreshing_;
  const SteadyTime now = steady_now();
  pause = std::chrono::duration_cast<microseconds>(refreshed_ + refresh_spacing - now);
  refreshing_ = std::make_shared<Survey>();
  refreshing_->until_led = true;
  // Others wait for this survey, too, and a node is not failing because the time of the first of them is nearly up.
  refreshing_->deadline =
      std::clamp(deadline, now + doubtful_timeout, now + std::max(options_.status_timeout, doubtful_timeout));
  return refreshing_;
}

Task<bool> Courier::refresh(SteadyTime deadline) {
  bool mine = false;
  microseconds pause{0};
  const std::shared_ptr<Survey> survey = join_refresh(deadline, mine, pause);
  if (mine) {
    co_await runtime_.sleep(pause);
    conduct(survey);
  }
  co_await survey->done.wait();
  if (mine) {
    const std::lock_guard lock(mutex_);
    refreshing_.reset();
    refreshed_ = steady_now();
  }
  co_return true;
}

void Courier::conduct(const std::shared_ptr<Survey>& survey) {
  const std::vector<std::string> endpoints = directory_.endpoints();
  {
    const std::lock_guard lock(survey->mutex);
    survey->outstanding = endpoints.size();
    survey->asked.insert(endpoints.begin(), endpoints.end());
  }
  for (const std::string& endpoint : endpoints) ask(survey, endpoint);
}

Detached Courier::ask(std::shared_ptr<Survey> survey, std::string endpoint) {
  runtime_.enter();
  v1::StatusRequest request;
  request.set_digests(survey->digests);
  SteadyTime deadline = survey->deadline;
  if (survey->until_led && directory_.failing(endpoint)) deadline = std::min(deadline, steady_now() + doubtful_timeout);
  Rpc<v1::Cluster::Stub, v1::StatusRequest, v1::StatusResponse> rpc(runtime_, peer(endpoint),
                                                                    &v1::Cluster::Stub::AsyncStatus, request, deadline);
  const Reply<v1::StatusResponse> reply = co_await rpc;
  NodeAnswer answer{endpoint, {}, std::nullopt, {}};
  if (reply.status.ok()) {
    answer.status = decode(reply.response);
    directory_.answered(endpoint, *answer.status);
  } else {
    answer.trouble = judge(reply.status).message;
    directory_.failed(endpoint, answer.trouble);
  }
  answer.name = directory_.name_of(endpoint);

  std::vector<std::string> more = directory_.endpoints();
  bool done = false;
  {
    const std::lock_guard lock(survey->mutex);
    std::erase_if(more, [&](const std::string& known) { return !survey->asked.insert(known).second; });
    survey->outstanding += more.size();
    survey->outstanding -= 1;
    survey->answers.push_back(std::move(answer));
    done = survey->outstanding == 0 || (survey->until_led && directory_.all_led());
  }
  for (const std::string& endpoint_of_more : more) ask(survey, endpoint_of_more);
  if (done) survey->done.set();
  runtime_.leave();
}

Task<std::vector<NodeAnswer>> Courier::ask_all_nodes(bool digests, SteadyTime deadline) {
  const auto survey = std::make_shared<Survey>();
  survey->digests = digests;
  survey->deadline = std::min(deadline, steady_now() + (digests ? 10 : 1) * options_.status_timeout);
  conduct(survey);
  co_await survey->done.wait();
  std::vector<NodeAnswer> answers;
  {
    const std::lock_guard lock(survey->mutex);
    answers.swap(survey->answers);
  }
  co_return answers;
}

}  // namespace assent::client
