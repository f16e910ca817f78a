#include "sim/workloads/sql_workload.h"

#include <fmt/format.h>

#include <algorithm>

namespace assent::sim {
namespace {

std::vector<std::string> texts_of(const Work& work) {
  std::vector<std::string> out;
  for (const Operation& operation : work) out.push_back(std::get<SqlStatement>(operation).text);
  return out;
}

std::string text_of(const SqlValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* real = std::get_if<double>(&value)) return fmt::format("{}", *real);
  if (const auto* text = std::get_if<std::string>(&value)) return fmt::format("'{}'", *text);
  if (const auto* blob = std::get_if<SqlBlob>(&value)) return fmt::format("a blob of {} bytes", blob->bytes.size());
  return "null";
}

std::string text_of(const PlainSqlite::Rows& rows) {
  std::string out;
  for (const auto& row : rows) {
    out += out.empty() ? "(" : " (";
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) out += ", ";
      out += text_of(row[i]);
    }
    out += ")";
  }
  return out.empty() ? "no rows" : out;
}

std::string pick(Rng& rng, std::vector<std::string> all) { return std::move(all[rng.below(all.size())]); }

// Goods and orders: a foreign key that cascades, a check, a unique index, a trigger.
std::string on_goods(unsigned o, Rng& rng) {
  const auto id = [&] { return rng.below(8); };
  const auto name = [&] { return fmt::format("'n{}'", rng.below(10)); };
  const auto small = [&] { return static_cast<std::int64_t>(rng.below(12)) - 4; };
  return pick(
      rng,
      {fmt::format("INSERT INTO goods VALUES({}, {}, {}, {}.5, {})", o, id(), name(), rng.below(50), rng.below(20)),
       fmt::format("INSERT INTO goods VALUES({}, {}, {}, NULL, {})", o, id(), name(), rng.below(20)),
       fmt::format("INSERT OR REPLACE INTO goods VALUES({}, {}, {}, 1.0, 9)", o, id(), name()),
       fmt::format("UPDATE goods SET stock = stock + {} WHERE owner = {} AND id = {}", small(), o, id()),
       fmt::format("UPDATE goods SET stock = stock + 1 WHERE owner = {} AND id = {} RETURNING id, stock", o, id()),
       fmt::format("UPDATE goods SET price = price * 1.5 WHERE owner = {} AND stock > {}", o, rng.below(15)),
       fmt::format("UPDATE goods SET name = {} WHERE owner = {} AND id = {}", name(), o, id()),
       fmt::format("DELETE FROM goods WHERE owner = {} AND id = {}", o, id()),
       fmt::format("INSERT INTO orders VALUES({}, {}, {}, {}, 'x')", o, id(), id(), rng.below(5)),
       fmt::format(
           "INSERT INTO orders VALUES({}, {}, {}, 1, {}) ON CONFLICT(owner, id) DO UPDATE SET amount = amount + 1, "
           "note = excluded.note",
           o, id(), id(), name()),
       fmt::format("UPDATE orders SET amount = amount - 1 WHERE owner = {} AND id = {}", o, id()),
       fmt::format("DELETE FROM orders WHERE owner = {} AND amount > {}", o, rng.below(4)),
       fmt::format("SELECT * FROM goods WHERE owner = {} ORDER BY id", o),
       fmt::format("SELECT * FROM orders WHERE owner = {} AND id = {}", o, id()),
       fmt::format(
           "SELECT g.name, count(*), sum(r.amount) FROM goods g JOIN orders r ON r.owner = g.owner AND r.good = "
           "g.id WHERE g.owner = {} GROUP BY g.id ORDER BY g.id",
           o)});
}

// Notes: keys that ignore case, values of every type, a partial unique index.
std::string on_notes(unsigned o, Rng& rng) {
  const auto key = [&] { return pick(rng, {"'ann'", "'Ann'", "'bob'", "'BOB'", "'c''c'", "''", "'dora'"}); };
  const auto body = [&] { return pick(rng, {"NULL", "x'00ff'", "'text'", "1.5", "7", "'7'"}); };
  const auto rank = [&] { return rng.below(12); };
  return pick(rng, {fmt::format("INSERT INTO notes VALUES({}, {}, {}, {})", o, key(), body(), rank()),
                    fmt::format("INSERT OR IGNORE INTO notes VALUES({}, {}, {}, {})", o, key(), body(), rank()),
                    fmt::format("UPDATE notes SET rank = rank + 1 WHERE owner = {} AND k = {}", o, key()),
                    fmt::format("UPDATE OR REPLACE notes SET rank = {} WHERE owner = {} AND k = {}", rank(), o, key()),
                    fmt::format("UPDATE notes SET body = body || '+' WHERE owner = {} AND rank < {}", o, rank()),
                    fmt::format("DELETE FROM notes WHERE owner = {} AND k = {}", o, key()),
                    fmt::format("SELECT k, typeof(body), rank FROM notes WHERE owner = {} ORDER BY k", o),
                    fmt::format("SELECT body FROM notes WHERE owner = {} AND k = {}", o, key()),
                    fmt::format("SELECT count(*), max(rank) FROM notes WHERE owner = {}", o)});
}

}  // namespace

