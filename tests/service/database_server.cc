#include "tests/service/database_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "tests/local.h"

namespace assent::service::testing {

DatabaseServer::DatabaseServer(const Commands& commands) : port_(assent::testing::free_port()) {
  const char* const root = ::access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
  std::string pattern = fmt::format("{}/assent-database.XXXXXX", root);
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder " + pattern);
  folder_ = pattern;
  const bool as_root = ::getuid() == 0;
  if (as_root) ::chmod(folder_.c_str(), 0777);
  // A MariaDB server that starts removes the temporary tables in TMPDIR, also those of another one that runs.
  const std::string script = fmt::format(
      "cd {0}; export TMPDIR={0}; dir={0}/data; port={1}; exec 3<&0 </dev/null >{0}/log 2>&1; {2} || exit 1; "
      "(cat <&3 >/dev/null; touch ending; while kill -0 $$; do kill -{4} $(cat pid); sleep 0.05; done) & "
      "while [ ! -e ending ]; do {3} & echo $! >pid; wait $!; sleep 0.05; done",
      folder_, port_, commands.prepare, commands.serve, commands.stop);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  keeper_ = ::fork();
  if (keeper_ == 0) {
    ::dup2(ends[0], 0);
    if (as_root) {
      ::execlp("runuser", "runuser", "-u", commands.user.c_str(), "--", "sh", "-c", script.c_str(), nullptr);
    } else {
      ::execlp("sh", "sh", "-c", script.c_str(), nullptr);
    }
    ::_exit(127);
  }
  ::close(ends[0]);
  input_ = ends[1];
}

DatabaseServer::~DatabaseServer() {
  ::close(input_);
  ::waitpid(keeper_, nullptr, 0);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void DatabaseServer::kill() {
  std::ifstream in(folder_ + "/pid");
  pid_t server = 0;
  if (!(in >> server) || server <= 1) throw std::runtime_error("the server was never started: " + log());
  ::kill(server, SIGKILL);
}

std::string DatabaseServer::log() const {
  const std::ifstream in(folder_ + "/log");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace assent::service::testing
