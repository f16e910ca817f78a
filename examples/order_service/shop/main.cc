// The shop: customers who place orders for as long as they are told to. Each order is one transaction over three
// services, which write it down, take the money and take the goods, or nothing of it happens.
//
//   shop --order 127.0.0.1:7001 --payment 127.0.0.1:7002 --inventory 127.0.0.1:7003 --seconds 20
//
// Prints what was placed as JSON, to be held against the three services' own books. Whatever dies meanwhile, it knows
// the outcome of each order at the end, or says of which it does not and ends with 1.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <vector>

#include "client/client.h"

namespace {

using namespace std::chrono_literals;
using assent::TxnId;
using assent::client::Client;
using assent::client::Transaction;
using assent::client::TxnOutcome;
using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

struct Flags {
  std::string endpoints = "127.0.0.1:7420";
  std::string order;
  std::string payment;
  std::string inventory;
  int customers = 4;
  int seconds = 20;
};

constexpr auto time_to_learn = 60s;  // what came of an order whose answer was lost

struct Tally {
  std::int64_t placed = 0;
  std::int64_t quantity = 0;
  std::int64_t amount = 0;
  std::int64_t asked = 0;                       // their outcome was learned by asking
  std::map<std::string, std::int64_t> aborted;  // by reason and words
  std::int64_t not_begun = 0;
  std::vector<std::string> unknown;
};

struct Order {
  std::string id;
  std::string customer;
  std::string product;
  int quantity = 0;
  int amount = 0;

  // What each service is to do.
  [[nodiscard]] std::string entry() const {
    return Json{{"order", id}, {"customer", customer}, {"product", product}, {"quantity", quantity}, {"amount", amount}}
        .dump();
  }
  [[nodiscard]] std::string payment() const {
    return Json{{"order", id}, {"customer", customer}, {"cents", amount}}.dump();
  }
  [[nodiscard]] std::string goods() const {
    return Json{{"order", id}, {"product", product}, {"quantity", quantity}}.dump();
  }
};

class Customer {
 public:
  Customer(const Flags& flags, Client& cluster, int number)
      : flags_(flags), cluster_(cluster), random_(static_cast<unsigned>(number) + 1) {}

  // Places orders until the time is over; then knows what came of each.
  void shop(Clock::time_point end) {
    while (Clock::now() < end) {
      const Order order = draw();
      const auto outcome = cluster_.execute(transaction_of(order));
      if (!outcome) {
        ++tally_.not_begun;
        std::this_thread::sleep_for(50ms);  // nobody there to ask: not a condition, but no reason to be busy
        continue;
      }
      count(order, outcome->definite() ? *outcome : learn(*outcome));
    }
  }
  [[nodiscard]] const Tally& tally() const { return tally_; }

 private:
  int below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }

  Order draw() {
    constexpr int products = 5;
    Order order;
    order.id = assent::client::new_txn_id().to_hex();
    order.customer = "customer-" + std::to_string(1 + below(100));
    const int product = below(products);
    order.product = "product-" + std::to_string(product);
    order.quantity = 1 + below(3);
    order.amount = order.quantity * 100 * (product + 1);
    return order;
  }

  [[nodiscard]] Transaction transaction_of(const Order& order) const {
    Transaction transaction;
    transaction.timeout = 5s;
    transaction.call({"order", flags_.order, order.entry(), "order"})
        .call({"payment", flags_.payment, order.payment(), "payment"})
        .call({"inventory", flags_.inventory, order.goods(), "inventory"});
    return transaction;
  }

  // Asks until it is told. With seal: what nobody decided will then never be.
  TxnOutcome learn(TxnOutcome outcome) {
    ++tally_.asked;
    const auto end = Clock::now() + time_to_learn;
    while (!outcome.definite() && Clock::now() < end) {
      const auto told = cluster_.get_outcome({.id = outcome.id, .seal = true, .wait = 1s, .group = outcome.ask}, 3s);
      if (told) {
        outcome = *told;
      } else {
        std::this_thread::sleep_for(100ms);  // between two questions
      }
    }
    return outcome;
  }

  void count(const Order& order, const TxnOutcome& outcome) {
    if (outcome.committed()) {
      ++tally_.placed;
      tally_.quantity += order.quantity;
      tally_.amount += order.amount;
    } else if (outcome.aborted()) {
      std::string why(to_string(outcome.abort.reason));
      if (!outcome.abort.participant.empty()) why += " by " + outcome.abort.participant + ": " + outcome.abort.message;
      ++tally_.aborted[why];
    } else {
      tally_.unknown.push_back(outcome.id.to_hex());
    }
  }

  const Flags& flags_;
  Client& cluster_;
  std::mt19937 random_;
  Tally tally_;
};

Json report(const std::vector<Customer>& customers) {
  Tally all;
  for (const Customer& customer : customers) {
    const Tally& one = customer.tally();
    all.placed += one.placed;
    all.quantity += one.quantity;
    all.amount += one.amount;
    all.asked += one.asked;
    all.not_begun += one.not_begun;
    for (const auto& [reason, times] : one.aborted) all.aborted[reason] += times;
    all.unknown.insert(all.unknown.end(), one.unknown.begin(), one.unknown.end());
  }
  return {{"placed", all.placed},   {"quantity", all.quantity}, {"amount", all.amount},     {"askedFor", all.asked},
          {"aborted", all.aborted}, {"unknown", all.unknown},   {"notBegun", all.not_begun}};
}

int run(const Flags& flags) {
  const auto endpoints = assent::client::parse_endpoints(flags.endpoints);
  if (!endpoints) {
    std::fprintf(stderr, "shop: --endpoints: %s\n", endpoints.error().text().c_str());
    return 2;
  }
  assent::client::Options options;
  options.endpoints = *endpoints;
  auto cluster = Client::connect(options);
  if (!cluster) {
    std::fprintf(stderr, "shop: %s\n", cluster.error().text().c_str());
    return 1;
  }
  std::vector<Customer> customers;
  for (int i = 0; i < flags.customers; ++i) customers.emplace_back(flags, *cluster, i);
  const auto end = Clock::now() + std::chrono::seconds(flags.seconds);
  std::vector<std::thread> threads;
  threads.reserve(customers.size());
  for (Customer& customer : customers) threads.emplace_back([&customer, end] { customer.shop(end); });
  for (std::thread& thread : threads) thread.join();
  const Json told = report(customers);
  std::printf("%s\n", told.dump().c_str());
  return told["unknown"].empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Customers of the example shop");
  app.add_option("--endpoints", flags.endpoints, "The cluster")->envname("ASSENT_ENDPOINTS")->type_name("LIST");
  app.add_option("--order", flags.order, "The order service")->required()->type_name("HOST:PORT");
  app.add_option("--payment", flags.payment, "The payment service")->required()->type_name("HOST:PORT");
  app.add_option("--inventory", flags.inventory, "The inventory service")->required()->type_name("HOST:PORT");
  app.add_option("--customers", flags.customers, "How many buy at a time")->check(CLI::Range(1, 256));
  app.add_option("--seconds", flags.seconds, "For how long")->check(CLI::Range(1, 86'400));
  CLI11_PARSE(app, argc, argv);
  return run(flags);
}
