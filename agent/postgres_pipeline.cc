#include "agent/postgres_pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace assent::agent {

using service::postgres::execute;
using service::postgres::Parameters;
using service::postgres::Rows;

namespace {

constexpr std::size_t kept_max = 100;  // statements, in each connection

}  // namespace

PostgresLease::~PostgresLease() {
  if (!session_) return;
  if (PQtransactionStatus(db()) == PQTRANS_INTRANS || PQtransactionStatus(db()) == PQTRANS_INERROR) {
    static_cast<void>(execute(db(), "ROLLBACK"));
  }
  const bool fit = PQstatus(db()) == CONNECTION_OK && PQtransactionStatus(db()) == PQTRANS_IDLE &&
                   PQpipelineStatus(db()) == PQ_PIPELINE_OFF;
  pool_.give_back(fit ? std::move(*session_) : nullptr);
}

std::optional<Error> PostgresLease::trouble() const {
  return session_ ? std::nullopt : std::optional(session_.error());
}

Result<void> PostgresLease::renew() {
  auto fresh = pool_.make();
  if (!fresh) return fail(fresh.error());
  *session_ = std::move(*fresh);
  return {};
}

Pipeline::Pipeline(PostgresSession& session) : session_(session), db_(session.connection.get()) {
  broken_ = PQenterPipelineMode(db_) != 1;
}

Pipeline::~Pipeline() {
  broken_ = PQpipelineSync(db_) != 1 || broken_;
  while (!broken_ && !sent_.empty()) static_cast<void>(next());
  PQclear(answer());  // of the sync
  // What is left in it makes the connection unfit, and the lease closes it.
  static_cast<void>(PQexitPipelineMode(db_));
}

void Pipeline::add(const std::string& text, const Parameters& parameters) {
  broken_ = broken_ || !parameters.send(db_, text.c_str());
  sent_.push_back({What::run, {}, {}});
}

void Pipeline::add_kept(const std::string& text, const Parameters& parameters) {
  if (const auto found = session_.kept.find(text); found != session_.kept.end()) {
    found->second.used = ++session_.uses;
    broken_ = broken_ || !parameters.send_prepared(db_, found->second.name.c_str());
    sent_.push_back({What::run_kept, {}, {}});
    return;
  }
  std::string& name = parsing_[text];
  if (name.empty()) {
    make_room();
    name = fmt::format("assent_{}", ++session_.uses);
    broken_ = broken_ || PQsendPrepare(db_, name.c_str(), text.c_str(), 0, nullptr) != 1;
    sent_.push_back({What::parse, text, name});
  }
  broken_ = broken_ || !parameters.send_prepared(db_, name.c_str());
  sent_.push_back({What::run, {}, {}});
}

// A name that the server should still know, because it did not get to forgetting it, costs it some memory until the
// connection ends.
void Pipeline::make_room() {
  if (session_.kept.size() < kept_max) return;
  const auto oldest = std::min_element(session_.kept.begin(), session_.kept.end(),
                                       [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
  broken_ = broken_ || !Parameters().send(db_, ("DEALLOCATE " + oldest->second.name).c_str());
  sent_.push_back({What::parse, {}, {}});
  session_.kept.erase(oldest);
}

void Pipeline::flush() { broken_ = broken_ || PQsendFlushRequest(db_) != 1 || PQflush(db_) != 0; }

// Each statement has one result, and nothing behind it.
PGresult* Pipeline::answer() {
  if (broken_) return nullptr;
  PGresult* const result = PQgetResult(db_);
  if (result == nullptr || PQstatus(db_) != CONNECTION_OK) {
    broken_ = true;
  } else if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
    while (PGresult* const more = PQgetResult(db_)) PQclear(more);
  }
  return result;
}

Rows Pipeline::next() {
  std::optional<Rows> failed;
  for (;;) {
    const Sent sent = std::move(sent_.front());
    sent_.pop_front();
    Rows rows(answer());
    const bool fine = PQresultStatus(rows.raw()) == PGRES_COMMAND_OK;
    if (sent.what != What::parse) {
      was_kept_ = sent.what == What::run_kept;
      return failed ? std::move(*failed) : std::move(rows);
    }
    if (fine && !sent.text.empty()) session_.kept[sent.text] = {sent.name, ++session_.uses};
    if (!fine && !failed) failed = std::move(rows);
  }
}

}  // namespace assent::agent
