// Orthogonal matching pursuit on the device backend: what it does on the CPU, and the same answers.
// Built by nvcc for a GPU, and by a plain compiler for each of Thrust's host systems.
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include <basin/backend/cuda.hpp>
#include <basin/sparse/cuda/correlations.hpp>
#include <basin/sparse/cuda/dictionary.hpp>
#include <basin/sparse/cuda/least_squares.hpp>
#include <basin/sparse/cuda/non_negative_pursuit.hpp>
#include <basin/sparse/cuda/orthogonal_matching_pursuit.hpp>
#include <basin/sparse/cuda/pursuits.hpp>
#include <basin/sparse/cuda/targets.hpp>
#include <basin/sparse/cuda/thresholding.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>

#include "other_pursuits.hpp"
#include "problems.hpp"
#include "pursuits.hpp"

using basin::index_t;
using basin::pursuit_form;
using basin::pursuit_options;
using basin::pursuit_status;

namespace {

// Statuses and supports are the same, and the numbers to the rounding of the scalar.
template <class Scalar>
void same_as_on_the_cpu(const basin::Dictionary<Scalar>& dictionary,
                        const Eigen::MatrixX<Scalar>& X, const pursuit_options& options,
                        double tolerance) {
  const auto codes =
      basin::orthogonal_matching_pursuit(basin::cuda<Scalar>(), dictionary, X, options);
  const auto expected =
      basin::orthogonal_matching_pursuit(basin::cpu<Scalar>(2), dictionary, X, options);
  CHECK(codes.status == expected.status);
  CHECK(codes.count == expected.count);
  CHECK(codes.atoms == expected.atoms);
  for (index_t j = 0; j < X.cols(); ++j) {
    const auto size = static_cast<double>(expected.coefficients.col(j).norm());
    CHECK(static_cast<double>((codes.coefficients.col(j) - expected.coefficients.col(j)).norm()) <=
          tolerance * size);
    CHECK(static_cast<double>(
              (codes.residuals.col(j) - expected.residuals.col(j)).cwiseAbs().maxCoeff()) <=
          tolerance * static_cast<double>(X.col(j).norm()));
    const auto at = static_cast<std::size_t>(j);
    CHECK(codes.residual[at] == codes.residuals(codes.count[at], j));
  }
  REQUIRE(codes.path.size() == expected.path.size());
  for (std::size_t j = 0; j < codes.path.size(); ++j) {
    CHECK(codes.path[j].size() == expected.path[j].size());
  }
}

}  // namespace

TEMPLATE_TEST_CASE("pursuits on the device do what they do on the CPU", "[sparse]", float, double) {
  const basin::cuda<TestType> be;
  SECTION("few atoms") { pursuits::few_atoms_are_found(be); }
  SECTION("gram choices") { pursuits::choices_are_the_definitions(be, pursuit_form::gram); }
  SECTION("direct choices") { pursuits::choices_are_the_definitions(be, pursuit_form::direct); }
  SECTION("path") { pursuits::path_has_every_sparsity(be); }
  SECTION("true residual") { pursuits::forms_end_on_the_true_residual(be); }
  SECTION("explained") { pursuits::explained_targets_have_their_residual(be); }
  SECTION("statuses") { pursuits::every_end_has_its_status(be); }
  SECTION("short") { pursuits::short_targets_need_no_atom(be); }
  SECTION("near combinations") { pursuits::near_combinations_do_no_harm(be); }
  SECTION("dependent") { pursuits::dependent_atoms_end_a_pursuit(be); }
  SECTION("ties") { pursuits::ties_go_to_the_lower_index(be); }
  SECTION("sizes") { pursuits::all_atoms_are_least_squares(be); }
  SECTION("misuse") { pursuits::misuse_is_refused(be); }
}

TEST_CASE("pursuits on the device answer as scikit-learn's", "[sparse]") {
  pursuits::answers_are_scikit_learns(basin::cuda<double>());
}

TEMPLATE_TEST_CASE("a target's code on the device depends on nothing but the target", "[sparse]",
                   float, double) {
  const basin::cuda<TestType> be;
  pursuits::codes_depend_on_the_target_alone(
      be, basin::make_dictionary<TestType>(problems::normal<double>(64, 601, 1)), 30);
  // Many atoms tie within rounding.
  const Eigen::MatrixXd some = problems::normal<double>(40, 30, 1);
  Eigen::MatrixXd columns(40, 90);
  columns << some, some + 1e-6 * problems::normal<double>(40, 30, 2),
      some - 1e-6 * problems::normal<double>(40, 30, 3);
  const auto alike = basin::make_dictionary<TestType>(columns, {.duplicate = 0});
  REQUIRE(alike.size() == 90);
  pursuits::codes_depend_on_the_target_alone(be, alike, 30);
}

