// The part of JSON that histories are written in: values without fractions, nesting of bounded depth. Not a general
// library: numbers must fit 64 bits, and text is taken as bytes. Called from history.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace assent::check {

struct Json {
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;
  std::variant<std::monostate, bool, std::int64_t, std::string, Array, Object> value;

  template <class T>
  [[nodiscard]] const T* as() const {
    return std::get_if<T>(&value);
  }
  [[nodiscard]] bool null() const { return std::holds_alternative<std::monostate>(value); }
  // The member of an object; nullptr when there is none, or this is no object.
  [[nodiscard]] const Json* member(std::string_view name) const;
};

// All of the text is one value; malformed says where it is not.
[[nodiscard]] Result<Json> parse_json(std::string_view text);

// The text as a JSON string, with its quotes. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string quote_json(std::string_view text);

}  // namespace assent::check
