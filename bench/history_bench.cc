// What a coordinator's history of settled outcomes costs: to fill, to hold, to ask, to start on again, to take a
// snapshot of and to install one.
//
//     history_bench DIR [RECORDS [memory]]      memory: without an archive, as a machine that keeps all of it
//
// One JSON object; times are those of a processor. It goes through the coordinator's own application, entries of 64
// outcomes, without log and network.
#include <fmt/format.h>
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "bench/measure.h"
#include "coordinator/decisions.h"
#include "sql_adapter/sqlite_archive.h"

namespace assent {
namespace {

constexpr std::uint64_t start_millis = 1'800'000'000'000;
constexpr std::uint64_t notes_per_entry = 64;
constexpr std::uint64_t per_second = 5'000;

TxnId id(std::uint64_t n) {
  return TxnId::make(ClusterMillis(start_millis + n * 1'000 / per_second), n * 0x9E3779B97F4A7C15ULL, n);
}

DecisionsOptions options(std::uint64_t records) {
  DecisionsOptions options;
  options.history.records_max = records;
  return options;
}

std::unique_ptr<SqliteArchive> open(const std::string& path) {
  SqliteArchiveOptions file;
  file.path = path;
  auto opened = SqliteArchive::open(file);
  ASSENT_CHECK(opened.has_value(), "the archive opens");
  return std::move(*opened);
}

void fill(Decisions& machine, std::uint64_t from, std::uint64_t to) {
  for (std::uint64_t n = from; n < to; n += notes_per_entry) {
    NoteOutcomes command;
    for (std::uint64_t i = n; i < std::min(to, n + notes_per_entry); ++i) {
      command.notes.push_back({id(i), i, true, Protocol::paxos_commit, AbortReason::none});
    }
    const Index index(n / notes_per_entry + 1);
    machine.apply({Epoch(1), index, ClusterMillis(start_millis + n * 1'000 / per_second)}, command);
    ASSENT_CHECK(machine.checkpoint(index).has_value(), "the archive takes it");
  }
}

double micros_of_lookups(const Decisions& machine, std::uint64_t from, std::uint64_t to, bool there) {
  constexpr int lookups = 20'000;
  Rng rng(1);
  return seconds_of([&] {
           for (int i = 0; i < lookups; ++i) {
             ASSENT_CHECK(machine.find(id(rng.between(from, to))).has_value() == there, "it is answered right");
           }
         }) *
         1e6 / lookups;
}

void run(const std::filesystem::path& folder, std::uint64_t records, bool in_memory) {
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "c0.db").string();
  ASSENT_CHECK(!std::filesystem::exists(path), "the folder has no archive yet");
  const Index last(records / notes_per_entry + 1);
  Bytes snapshot;
  std::string text = fmt::format("{{\"records\": {}, \"archive\": {}", records, !in_memory);
  const auto say = [&](std::string_view name, double value) { text += fmt::format(", \"{}\": {:.3g}", name, value); };
  {
    const double before = resident_mib();
    auto archive = in_memory ? nullptr : open(path);
    Decisions machine(options(records), archive.get());
    say("fill_micros_per_record", seconds_of([&] { fill(machine, 0, records); }) * 1e6 / static_cast<double>(records));
    ASSENT_CHECK(machine.save(last).has_value(), "it can be saved");
    say("memory_mib", resident_mib() - before);
    say("ask_old_micros", micros_of_lookups(machine, 0, records / 2, true));
    say("ask_recent_micros", micros_of_lookups(machine, records - 10'000, records - 1, true));
    say("ask_new_micros", micros_of_lookups(machine, records + 1, records + 10'000, false));
    say("snapshot_seconds", seconds_of([&] { snapshot = *machine.snapshot(); }));
    say("snapshot_mib", static_cast<double>(snapshot.size()) / (1 << 20U));
  }
  if (!in_memory) {
    const double before = resident_mib();
    std::unique_ptr<SqliteArchive> archive;
    std::unique_ptr<Decisions> machine;
    say("restart_seconds", seconds_of([&] {
          archive = open(path);
          machine = std::make_unique<Decisions>(options(records), archive.get());
          ASSENT_CHECK(machine->load() == last, "it goes on where it was");
        }));
    say("restart_memory_mib", resident_mib() - before);
    ASSENT_CHECK(machine->records() == records && machine->find(id(1)).has_value(), "all of it is there");
    machine.reset();
    archive.reset();
    say("file_mib", static_cast<double>(std::filesystem::file_size(path)) / (1 << 20U));
    std::filesystem::remove(path);
  }
  auto archive = in_memory ? nullptr : open(path);
  Decisions machine(options(records), archive.get());
  say("install_seconds", seconds_of([&] { ASSENT_CHECK(machine.restore(snapshot, last).has_value(), "it restores"); }));
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  say("peak_memory_mib", static_cast<double>(usage.ru_maxrss) / 1'024);
  fmt::print("{}}}\n", text);
}

}  // namespace
}  // namespace assent

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    fmt::print(stderr, "usage: history_bench DIR [RECORDS [memory]]\n");
    return 64;
  }
  const std::uint64_t records = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  if (records < 20'000) {
    fmt::print(stderr, "history_bench: at least 20000 records\n");
    return 64;
  }
  assent::run(argv[1], records, argc > 3 && std::string(argv[3]) == "memory");
  return 0;
}