TEMPLATE_TEST_CASE("the device finds the CPU's codes", "[sparse]", float, double) {
  const bool single = std::is_same_v<TestType, float>;
  const pursuit_form form = GENERATE(pursuit_form::gram, pursuit_form::direct);
  CAPTURE(form);
  SECTION("atoms that have little in common") {
    const auto dictionary = basin::make_dictionary<TestType>(problems::normal<double>(50, 130, 1));
    const Eigen::MatrixX<TestType> X = problems::normal<TestType>(50, 23, 2);
    same_as_on_the_cpu<TestType>(dictionary, X, {.atoms = 15, .form = form, .path = true},
                                 single ? 1e-5 : 1e-13);
    same_as_on_the_cpu<TestType>(dictionary, X, {.relative_residual = 0.1, .form = form},
                                 single ? 1e-5 : 1e-13);
    // So every target ends in a step of its own, and some are there no more at the first.
    same_as_on_the_cpu<TestType>(dictionary, X, {.residual = 5, .form = form},
                                 single ? 1e-5 : 1e-13);
  }
  SECTION("atoms that are alike") {
    const auto dictionary =
        basin::make_dictionary<TestType>(problems::alike<double>(50, 130, 0.9, 1));
    const Eigen::MatrixX<TestType> X = problems::normal<TestType>(50, 23, 2);
    same_as_on_the_cpu<TestType>(dictionary, X, {.atoms = 12, .form = form, .path = true},
                                 single ? 1e-3 : 1e-11);
  }
  SECTION("pairs of atoms at a distance of 1e-2") {
    const Eigen::MatrixXd apart = problems::normal<double>(50, 20, 1);
    Eigen::MatrixXd columns(50, 40);
    columns << apart, apart + 1e-2 * problems::normal<double>(50, 20, 2);
    const auto dictionary = basin::make_dictionary<TestType>(columns);
    const Eigen::MatrixX<TestType> X = problems::normal<TestType>(50, 11, 3);
    same_as_on_the_cpu<TestType>(dictionary, X, {.atoms = 30, .form = form, .path = true},
                                 single ? 1e-2 : 1e-10);
  }
}

TEMPLATE_TEST_CASE("blocks of targets change no bit", "[sparse]", float, double) {
  const basin::cuda<TestType> be;
  // Pairs, so that the Gram matrix does not suffice for some.
  const Eigen::MatrixXd apart = problems::normal<double>(30, 20, 1);
  Eigen::MatrixXd columns(30, 40);
  columns << apart, apart + 1e-2 * problems::normal<double>(30, 20, 2);
  const auto dictionary = basin::make_dictionary<TestType>(columns);
  basin::DeviceDictionary<TestType> on_device(be, dictionary);
  add_gram(be, on_device);
  const Eigen::MatrixX<TestType> X = problems::normal<TestType>(30, 17, 3);
  auto targets = be.make_matrix(30, 17);
  upload(be, X, targets);
  for (const bool by_gram : {true, false}) {
    const pursuit_options options{.atoms = 24, .residual = 1, .path = true};
    const index_t each =
        basin::detail::DevicePursuits<TestType>::bytes_of_target(30, 40, 24, by_gram, true);
    const auto pursue = [&](index_t bytes) {
      const basin::device_view<const TestType> none(nullptr, 0, 0, 0);
      return basin::detail::pursue_on_device<TestType>(
          be, on_device.atoms, by_gram ? basin::device_view<const TestType>(on_device.gram) : none,
          targets, 24, options, bytes);
    };
    const auto all = pursue(index_t{1} << 30);
    for (const index_t width : {0, 1, 5, 16}) {
      const auto blocks = pursue(width * each);
      CHECK(blocks.status == all.status);
      CHECK(blocks.atoms == all.atoms);
      CHECK(blocks.coefficients == all.coefficients);
      CHECK(blocks.residuals == all.residuals);
      CHECK(blocks.path == all.path);
    }
  }
}

