/// @file
/// Where work that is of host memory runs.
#pragma once

#include <type_traits>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu/context.hpp>

namespace basin::detail {

/// The backend's threads, or where it has none of this machine's a context's own.
template <backend B>
[[nodiscard]] auto host_of(const B& be) {
  if constexpr (std::is_same_v<B, cpu<double>> || std::is_same_v<B, cpu<float>>) {
    return be;
  } else {
    return cpu<double>();
  }
}

}  // namespace basin::detail