SqlWorkload::SqlWorkload(const Scene& scene) : scene_(scene), of_client_(scene.swarm.clients, nullptr) {}

std::size_t SqlWorkload::place_of(GroupId shard) const {
  return static_cast<std::size_t>(std::find(scene_.shards.begin(), scene_.shards.end(), shard) - scene_.shards.begin());
}

std::vector<std::string> SqlWorkload::schema(std::size_t place) const {
  if (place % 2 == 1) {
    return {"CREATE TABLE notes(owner INTEGER, k TEXT COLLATE NOCASE, body, rank INTEGER, PRIMARY KEY(owner, k))",
            "CREATE UNIQUE INDEX notes_rank ON notes(owner, rank) WHERE rank > 5"};
  }
  return {
      "CREATE TABLE goods(owner INTEGER, id INTEGER, name TEXT NOT NULL, price REAL, stock INTEGER NOT NULL "
      "CHECK(stock >= 0), PRIMARY KEY(owner, id))",
      "CREATE UNIQUE INDEX goods_name ON goods(owner, name)",
      "CREATE TABLE orders(owner INTEGER, id INTEGER, good INTEGER, amount INTEGER NOT NULL CHECK(amount > 0), note "
      "TEXT, PRIMARY KEY(owner, id), FOREIGN KEY(owner, good) REFERENCES goods(owner, id) ON DELETE CASCADE) "
      "WITHOUT ROWID",
      "CREATE TRIGGER order_taken AFTER INSERT ON orders BEGIN UPDATE goods SET stock = stock - NEW.amount WHERE "
      "owner = NEW.owner AND id = NEW.good; END"};
}

std::vector<Work> SqlWorkload::opening(GroupId shard) {
  std::vector<Work> steps;
  for (std::string& text : schema(place_of(shard))) steps.push_back({SqlStatement{std::move(text), {}}});
  return steps;
}

std::string SqlWorkload::statement(std::size_t place, unsigned owner, Rng& rng) const {
  return place % 2 == 1 ? on_notes(owner, rng) : on_goods(owner, rng);
}

std::vector<std::string> SqlWorkload::dump(std::size_t place, unsigned owner) const {
  if (place % 2 == 1) return {fmt::format("SELECT * FROM notes WHERE owner = {} ORDER BY k", owner)};
  return {fmt::format("SELECT * FROM goods WHERE owner = {} ORDER BY id", owner),
          fmt::format("SELECT * FROM orders WHERE owner = {} ORDER BY id", owner)};
}

SqlWorkload::Owner& SqlWorkload::new_owner() {
  owners_.push_back(std::make_unique<Owner>());
  Owner& owner = *owners_.back();
  owner.number = static_cast<unsigned>(owners_.size());
  for (std::size_t place = 0; place < scene_.shards.size(); ++place) {
    owner.models.push_back(std::make_unique<PlainSqlite>());
    if (owner.models.back()->run(schema(place), true)) continue;
    scene_.recorder.wrong("plain SQLite does not take the schema: " + owner.models.back()->message());
  }
  owner.as_before.assign(scene_.shards.size(), true);
  owner.as_after.assign(scene_.shards.size(), true);
  return owner;
}

// ---- transactions ----

Deed SqlWorkload::next(unsigned client, Rng& rng) {
  Owner*& current = of_client_[client];
  if (current == nullptr || current->under_way) current = &new_owner();
  Owner& owner = *current;
  std::vector<Branch> branches;
  const std::size_t sure = rng.below(scene_.shards.size());
  for (std::size_t place = 0; place < scene_.shards.size(); ++place) {
    if (place != sure && rng.chance(0.4)) continue;
    Work work;
    for (std::uint64_t n = rng.between(1, 4); n > 0; --n) {
      work.emplace_back(SqlStatement{statement(place, owner.number, rng), {}});
    }
    branches.push_back(Branch{scene_.shards[place], std::move(work)});
  }
  Transaction out;
  out.what = fmt::format("random SQL of owner {}", owner.number);
  out.begin = [&owner, branches](const TxnId&) {
    owner.under_way = branches;
    return branches;
  };
  out.ended = [this, &owner](const TxnId& txn, const Ended& how) { ended(owner, txn, how); };
  return out;
}

