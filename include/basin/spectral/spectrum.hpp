/// @file
/// Eigenvalues of one Jacobian with what is known of their errors.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include <Eigen/Core>

#include <basin/core/index.hpp>

namespace basin {

/// How a spectral computation for one column ended.
enum class spectral_status : std::uint8_t {
  converged,        ///< every value that was asked for meets the tolerance
  ill_conditioned,  ///< so they do, but some are so sensitive that few digits may be right
  max_products,     ///< the budget of products with the Jacobian is spent
  non_finite,       ///< the Jacobian, or the state, has a NaN or infinite entry
};

/// Values whose |yᴴ x| is below this are called ill-conditioned: rounding takes half of the digits,
/// as it does of a double value that is defective.
inline constexpr double ill_conditioned_cosine = 1e-7;

/// The name of a status as in the enumeration.
[[nodiscard]] constexpr std::string_view to_string(spectral_status s) noexcept {
  switch (s) {
    case spectral_status::converged:
      return "converged";
    case spectral_status::ill_conditioned:
      return "ill_conditioned";
    case spectral_status::max_products:
      return "max_products";
    case spectral_status::non_finite:
      return "non_finite";
  }
  return "unknown";
}

/// Leading eigenvalues of one k × k Jacobian, in the order that was asked for. Of a conjugate
/// pair the value with the positive imaginary part comes first, and then the other.
struct Spectrum {
  Eigen::VectorXcd values;         ///< m of them
  Eigen::VectorXd backward_error;  ///< ‖J x - λ x‖ / ‖J‖ of each, ‖x‖ = 1
  /// 1 / |yᴴ x| of each, its condition number (Wilkinson 1965), with x and y the right and left
  /// vectors of norm 1. Rounding splits a defective value of a Jordan block of p rows into p values
  /// with condition numbers of about ε^(1/p - 1): 1e8 for p = 2, 1 / ε at most. Where the left
  /// vector is not known, a lower bound: that of the value within the Krylov space.
  Eigen::VectorXd condition;
  /// k × m eigenvectors of norm 1; 0 × 0 unless asked for. NaN where only the transpose shows the
  /// value.
  Eigen::MatrixXcd right;
  /// k × m, yᴴ J = λ yᴴ, of norm 1; 0 × 0 unless asked for. NaN where it was not found.
  Eigen::MatrixXcd left;
  /// ‖J‖_F where the method is dense, else a lower bound of ‖J‖₂ from the space.
  double norm = std::numeric_limits<double>::quiet_NaN();
  spectral_status status = spectral_status::non_finite;
  bool dense = false;    ///< computed from all of J
  index_t products = 0;  ///< with J and its transpose

  [[nodiscard]] index_t size() const noexcept { return values.size(); }
  /// The largest modulus among the values; NaN where there is none.
  [[nodiscard]] double radius() const {
    return values.size() == 0 ? std::numeric_limits<double>::quiet_NaN()
                              : values.cwiseAbs().maxCoeff();
  }
};

}  // namespace basin
