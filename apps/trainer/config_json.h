// SPDX-License-Identifier: MIT
#pragma once
// Fields of a configuration that JSON has no kind for: a choice that was not made is null.

#include <nlohmann/json.hpp>
#include <optional>

template <>
struct nlohmann::adl_serializer<std::optional<bool>> {
  template <class Json>
  static void to_json(Json& json, const std::optional<bool>& choice) {
    json = choice ? Json(*choice) : Json(nullptr);
  }
  template <class Json>
  static void from_json(const Json& json, std::optional<bool>& choice) {
    choice = json.is_null() ? std::nullopt : std::optional<bool>(json.template get<bool>());
  }
};