void SqlWorkload::ended(Owner& owner, const TxnId& txn, const Ended& ended) {
  if (ended.how == Ended::How::expired) return;  // it stays under way
  const AbortReason reason = ended.answer.refusal.reason;
  if (ended.how == Ended::How::committed) {
    committed(owner, txn, ended);
  } else if (ended.how == Ended::How::aborted && reason == AbortReason::constraint) {
    const bool fails = std::any_of(owner.under_way->begin(), owner.under_way->end(), [&](const Branch& branch) {
      return !owner.models[place_of(branch.shard)]->run(texts_of(branch.work), false);
    });
    scene_.recorder.outcome("SQL refused as by SQLite");
    if (!fails) {
      scene_.recorder.wrong(fmt::format("SQL: {} is refused by a constraint ({}) that plain SQLite does not see", txn,
                                        ended.answer.refusal.message));
    }
  } else if (reason == AbortReason::invalid) {
    scene_.recorder.wrong(fmt::format("SQL: {} cannot be run, says {}", txn, ended.answer.refusal.message));
  }
  owner.under_way.reset();
}

void SqlWorkload::committed(Owner& owner, const TxnId& txn, const Ended& ended) {
  for (const Branch& branch : *owner.under_way) {
    PlainSqlite& model = *owner.models[place_of(branch.shard)];
    const std::vector<std::string> texts = texts_of(branch.work);
    const auto expected = model.run(texts, true);
    if (!expected) {
      return scene_.recorder.wrong(
          fmt::format("SQL: {} is committed, and plain SQLite refuses it: {}", txn, model.message()));
    }
    const auto& results = ended.answer.results;
    const auto found = std::find_if(results.begin(), results.end(),
                                    [&](const BranchResult& result) { return result.shard == branch.shard; });
    if (found == results.end()) continue;  // a late answer has no rows
    scene_.recorder.outcome("SQL branch as in SQLite");
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (i < found->result.size() && found->result[i].rows == (*expected)[i]) continue;
      return scene_.recorder.wrong(fmt::format("SQL: in {} '{}' returns {}, and in plain SQLite {}", txn, texts[i],
                                               i < found->result.size() ? text_of(found->result[i].rows) : "nothing",
                                               text_of((*expected)[i])));
    }
  }
}

// ---- the end ----

std::optional<Deed> SqlWorkload::last(std::size_t step) {
  if (step >= scene_.shards.size() || owners_.empty()) return std::nullopt;
  Work work;
  for (const auto& owner : owners_) {
    for (std::string& text : dump(step, owner->number)) work.emplace_back(SqlStatement{std::move(text), {}});
  }
  const GroupId shard = scene_.shards[step];
  return Question{fmt::format("the audit of the tables of group {}", shard), shard, std::move(work),
                  [this, shard, step](const std::optional<QueryAnswer>& answer) {
                    if (answer) return compare_end(step, answer->result);
                    scene_.recorder.stuck(fmt::format("the tables of group {} cannot be read", shard));
                  }};
}

void SqlWorkload::compare_end(std::size_t place, const WorkResult& result) {
  std::size_t at = 0;
  for (const auto& owner : owners_) {
    std::vector<std::string> lost;
    bool touched = false;
    for (const Branch& branch : owner->under_way.value_or(std::vector<Branch>{})) {
      if (place_of(branch.shard) != place) continue;
      lost = texts_of(branch.work);
      touched = true;
    }
    const std::vector<std::string> looks = dump(place, owner->number);
    const auto before = owner->models[place]->run_and_look({}, looks);
    const auto after = owner->models[place]->run_and_look(lost, looks);
    for (std::size_t i = 0; i < looks.size(); ++i, ++at) {
      const bool there = at < result.size();
      owner->as_before[place] = owner->as_before[place] && there && before && result[at].rows == (*before)[i];
      owner->as_after[place] = owner->as_after[place] && there && after && result[at].rows == (*after)[i];
      if (touched || owner->as_before[place]) continue;
      return scene_.recorder.wrong(fmt::format("SQL: '{}' on group {} returns {}, and in plain SQLite {}", looks[i],
                                               scene_.shards[place], there ? text_of(result[at].rows) : "nothing",
                                               before ? text_of((*before)[i]) : "nothing"));
    }
  }
}

void SqlWorkload::audit() {
  for (const auto& owner : owners_) {
    const auto all = [](const std::vector<bool>& shards) {
      return std::find(shards.begin(), shards.end(), false) == shards.end();
    };
    if (all(owner->as_before) || (owner->under_way && all(owner->as_after))) continue;
    scene_.recorder.wrong(
        fmt::format("A1: a transaction of owner {} whose end nobody heard has happened by half: its rows are neither "
                    "as before nor as after it",
                    owner->number));
  }
}

}  // namespace assent::sim
