/// @file
/// What is asked of an eigenvalue computation.
#pragma once

#include <complex>
#include <cstdint>
#include <string>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/core/random.hpp>

namespace basin {

/// Which eigenvalues lead.
enum class eigenvalue_order : std::uint8_t {
  modulus,    ///< the largest |λ|: what governs z -> f(z)
  real_part,  ///< the largest Re λ: what governs dz/dt = f(z) - z
};

/// How eigenvalues are computed.
enum class eigenvalue_method : std::uint8_t {
  automatic,     ///< dense where k is at most three times the Krylov space's dimension
  dense,         ///< all of J, by k products, and its Schur form: about 25 k³ flops
  krylov_schur,  ///< a Krylov space that is restarted
};

/// Settings of `eigenvalues`.
struct eigenvalue_options {
  /// Eigenvalues that are wanted; one more where a conjugate pair would be split, and at most k.
  index_t count = 6;
  eigenvalue_order order = eigenvalue_order::modulus;
  /// The backward error ‖J x - λ x‖ / ‖J‖ that is good enough. At least 100 ε of the scalar in
  /// which the map computes is used.
  double tolerance = 1e-8;
  bool right_vectors = false;
  /// Left eigenvectors, and with them condition numbers; by a Krylov space of the transpose where
  /// the method is not dense, which needs the map's vjp.
  bool left_vectors = false;
  eigenvalue_method method = eigenvalue_method::automatic;
  /// Dimension of the Krylov space; 0: the larger of 20 and 2 count + 2. At least count + 3.
  index_t dimension = 0;
  /// Products with J for one point, and as many with its transpose; 0: 100 times the dimension.
  index_t max_products = 0;
  random_stream random = {};  ///< of the first vectors

  /// `dimension` with its default filled in, for states of k entries.
  [[nodiscard]] index_t space(index_t k) const {
    const index_t wanted = dimension > 0 ? dimension : std::max<index_t>(20, 2 * count + 2);
    return std::min(k, wanted);
  }
  /// `max_products` with its default filled in.
  [[nodiscard]] index_t budget(index_t k) const {
    return max_products > 0 ? max_products : 100 * space(k);
  }
  [[nodiscard]] bool is_dense(index_t k) const {
    return method == eigenvalue_method::dense ||
           (method == eigenvalue_method::automatic && k <= 3 * space(k));
  }
  /// Whether a stands before b; of equals that with the larger real part, then the positive
  /// imaginary part.
  [[nodiscard]] bool before(std::complex<double> a, std::complex<double> b) const {
    const double x = order == eigenvalue_order::modulus ? std::abs(a) : a.real();
    const double y = order == eigenvalue_order::modulus ? std::abs(b) : b.real();
    if (x != y) return x > y;
    if (a.real() != b.real()) return a.real() > b.real();
    return a.imag() > b.imag();
  }

  /// @throws argument_error that names the setting and its value
  void check() const {
    require(count >= 1, "eigenvalue_options",
            "count is " + std::to_string(count) + ", must be at least 1");
    require(tolerance >= 0 && tolerance < 1, "eigenvalue_options",
            "tolerance is " + std::to_string(tolerance) + ", must be in [0, 1)");
    require(dimension == 0 || dimension >= count + 3, "eigenvalue_options",
            "dimension is " + std::to_string(dimension) +
                ", must be 0 or at least count + 3 = " + std::to_string(count + 3));
    require(max_products >= 0, "eigenvalue_options", "max_products must not be negative");
  }
};

}  // namespace basin
