// Random histories of a correct database, and the same with one thing wrong in them. What the checkers say is compared
// with the search for an order, which knows no rules.
#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"
#include "check/judge.h"
#include "script.h"

namespace assent::check {
namespace {

struct Shape {
  bool lists = true;
  unsigned processes = 4;
  unsigned transactions = 20;
  unsigned keys = 3;
  unsigned ops_max = 3;
  double fail = 0.1;
  double info = 0.1;
};

// A database that runs each transaction at one instant between its beginning and its end.
class Database {
 public:
  Database(const Shape& shape, std::uint64_t seed) : shape_(shape), rng_(seed) {}

  std::vector<Event> run() {
    std::vector<Client> clients(shape_.processes);
    for (unsigned i = 0; i < clients.size(); ++i) clients[i].process = i;
    next_process_ = shape_.processes;
    unsigned begun = 0;
    while (begun < shape_.transactions ||
           std::any_of(clients.begin(), clients.end(), [](const Client& c) { return c.step != 0; })) {
      Client& client = clients[rng_.below(clients.size())];
      if (client.step == 0) {
        if (begun == shape_.transactions) continue;
        ++begun;
        begin(client);
      } else if (client.step == 1) {
        client.step = 2;
        client.lost = rng_.chance(shape_.info);
        client.failed = !client.lost && rng_.chance(shape_.fail);
        if (!client.failed && !(client.lost && rng_.chance(0.5))) execute(client.ops);
      } else {
        end(client);
      }
    }
    return std::move(events_);
  }

 private:
  struct Client {
    std::uint64_t process = 0;
    int step = 0;
    bool failed = false;
    bool lost = false;
    std::vector<Micro> ops;
    std::vector<Micro> asked;
  };

  void begin(Client& client) {
    client.ops.clear();
    for (std::uint64_t n = rng_.between(1, shape_.ops_max); n > 0; --n) {
      const std::string key(1, static_cast<char>('a' + rng_.below(shape_.keys)));
      if (rng_.chance(0.5)) {
        client.ops.push_back({OpKind::read, key, {}});
      } else {
        client.ops.push_back({shape_.lists ? OpKind::append : OpKind::write, key, Number{++last_value_}});
      }
    }
    client.asked = client.ops;
    client.step = 1;
    event(client, EventType::invoke, client.asked);
  }

  void execute(std::vector<Micro>& ops) {
    for (Micro& op : ops) {
      Value& cell = cells_[op.key];
      if (op.kind == OpKind::read) {
        op.value = cell;
      } else if (op.kind == OpKind::write) {
        cell = op.value;
      } else {
        if (!std::holds_alternative<List>(cell)) cell = List{};
        std::get<List>(cell).push_back(std::get<Number>(op.value));
      }
    }
  }

  void end(Client& client) {
    client.step = 0;
    if (client.failed) return event(client, EventType::fail, client.asked);
    if (!client.lost) return event(client, EventType::ok, client.ops);
    event(client, EventType::info, client.asked);
    client.process = next_process_++;
  }

  void event(const Client& client, EventType type, const std::vector<Micro>& ops) {
    events_.push_back({type, client.process, events_.size(), {}, ops});
  }

  const Shape shape_;
  Rng rng_;
  std::map<std::string, Value> cells_;
  std::vector<Event> events_;
  Number last_value_ = 0;
  std::uint64_t next_process_ = 0;
};

// One read that shows something else; false when there is none to change.
bool spoil(std::vector<Event>& events, Rng& rng) {
  std::vector<Micro*> reads;
  for (Event& event : events) {
    if (event.type != EventType::ok) continue;
    for (Micro& micro : event.value) {
      if (micro.kind == OpKind::read && !std::holds_alternative<std::monostate>(micro.value)) reads.push_back(&micro);
    }
  }
  if (reads.empty()) return false;
  Value& value = reads[rng.below(reads.size())]->value;
  if (auto* list = std::get_if<List>(&value)) {
    switch (rng.below(3)) {
      case 0: list->pop_back(); break;
      case 1: std::swap(list->front(), list->back()); break;
      default: value = {}; break;
    }
  } else {
    auto& number = std::get<Number>(value);
    if (rng.chance(0.3)) {
      value = {};
    } else {
      number = std::max<Number>(1, number - static_cast<Number>(rng.between(1, 4)));
    }
  }
  return true;
}

class Random : public testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] Shape shape() const {
    Shape shape;
    shape.lists = GetParam();
    return shape;
  }
};

TEST_P(Random, HistoriesOfACorrectDatabaseAreSound) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const History history = history_of(Database(shape(), seed).run());
    const Verdict verdict = judge(history);
    ASSERT_EQ(verdict.judgement(), Judgement::sound) << "seed " << seed << "\n" << to_text(verdict);
    ASSERT_EQ(search_order(history, {}).found, SearchResult::Found::order) << "seed " << seed;
  }
}

TEST_P(Random, LongHistoriesAreSoundToo) {
  Shape shape = this->shape();
  shape.processes = 16;
  shape.transactions = 4'000;
  shape.keys = 26;
  shape.ops_max = 8;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const Verdict verdict = judge(history_of(Database(shape, seed).run()));
    ASSERT_EQ(verdict.judgement(), Judgement::sound) << "seed " << seed << "\n" << to_text(verdict);
    EXPECT_LT(verdict.edges, 20U * 8U * shape.transactions);
  }
}

// The rules never say wrong where an order exists, and seldom miss that none does.
TEST_P(Random, SpoiledHistoriesAreJudgedAsTheSearchJudgesThem) {
  Rng rng(42);
  int wrong = 0;
  int missed = 0;
  for (std::uint64_t seed = 1; seed <= 1'500; ++seed) {
    std::vector<Event> events = Database(shape(), seed).run();
    if (!spoil(events, rng)) continue;
    const History history = history_of(events);
    const SearchResult search = search_order(history, {});
    ASSERT_NE(search.found, SearchResult::Found::gave_up);
    const Verdict verdict = judge(history);
    if (search.found == SearchResult::Found::order) {
      ASSERT_EQ(verdict.judgement(), Judgement::sound) << "seed " << seed << "\n" << to_text(verdict);
      continue;
    }
    ++wrong;
    if (verdict.judgement() == Judgement::sound) ++missed;
  }
  EXPECT_GT(wrong, 700);
  EXPECT_LE(missed, GetParam() ? 0 : wrong / 50);
}

INSTANTIATE_TEST_SUITE_P(Histories, Random, testing::Bool(),
                         [](const auto& suite) { return suite.param ? "Lists" : "Registers"; });

}  // namespace
}  // namespace assent::check
