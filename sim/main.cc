// assent-sim: runs the whole system in virtual time from seeds, and judges what it does. docs/SIMULATION.md.
#include <sqlite3.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/commands/commands.h"

namespace {

// One thread, and nobody asks how much memory there is: SQLite needs neither its locks nor its books.
void tell_sqlite() {
  sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace assent::sim;
  tell_sqlite();
  CLI::App app{"Runs whole Assent clusters in virtual time, from seeds, with faults, and judges what they do."};
  app.require_subcommand(1);
  const std::string program = argv[0];
  const std::vector<Command> commands = {
      add_run(app, program),    add_replay(app, program), add_shrink(app, program),
      add_explore(app),         add_matrix(app),          add_canaries(app, program),
      add_report(app, program), add_walk(app, program),   add_grow(app, program),
  };
  add_plant(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  const auto chosen =
      std::find_if(commands.begin(), commands.end(), [](const Command& one) { return one.app->parsed(); });
  return chosen->run();
}
