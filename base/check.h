// ASSENT_CHECK: a programmer's error ends the process, in every build. Bytes from a peer, a client or a disk can never
// trigger one: they are validated into values or an Error first.
#pragma once

namespace assent {
[[noreturn]] void check_failed(const char* expression, const char* file, int line, const char* why);
}  // namespace assent

#define ASSENT_CHECK(condition, why) \
  ((condition) ? static_cast<void>(0) : ::assent::check_failed(#condition, __FILE__, __LINE__, (why)))
