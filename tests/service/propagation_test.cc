// Transactions that travel with ordinary calls: encoding on bytes from strangers, and real calls, one inside the other.
#include "service/propagation.h"

#include <gtest/gtest.h>

#include "assent/v1/participant.grpc.pb.h"
#include "base/rng.h"
#include "tests/service/served.h"

namespace assent::service::testing {
namespace {

const TxnId some_txn = TxnId::make(ClusterMillis(1'800'000'000'000), 1, 2);

Enlistment some_enlistment() { return {"1/ledger", "ledger", "127.0.0.1:7000", Bytes("pay\0load\xff", 9)}; }

TEST(EnlistmentBytes, AreReadBackAsTheyWereWritten) {
  const auto bytes = encode(some_enlistment());
  ASSERT_TRUE(bytes);
  EXPECT_EQ(decode(*bytes), some_enlistment());
}

TEST(EnlistmentBytes, BreakingALimitIsAnErrorBothWays) {
  const auto bad = [](auto change) {
    Enlistment one = some_enlistment();
    change(one);
    return one;
  };
  for (const Enlistment& one :
       {bad([](auto& e) { e.branch = ""; }), bad([](auto& e) { e.branch = std::string(201, 'b'); }),
        bad([](auto& e) { e.participant = "a\nb"; }), bad([](auto& e) { e.participant = ""; }),
        bad([](auto& e) { e.address = "nowhere"; }), bad([](auto& e) { e.address = ":1"; }),
        bad([](auto& e) { e.address = "host:"; }), bad([](auto& e) { e.payload = Bytes(4'097, 'x'); })}) {
    EXPECT_FALSE(encode(one));
    v1::Enlistment message;
    message.set_branch(one.branch);
    message.set_participant(one.participant);
    message.set_address(one.address);
    message.set_payload(one.payload);
    EXPECT_FALSE(decode(message.SerializeAsString()));
  }
}

TEST(EnlistmentBytes, OfStrangersAreAValueOrAnError) {
  Rng rng(5);
  const Bytes whole = *encode(some_enlistment());
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes = whole.substr(0, rng.below(whole.size() + 1));
    for (std::uint64_t changes = rng.below(4); changes > 0 && !bytes.empty(); --changes) {
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
    }
    const auto one = decode(bytes);
    if (!one) continue;
    ASSERT_EQ(decode(*encode(*one)), *one);
  }
}

TEST(CallerMetadata, IsReadOrRefusedWhole) {
  const std::string id = some_txn.to_hex();
  EXPECT_EQ(read_caller({}).value(), std::nullopt);
  EXPECT_EQ(read_caller({{"traceparent", "x"}}).value(), std::nullopt);
  const CallerTransaction wanted{some_txn, "1", "c0"};
  EXPECT_EQ(read_caller({{txid_key, id}, {branch_key, "1"}, {coordinator_key, "c0"}}).value(), wanted);
  EXPECT_EQ(read_caller({{txid_key, id}, {txid_key, id}, {branch_key, "1"}, {coordinator_key, "c0"}}).value(), wanted)
      << "a proxy that doubles it";
  EXPECT_EQ(read_caller({{txid_key, id}, {branch_key, "1"}}).value()->coordinator, "");
  EXPECT_FALSE(read_caller({{txid_key, id}}));
  EXPECT_FALSE(read_caller({{branch_key, "1"}}));
  EXPECT_FALSE(read_caller({{txid_key, "what"}, {branch_key, "1"}}));
  EXPECT_FALSE(read_caller({{txid_key, std::string(32, '0')}, {branch_key, "1"}}));
  EXPECT_FALSE(read_caller({{txid_key, id}, {branch_key, ""}}));
  EXPECT_FALSE(read_caller({{txid_key, id}, {branch_key, "1"}, {branch_key, "2"}}));
  EXPECT_FALSE(read_caller({{txid_key, id}, {txid_key, std::string(32, 'a')}, {branch_key, "1"}}));
}

// Any service will do for an ordinary call; its Status method hands over to the test.
class Ordinary final : public v1::Participant::Service {
 public:
  std::function<void(grpc::ServerContext&)> on_call;
  grpc::Status Status(grpc::ServerContext* context, const v1::BranchStatusRequest*,
                      v1::BranchStatusResponse*) override {
    on_call(*context);
    return grpc::Status::OK;
  }
};

grpc::Status call(const Served& server, grpc::ClientContext& context) {
  v1::BranchStatusResponse response;
  return v1::Participant::NewStub(server.channel())->Status(&context, {}, &response);
}

TEST(Propagation, EnlistmentsOfNestedCallsComeBackToWhoBegan) {
  Ordinary inner;
  Ordinary outer;
  const Served inner_server(inner);
  const Served outer_server(outer);
  inner.on_call = [](grpc::ServerContext& context) {
    IncomingTransaction tx(context);
    EXPECT_EQ(
        tx.enlist({.participant = "stock", .address = "inner:1", .payload = "one apple"}).value_or("?").substr(0, 4),
        "1.1/");
  };
  std::vector<std::string> warnings;
  outer.on_call = [&](grpc::ServerContext& context) {
    EXPECT_EQ(context.client_metadata().count("traceparent"), 1U) << "appended, never replaced";
    IncomingTransaction tx(context, [&](const std::string& said) { warnings.push_back(said); });
    ASSERT_TRUE(tx.caller());
    EXPECT_EQ(tx.caller()->txn, some_txn);
    EXPECT_EQ(tx.caller()->coordinator, "c0");
    grpc::ClientContext onward;
    tx.attach(onward);
    EXPECT_TRUE(call(inner_server, onward).ok());
    EXPECT_EQ(tx.collect(onward).value_or(0), 1U);
    EXPECT_TRUE(tx.enlist({.participant = "orders", .address = "outer:1", .payload = "order"}));
    EXPECT_TRUE(tx.enlist({.participant = "orders", .address = "outer:1", .payload = "order"})) << "twice is once";
    EXPECT_FALSE(tx.enlist({.participant = "orders", .address = "outer:1", .payload = "another"}));
  };
  OutgoingTransaction tx(some_txn, "c0");
  for (int i = 0; i < 2; ++i) {
    inner.on_call = i == 0 ? inner.on_call : [](grpc::ServerContext& context) {
      IncomingTransaction inner_tx(context);
      EXPECT_TRUE(inner_tx.enlist({.participant = "stock", .address = "inner:1", .payload = "two"}));
    };
    grpc::ClientContext context;
    context.AddMetadata("traceparent", "00-abc");
    tx.attach(context);
    EXPECT_TRUE(call(outer_server, context).ok());
    EXPECT_EQ(tx.collect(context).value_or(0), 2U);
  }
  ASSERT_EQ(tx.enlistments().size(), 4U);
  EXPECT_EQ(tx.enlistments()[0].branch, "1.1/stock");
  EXPECT_EQ(tx.enlistments()[0].payload, "one apple");
  EXPECT_EQ(tx.enlistments()[1].branch, "1/orders");
  EXPECT_EQ(tx.enlistments()[2].branch, "2.1/stock") << "each call has names of its own";
  EXPECT_TRUE(warnings.empty());
}

TEST(Propagation, AHandlerThatEnlistsNobodyIsWarnedAbout) {
  Ordinary ordinary;
  const Served server(ordinary);
  std::vector<std::string> warnings;
  ordinary.on_call = [&](grpc::ServerContext& context) {
    const IncomingTransaction tx(context, [&](const std::string& said) { warnings.push_back(said); });
  };
  grpc::ClientContext without;
  EXPECT_TRUE(call(server, without).ok());
  EXPECT_TRUE(warnings.empty());
  OutgoingTransaction tx(some_txn, "c0");
  grpc::ClientContext with;
  tx.attach(with);
  EXPECT_TRUE(call(server, with).ok());
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find(some_txn.to_hex()), std::string::npos);
  grpc::ClientContext broken;
  broken.AddMetadata(txid_key, "what");
  EXPECT_TRUE(call(server, broken).ok());
  EXPECT_EQ(warnings.size(), 2U);
}

TEST(Propagation, WhatMetadataCannotCarryIsRefusedWhereItIsEnlisted) {
  Ordinary ordinary;
  const Served server(ordinary);
  ordinary.on_call = [&](grpc::ServerContext& context) {
    IncomingTransaction tx(context);
    EXPECT_FALSE(tx.enlist({.participant = "p", .address = "a:1", .payload = Bytes(4'097, 'x')}));
    EXPECT_TRUE(tx.enlist({.participant = "p", .address = "a:1", .payload = Bytes(4'096, 'x')}));
    EXPECT_FALSE(tx.enlist({.participant = "q", .address = "a:1", .payload = Bytes(4'096, 'x')}));
    EXPECT_TRUE(tx.enlist({.participant = "q", .address = "a:1", .payload = Bytes(1'000, 'x')}));
  };
  OutgoingTransaction tx(some_txn, "c0");
  grpc::ClientContext context;
  tx.attach(context);
  EXPECT_TRUE(call(server, context).ok());
  EXPECT_EQ(tx.collect(context).value_or(0), 2U) << "and the answer arrives";
}

TEST(Propagation, WithoutATransactionNothingIsAttachedOrEnlisted) {
  Ordinary ordinary;
  const Served server(ordinary);
  ordinary.on_call = [&](grpc::ServerContext& context) {
    IncomingTransaction tx(context);
    EXPECT_FALSE(tx.caller());
    EXPECT_FALSE(tx.enlist({.participant = "p", .address = "a:1"}));
    grpc::ClientContext onward;
    tx.attach(onward);
  };
  grpc::ClientContext context;
  EXPECT_TRUE(call(server, context).ok());
}

}  // namespace
}  // namespace assent::service::testing
