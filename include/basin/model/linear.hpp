/// @file
/// The linear autoencoder, and its best parameters in closed form.
#pragma once

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/QR>

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/model/plan.hpp>
#include <basin/nn/autoencoder.hpp>

namespace basin {

/// What a linear autoencoder may vary in.
struct linear_options {
  tensor_shape image = {1, 28, 28};  ///< {n} for vectors of size n
  index_t latent = 2;                ///< k, the size of a code
  bool bias = true;
  bool tied = false;  ///< the decoder's weights are the encoder's, see Autoencoder

  /// @throws argument_error that names the setting and its value
  void check() const {
    require_shape("linear_autoencoder: image", image);
    require_shape("linear_autoencoder: latent", {latent, 1, 1});
  }
};

/// One dense layer a half: enc.0 and dec.0.
/// @throws argument_error see linear_options::check
[[nodiscard]] inline autoencoder_plan plan(const linear_options& options) {
  options.check();
  const tensor_shape code{options.latent, 1, 1};
  return {{{.name = "0", .from = options.image, .to = code, .options = {.bias = options.bias}}},
          {{.name = "0", .from = code, .to = options.image, .options = {.bias = options.bias}}},
          options.tied};
}

/// A linear autoencoder, E(x) = A x + a and D(z) = B z + b, with all parameters zero: see
/// Autoencoder::initialize and pca_autoencoder.
/// @throws argument_error see linear_options::check
template <class Scalar>
[[nodiscard]] Autoencoder<Scalar> linear_autoencoder(const linear_options& options = {}) {
  return build_autoencoder<Scalar>(plan(options));
}

namespace detail {

/// The k leading left singular vectors of A, as columns, each with its entry of largest
/// absolute value positive.
/// @throws argument_error if A has not that many
[[nodiscard]] inline Eigen::MatrixXd leading_directions(const Eigen::MatrixXd& A, index_t k) {
  const bool by_rows = A.rows() <= A.cols();
  const index_t size = std::min(A.rows(), A.cols());
  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(size, size);
  if (by_rows) {
    gram.selfadjointView<Eigen::Lower>().rankUpdate(A);
  } else {
    gram.selfadjointView<Eigen::Lower>().rankUpdate(A.transpose());
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solved(gram);
  require(solved.info() == Eigen::Success, "pca_autoencoder",
          "the eigenvalues of the data's covariance were not found");
  // Ascending; below this they are rounding errors.
  const Eigen::VectorXd& values = solved.eigenvalues();
  const double least = static_cast<double>(std::max(A.rows(), A.cols())) *
                       std::numeric_limits<double>::epsilon() * std::max(values(size - 1), 0.0);
  const index_t rank = (values.array() > least).count();
  require(
      k <= rank, "pca_autoencoder",
      "k is " + std::to_string(k) + ", the data less their mean have rank " + std::to_string(rank));
  const Eigen::MatrixXd leading = solved.eigenvectors().rightCols(k).rowwise().reverse();
  Eigen::MatrixXd V = leading;
  if (!by_rows) {
    // The columns of A U have the right span and lose orthogonality where values are small.
    const Eigen::HouseholderQR<Eigen::MatrixXd> factors(A * leading);
    V = factors.householderQ() * Eigen::MatrixXd::Identity(A.rows(), k);
  }
  for (index_t j = 0; j < k; ++j) {
    index_t largest = 0;
    V.col(j).cwiseAbs().maxCoeff(&largest);
    if (V(largest, j) < 0) V.col(j) *= -1;
  }
  return V;
}

}  // namespace detail

/// The linear autoencoder of least mean squared error on the columns of X: E(x) = V^T (x - m)
/// and D(z) = V z + m, with the mean m and the k leading principal directions V (Baldi and
/// Hornik, "Neural networks and principal component analysis", 1989). F is the orthogonal
/// projection on the plane m + span V, f is the identity: every z is a fixed point.
///
/// V follows from the eigenvectors of the smaller of the two Gram matrices of the centred
/// data, n × n or N × N, in double whatever the scalar, so directions whose singular value is
/// less than √(max(n, N) ε), about 1e-6, of the largest cannot be told from none. The entry of
/// largest absolute value of each direction is positive; directions of equal singular
/// values are any basis of their space. Cost: n N min(n, N) + 9 min(n, N)³ flops and a copy
/// of X in double; 1024 × 10,000 takes seconds.
///
/// @param X n × N, one sample per column
/// @param k from 1 to the rank of the centred data, which is at most min(n, N - 1)
/// @param image the shape of a sample of size n; by default a vector. Its description
///   (model/model.hpp) is linear_options{.image = image, .latent = k}.
/// @throws argument_error if k is out of range, or an entry of X is not finite
/// @throws size_error if `image` has not the size n
///
/// @code
/// #include <iostream>
///
/// #include <basin/model/linear.hpp>
///
/// int main() {
///   const Eigen::MatrixXd X = Eigen::MatrixXd::Random(5, 100);
///   const auto autoencoder = basin::pca_autoencoder(X, 2);
///   const auto F = autoencoder.reconstruction_map();
///   Eigen::MatrixXd Y(5, 100);
///   basin::evaluate(basin::cpu<double>{}, F, X, Y);
///   std::cout << "mean squared error " << (X - Y).array().square().mean() << '\n';
/// }
/// @endcode
template <class Derived>
[[nodiscard]] Autoencoder<typename Derived::Scalar> pca_autoencoder(
    const Eigen::MatrixBase<Derived>& X, index_t k, tensor_shape image = {}) {
  using Scalar = typename Derived::Scalar;
  const index_t n = X.rows();
  if (image == tensor_shape{}) image = {n, 1, 1};
  require_size("pca_autoencoder", "size of the image", image.size(), n);
  const index_t most = std::min(n, X.cols() - 1);
  require(k >= 1 && k <= most, "pca_autoencoder",
          "k is " + std::to_string(k) + ", must be from 1 to " + std::to_string(most) + ", for " +
              std::to_string(X.cols()) + " samples of size " + std::to_string(n));
  Eigen::MatrixXd centred = X.template cast<double>();
  require(centred.allFinite(), "pca_autoencoder", "the data have entries that are not finite");
  const Eigen::VectorXd mean = centred.rowwise().mean();
  centred.colwise() -= mean;
  const Eigen::MatrixXd V = detail::leading_directions(centred, k);

  auto autoencoder = linear_autoencoder<Scalar>({.image = image, .latent = k});
  const auto parameters = autoencoder.parameters();
  const auto set = [&](std::size_t i, const auto& values) {  // as PyTorch stores it: by rows
    Eigen::Map<Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>>(
        parameters[i].values.data, values.cols(), values.rows()) =
        values.transpose().template cast<Scalar>();
  };
  set(0, V.transpose());
  set(1, -(V.transpose() * mean));
  set(2, V);
  set(3, mean);
  autoencoder.parameters_changed();
  return autoencoder;
}

}  // namespace basin
