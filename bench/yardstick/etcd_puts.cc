// A yardstick, not part of the product: closed-loop clients that put 100 bytes under random keys into etcd, at its
// leader. All of them live on gRPC's callback threads, over up to sixteen connections, as assentctl's live on its
// client's.
//
//   etcd_puts ENDPOINT,ENDPOINT,... CLIENTS SECONDS KEYS
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "yardstick/etcd.grpc.pb.h"

namespace {

using Clock = std::chrono::steady_clock;
namespace etcd = ::etcdserverpb;

constexpr std::size_t value_bytes = 100;
constexpr int connections_max = 16;

std::shared_ptr<grpc::Channel> connect(const std::string& endpoint, int number) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("yardstick.connection", number);  // or channels with equal arguments share one connection
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
}

std::string find_leader(const std::string& endpoints) {
  std::istringstream list(endpoints);
  for (std::string endpoint; std::getline(list, endpoint, ',');) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    etcd::StatusResponse status;
    const auto maintenance = etcd::Maintenance::NewStub(connect(endpoint, 0));
    if (!maintenance->Status(&context, {}, &status).ok()) continue;
    if (status.leader() != 0 && status.leader() == status.header().member_id()) return endpoint;
  }
  std::fprintf(stderr, "none of %s says that it leads\n", endpoints.c_str());
  std::exit(1);
}

struct Clients;

struct Putter {
  Clients* all = nullptr;
  etcd::KV::Stub* stub = nullptr;
  std::mt19937 random;
  std::unique_ptr<grpc::ClientContext> context;
  etcd::PutRequest request;
  etcd::PutResponse response;
  Clock::time_point began;
  std::vector<double> millis;

  void next();
};

struct Clients {
  Clock::time_point end;
  unsigned keys = 1;
  std::mutex mutex;
  std::condition_variable idle;
  std::size_t running = 0;
  std::atomic<std::uint64_t> failed{0};
};

void Putter::next() {
  began = Clock::now();
  if (began >= all->end) {
    const std::lock_guard lock(all->mutex);
    if (--all->running == 0) all->idle.notify_all();
    return;
  }
  context = std::make_unique<grpc::ClientContext>();
  request.set_key("key/" + std::to_string(random() % all->keys));
  stub->async()->Put(context.get(), &request, &response, [this](const grpc::Status& status) {
    if (status.ok()) {
      millis.push_back(std::chrono::duration<double, std::milli>(Clock::now() - began).count());
    } else {
      all->failed += 1;
    }
    next();
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const int clients = std::atoi(argv[2]);
  const auto duration = std::chrono::seconds(std::atoi(argv[3]));
  const std::string leader = find_leader(argv[1]);
  std::vector<std::unique_ptr<etcd::KV::Stub>> stubs;
  for (int i = 0; i < std::min(clients, connections_max); ++i) stubs.push_back(etcd::KV::NewStub(connect(leader, i)));
  Clients all;
  all.keys = static_cast<unsigned>(std::atoi(argv[4]));
  all.running = static_cast<std::size_t>(clients);
  std::vector<std::unique_ptr<Putter>> putters;
  for (int i = 0; i < clients; ++i) {
    auto putter = std::make_unique<Putter>();
    putter->all = &all;
    putter->stub = stubs[static_cast<std::size_t>(i) % stubs.size()].get();
    putter->random.seed(static_cast<unsigned>(i));
    putter->request.set_value(std::string(value_bytes, 'v'));
    putters.push_back(std::move(putter));
  }
  const auto start = Clock::now();
  all.end = start + duration;
  for (const auto& putter : putters) putter->next();
  std::unique_lock lock(all.mutex);
  all.idle.wait(lock, [&] { return all.running == 0; });
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  std::vector<double> millis;
  for (const auto& putter : putters) millis.insert(millis.end(), putter->millis.begin(), putter->millis.end());
  std::sort(millis.begin(), millis.end());
  if (millis.empty() || all.failed != 0) {
    std::fprintf(stderr, "%zu puts, %llu failed\n", millis.size(), static_cast<unsigned long long>(all.failed));
    return 1;
  }
  std::printf("clients %d  puts/s %.1f  p50 %.3f ms  p99 %.3f ms\n", clients,
              static_cast<double>(millis.size()) / seconds, millis[millis.size() / 2],
              millis[millis.size() * 99 / 100]);
}
