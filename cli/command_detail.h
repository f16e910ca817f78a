// How the command line is described to CLI11: small makers of options and commands that the source files of the parser
// share. Not for others.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "cli/command.h"
#include "cli/values.h"

namespace assent::cli {

// What CLI11 writes to, before it becomes an Invocation: options of all subcommands, and which one was chosen.
struct Draft {
  GlobalOptions global;
  std::function<Command()> chosen;
};

// An option whose text is read by a function of ours; its error names the option and what it wants.
template <class T>
CLI::Option* add_parsed(CLI::App& app, const std::string& name, T& target, std::optional<T> (*read)(std::string_view),
                        const char* wanted, const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&target, read, name, wanted](const std::string& text) {
            const std::optional<T> value = read(text);
            if (!value) throw CLI::ValidationError(name, fmt::format("'{}' is not {}", text, wanted));
            target = *value;
          },
          help)
      ->type_name("");
}

inline CLI::Option* add_duration(CLI::App& app, const std::string& name, std::chrono::milliseconds& target,
                                 const std::string& help) {
  return add_parsed<std::chrono::milliseconds>(app, name, target, &parse_duration, "a time such as 500ms, 5s or 2m",
                                               help)
      ->type_name("TIME");
}

inline CLI::Option* add_txn_id(CLI::App& app, const std::string& name, TxnId& target, const std::string& help) {
  return add_parsed<TxnId>(app, name, target, &TxnId::from_hex, "a transaction id (32 hex digits)", help)
      ->type_name("T");
}

// The last subcommand: everything above it is a heading.
template <class Specific>
std::shared_ptr<Specific> leaf(CLI::App& app, Draft& draft) {
  auto specific = std::make_shared<Specific>();
  app.fallthrough();
  app.callback([&draft, specific] { draft.chosen = [specific] { return Command(*specific); }; });
  return specific;
}

inline CLI::App& heading(CLI::App& app, const std::string& name, const std::string& help) {
  CLI::App& group = *app.add_subcommand(name, help);
  group.require_subcommand(1);
  group.fallthrough();
  return group;
}

// assentctl txn ...
void add_txn(CLI::App& app, Draft& draft);

}  // namespace assent::cli
