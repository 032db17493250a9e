// Thresholding in an orthonormal basis, and pursuit with coefficients that are not negative.
#include <basin/sparse/non_negative_pursuit.hpp>
#include <basin/sparse/orthogonal_matching_pursuit.hpp>
#include <basin/sparse/thresholding.hpp>

#include "other_pursuits.hpp"

TEMPLATE_TEST_CASE("thresholding is orthogonal matching pursuit in a basis", "[sparse]", float,
                   double) {
  const basin::cpu<TestType> be(2);
  other_pursuits::thresholding_is_matching_pursuit(be);
  other_pursuits::thresholding_takes_the_greatest(be);
}

TEST_CASE("without a limit, non-negative pursuit is non-negative least squares", "[sparse]") {
  other_pursuits::all_atoms_are_non_negative_least_squares(basin::cpu<double>(2));
}

TEMPLATE_TEST_CASE("non-negative pursuit keeps to its limits", "[sparse]", float, double) {
  const basin::cpu<TestType> be(2);
  other_pursuits::non_negative_keeps_to_its_limits(be);
  other_pursuits::optimal_by_its_conditions(be);
  other_pursuits::atoms_leave_again(be);
  other_pursuits::non_negative_codes_hang_on_the_target_alone(be);
}

TEMPLATE_TEST_CASE("blocks of targets change no bit of other pursuits", "[sparse]", float, double) {
  const basin::cpu<TestType> be(2);
  const auto dictionary = basin::make_dictionary<TestType>(problems::alike<double>(40, 70, 0.6, 5));
  const auto basis = basin::random_orthogonal_dictionary(be, 40, 30, {.seed = 1});
  const Eigen::MatrixX<TestType> X = problems::normal<TestType>(40, 17, 8);
  const auto same = [](const auto& a, const auto& b) {
    CHECK(a.atoms == b.atoms);
    CHECK(a.coefficients == b.coefficients);
    CHECK(a.residuals == b.residuals);
    CHECK(a.path == b.path);
    CHECK(a.status == b.status);
  };
  using backend = basin::cpu<TestType>;
  for (const basin::index_t bytes : {0, 30000, 60000}) {
    same(basin::detail::pursue_non_negative<backend>(be, dictionary.atoms, X, {.atoms = 20}, bytes),
         basin::non_negative_pursuit(be, dictionary, X, {.atoms = 20}));
    same(basin::detail::threshold_on<backend>(be, basis.atoms, 0, X, {.atoms = 9, .path = true},
                                              bytes / 10),
         basin::thresholding(be, basis, X, {.atoms = 9, .path = true}));
  }
  same(basin::non_negative_pursuit(basin::cpu<TestType>(1), dictionary, X, {.atoms = 20}),
       basin::non_negative_pursuit(be, dictionary, X, {.atoms = 20}));
}
