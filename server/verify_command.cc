#include "server/verify_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "server/inspect_command.h"
#include "sql_adapter/database_check.h"

namespace assent {

namespace {

// SQLite's files of the node, relative to its directory, ascending.
std::vector<std::string> databases_in(const std::filesystem::path& directory) {
  std::vector<std::string> files;
  for (const char* const folder : {"coordinators", "shards"}) {
    std::error_code ignored;
    for (const auto& file : std::filesystem::directory_iterator(directory / folder, ignored)) {
      if (file.path().extension() == ".db")
        files.push_back(fmt::format("{}/{}", folder, file.path().filename().string()));
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Result<Verification> verify_directory(const std::string& path) {
  const auto inspection = inspect_directory(path, 0);
  if (!inspection) return fail(inspection.error());
  Verification verification;
  for (const std::string& damage : inspection->damages) verification.text += fmt::format("DAMAGED: {}\n", damage);
  const std::vector<std::string> databases = databases_in(path);
  bool database_damaged = false;
  for (const std::string& name : databases) {
    const auto problems = check_database((std::filesystem::path(path) / name).string());
    database_damaged = database_damaged || !problems || !problems->empty();
    if (!problems) {
      verification.text += fmt::format("DAMAGED: {}: {}\n", name, problems.error().message);
    } else {
      for (const std::string& problem : *problems) verification.text += fmt::format("DAMAGED: {}: {}\n", name, problem);
    }
  }
  verification.sound = !inspection->damaged() && !database_damaged;
  if (verification.sound) {
    verification.text +=
        fmt::format("{} is sound: identity, log, snapshots and {} databases\n", path, databases.size());
  }
  if (database_damaged) {
    verification.text +=
        "a damaged database is made again from snapshot and log: move it away with its -wal and -shm, and start the "
        "node\n";
  }
  if (inspection->damaged() && !inspection->refused) {
    verification.text += fmt::format(
        "assentd inspect {} says what is left of it. The node can be started: the leaders of the groups concerned send "
        "it what is lost, and until then it neither leads those groups nor votes for who lacks it. Look at the disk\n",
        path);
  }
  if (inspection->refused) {
    verification.text += fmt::format(
        "assentd inspect {} says what is left of it; where it is not a database, the node has lost its disk: see "
        "docs/OPERATIONS.md\n",
        path);
  }
  return verification;
}

}  // namespace assent