TEMPLATE_TEST_CASE("dictionaries and targets that are on the device", "[sparse]", float, double) {
  const basin::cuda<TestType> be;
  auto dictionary = basin::make_dictionary<TestType>(problems::normal<double>(20, 35, 1));
  const Eigen::MatrixX<TestType> X = problems::normal<TestType>(20, 9, 2);
  auto targets = be.make_matrix(20, 9);
  upload(be, X, targets);
  basin::DeviceDictionary<TestType> on_device(be, dictionary);
  CHECK(on_device.size() == 35);
  CHECK(on_device.rows() == 20);
  CHECK(on_device.gram.cols() == 0);
  const pursuit_options options{.atoms = 6};
  CHECK(basin::random_orthogonal_dictionary(be, 9, 4, {.seed = 1}).atoms ==
        basin::random_orthogonal_dictionary(basin::cpu<TestType>(1), 9, 4, {.seed = 1}).atoms);
  const auto expected = basin::orthogonal_matching_pursuit(be, dictionary, X, options);
  const auto same = [&](const basin::SparseCodes<TestType>& codes) {
    CHECK(codes.atoms == expected.atoms);
    CHECK(codes.coefficients.isApprox(expected.coefficients, TestType(1e-4)));
  };
  same(basin::orthogonal_matching_pursuit(be, on_device, targets, options));
  // Columns of a matrix, and a Gram matrix that is held.
  add_gram(be, on_device);
  Eigen::MatrixX<TestType> G(35, 35);
  download(be, on_device.gram, G);
  CHECK(G.isApprox(dictionary.atoms.transpose() * dictionary.atoms, TestType(1e-5)));
  const auto some = basin::orthogonal_matching_pursuit(
      be, on_device, columns(be, std::as_const(targets), 4, 3), options);
  REQUIRE(some.size() == 3);
  CHECK(some.atoms == expected.atoms.middleCols(4, 3));
  // Where the dictionary holds one, the device makes its own.
  basin::add_gram(basin::cpu<TestType>(1), dictionary);
  const basin::DeviceDictionary<TestType> with_gram(be, dictionary);
  CHECK(with_gram.gram.cols() == 35);
  same(basin::orthogonal_matching_pursuit(be, with_gram, targets, options));
  CHECK_THROWS_WITH(
      basin::orthogonal_matching_pursuit(be, on_device, be.make_matrix(19, 2), options),
      "orthogonal_matching_pursuit: number of rows of the targets is 19, expected 20");
}

TEMPLATE_TEST_CASE("other pursuits on the device do what they do on the CPU", "[sparse]", float,
                   double) {
  const basin::cuda<TestType> be;
  const auto order = GENERATE(basin::launch_order::forward, basin::launch_order::reversed,
                              basin::launch_order::permuted);
  const basin::scoped_schedule schedule({order, 5});
  SECTION("matching pursuit") { other_pursuits::thresholding_is_matching_pursuit(be); }
  SECTION("greatest") { other_pursuits::thresholding_takes_the_greatest(be); }
  SECTION("limits") { other_pursuits::non_negative_keeps_to_its_limits(be); }
  SECTION("optimal") { other_pursuits::optimal_by_its_conditions(be); }
  SECTION("leave") { other_pursuits::atoms_leave_again(be); }
  SECTION("alone") { other_pursuits::non_negative_codes_hang_on_the_target_alone(be); }
  SECTION("coherence") {
    auto dictionary = basin::make_dictionary<TestType>(problems::normal<double>(20, 35, 1));
    const double expected = coherence(basin::cpu<TestType>(1), dictionary);
    basin::DeviceDictionary<TestType> on_device(be, dictionary);
    CHECK(coherence(be, on_device) == Approx(expected).epsilon(1e-5));
    add_gram(be, on_device);
    CHECK(coherence(be, on_device) == Approx(expected).epsilon(1e-5));
    CHECK(coherence(be, basin::DeviceDictionary<TestType>()) == 0);
    dictionary.atoms.conservativeResize(20, 1);
    CHECK(coherence(be, basin::DeviceDictionary<TestType>(be, dictionary)) == 0);
  }
}

TEST_CASE("non-negative pursuit on the device is non-negative least squares", "[sparse]") {
  other_pursuits::all_atoms_are_non_negative_least_squares(basin::cuda<double>());
}

TEST_CASE("factors on the device are triangles behind each other", "[sparse]") {
  const index_t most = 9;
  std::vector<double> factor(2 * 45, 0.0);
  std::vector<char> used(factor.size());
  const basin::device_view<const double> none(nullptr, 0, 0, 0);
  basin::detail::device_targets<double> s{.A = none,
                                          .X = none,
                                          .most = most,
                                          .active = nullptr,
                                          .state = nullptr,
                                          .target = nullptr,
                                          .support = nullptr,
                                          .coefficients = nullptr,
                                          .products = nullptr,
                                          .projections = nullptr,
                                          .squares = nullptr,
                                          .factor = factor.data(),
                                          .path = nullptr};
  for (index_t place = 0; place < 2; ++place) {
    for (index_t column = 0; column < most; ++column) {
      for (index_t row = column; row < most; ++row) {
        const auto at = &s.factor_at(place, row, column) - factor.data();
        REQUIRE(at >= 45 * place);
        REQUIRE(at < 45 * (place + 1));
        CHECK(used[static_cast<std::size_t>(at)]++ == 0);
      }
    }
  }
}
