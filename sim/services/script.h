// What goes wrong with services, and where, when it is not drawn: the crash matrix says it point by point.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/schedule.h"
#include "sim/services/database.h"

namespace assent::sim {

// Of a call on its way to a service, or of an answer on its way back.
enum class Way : std::uint8_t { through, lost, twice, late };
// Of the author's own work.
enum class Mood : std::uint8_t { fine, refuses, puts_off, fails };

class ServiceScript {
 public:
  virtual ~ServiceScript() = default;
  [[nodiscard]] virtual Way call(const std::string& what) = 0;
  [[nodiscard]] virtual Way reply(const std::string& what) = 0;
  [[nodiscard]] virtual Mishap request(const std::string& site, std::string_view what) = 0;
  [[nodiscard]] virtual Mood work(const std::string& site, std::string_view what) = 0;
  // How long what died is away.
  [[nodiscard]] virtual Micros absence() = 0;
};

}  // namespace assent::sim
