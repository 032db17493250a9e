// Metrics of sets of points on the device backend: what they are on the CPU, and the same answers.
// Built by nvcc for a GPU, and by a plain compiler for Thrust's sequential host system.
#include <array>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <basin/attractor/cuda/nearest.hpp>
#include <basin/attractor/cuda/sets.hpp>
#include <basin/backend/cuda.hpp>

#include "../backend/launch.hpp"
#include "metrics_suite.hpp"
#include "nearest_suite.hpp"

using basin::DeviceNearestReferences;
using basin::index_t;
using basin::point_metric;

namespace {

template <class Scalar, class Product>
auto on_device(const basin::cuda<Product>& be, const Eigen::MatrixX<Scalar>& X) {
  return basin::detail::in_device_memory(be, X);
}
template <class Scalar>
basin::device_view<const Scalar> view_of(const basin::DeviceMatrix<Scalar>& X) {
  return X;
}

}  // namespace

TEMPLATE_TEST_CASE("searches on the device do what they do on the CPU", "[nearest]", float,
                   double) {
  const basin::cuda<TestType> be;
  SECTION("golden") { nearest::golden_answers(be); }
  SECTION("in double") { nearest::nearest_are_those_in_double(be, 120); }
  nearest::products_may_cancel_or_overflow(be);
  SECTION("left out") { nearest::references_can_be_left_out(be); }
  SECTION("misuse") { nearest::searches_are_refused(be); }
}

TEMPLATE_TEST_CASE("metrics on the device are what they are on the CPU", "[metrics]", float,
                   double) {
  const basin::cuda<TestType> be;
  SECTION("images") { metrics::images_are_memorised(be); }
  SECTION("ties") { metrics::equal_cosines_go_to_the_first(be, 2); }
  SECTION("float") { metrics::float_cannot_tell(be); }
  SECTION("zeros") { metrics::zeros_have_cosine_zero(be); }
  SECTION("by hand") { metrics::chamfer_by_hand(be); }
  SECTION("scales") { metrics::chamfer_scales(be); }
  SECTION("golden") { metrics::answers_of_sets(be); }
  SECTION("columns") { metrics::columns_are_those_in_double(be); }
  SECTION("misuse") { metrics::metrics_are_refused(be); }
}

TEMPLATE_TEST_CASE("searches of ragged shapes are those of the CPU", "[nearest]", float, double) {
  const basin::cuda<TestType> be;
  const basin::cpu<TestType> cpu(1);
  // k, references, samples, neighbours; chunks are of 1024 references, tiles of 8192.
  const std::vector<std::array<index_t, 4>> shapes{
      {1, 1, 1, 1},     {1, 2, 3, 2},      {2, 31, 1, 31},   {3, 32, 7, 5},    {5, 33, 8, 33},
      {31, 63, 9, 7},   {32, 64, 2, 32},   {33, 65, 16, 33}, {63, 127, 17, 1}, {64, 128, 5, 31},
      {65, 129, 3, 3},  {127, 40, 33, 40}, {128, 9, 31, 2},  {2, 1023, 9, 4},  {2, 1024, 9, 1},
      {3, 1025, 4, 2},  {7, 2047, 3, 34},  {4, 2049, 2, 65}, {1, 8191, 2, 3},  {2, 8192, 2, 2},
      {2, 8193, 3, 10}, {3, 9300, 2, 1},   {1, 17000, 1, 5}, {300, 5, 1, 5}};
  for (const auto& [k, m, n, neighbours] : shapes) {
    CAPTURE(k, m, n, neighbours);
    // Few values: many distances are equal.
    const Eigen::MatrixX<TestType> Y =
        (nearest::normal(k, m, 3) * 2).array().round().template cast<TestType>();
    const Eigen::MatrixX<TestType> X = nearest::normal(k, n, 4).template cast<TestType>();
    std::vector<index_t> excluded;
    if (neighbours < m && n % 2 == 1) {
      for (index_t j = 0; j < n; ++j) excluded.push_back(j % 3 == 0 ? -1 : (7 * j) % m);
    }
    const auto expected = basin::NearestReferences(cpu, Y).nearest(cpu, X, neighbours, excluded);
    const index_t wanted = neighbours;  // which a lambda may capture
    const auto same = [&] {
      const auto found = DeviceNearestReferences(be, Y).nearest(be, X, wanted, excluded);
      CHECK(found.index == expected.index);
      CHECK((found.distance - expected.distance).cwiseAbs().maxCoeff() <=
            1e-14 * expected.distance.maxCoeff());
    };
    if (m <= 128) {
      launches::in_every_schedule(same);
    } else {
      same();
    }
  }
}

TEMPLATE_TEST_CASE("a search takes any scalar on either side, wherever it stands", "[nearest]",
                   float, double) {
  const basin::cuda<TestType> be;
  const Eigen::MatrixXf Y = nearest::normal(5, 70, 0).cast<float>();
  const Eigen::MatrixXd X = nearest::normal(5, 9, 1);
  const auto expected = nearest::by_all(Y, X, 4);
  const auto device_Y = on_device<float>(be, Y);
  const auto device_X = on_device<double>(be, X);
  const DeviceNearestReferences search(be, view_of(device_Y));
  nearest::check_equal(search.nearest(be, X, 4), expected);
  nearest::check_equal(search.nearest(be, device_X, 4), expected);
  nearest::check_equal(DeviceNearestReferences(be, Y.cast<double>().eval()).nearest(be, X, 4),
                       expected);
  // Columns with others between them, and memory that larger searches have used.
  Eigen::MatrixXd wide = Eigen::MatrixXd::Constant(11, 9, std::numeric_limits<double>::quiet_NaN());
  wide.topRows(5) = X;
  const auto padded = on_device<double>(be, wide);
  basin::NearestScratch<TestType> scratch;
  nearest::check_equal(search.nearest(be, view_of(device_X), 60, {}, scratch),
                       nearest::by_all(Y, X, 60));
  const basin::device_view<const double> part(padded.data(), 5, 9, 11);
  nearest::check_equal(search.nearest(be, part, 4, {}, scratch), expected);
  CHECK(search.nearest(be, X.leftCols(0), 3).index.cols() == 0);
}

TEMPLATE_TEST_CASE("metrics of points in device memory are those of host memory", "[metrics]",
                   float, double) {
  const basin::cuda<TestType> be;
  Eigen::MatrixX<TestType> A = metrics::normal(13, 21, 3).template cast<TestType>();
  Eigen::MatrixX<TestType> B = metrics::normal(13, 50, 4).template cast<TestType>();
  B.col(7).setZero();
  A.col(2).setZero();
  A.col(4) = TestType(0.25) * B.col(40);
  const auto a = on_device<TestType>(be, A), b = on_device<TestType>(be, B);
  for (const bool centered : {false, true}) {
    const auto found = basin::memorization(be, view_of(a), view_of(b), {.centered = centered});
    const auto expected = basin::memorization(basin::cpu<double>(1), A, B, {.centered = centered});
    CHECK(found.nearest == expected.nearest);
    CHECK((found.similarity - expected.similarity).cwiseAbs().maxCoeff() < 1e-14);
    CHECK(found.mean == Approx(expected.mean).epsilon(1e-14));
    CHECK(found.deviation == Approx(expected.deviation).epsilon(1e-13));
  }
  for (const auto metric :
       {point_metric::euclidean, point_metric::squared_euclidean, point_metric::cosine}) {
    CAPTURE(to_string(metric));
    const auto found = basin::chamfer(be, view_of(a), view_of(b), {.metric = metric});
    const auto expected = basin::chamfer(basin::cpu<double>(1), A, B, {.metric = metric});
    CHECK(found.forward == Approx(expected.forward).epsilon(1e-14));
    CHECK(found.backward == Approx(expected.backward).epsilon(1e-14));
  }
  B(1, 6) = std::numeric_limits<TestType>::quiet_NaN();
  const auto bad = on_device<TestType>(be, B);
  CHECK(metrics::message_of([&] { (void)basin::memorization(be, view_of(a), view_of(bad)); }) ==
        "memorization: image 6 is not finite");
  CHECK(metrics::message_of([&] { (void)basin::chamfer(be, view_of(bad), view_of(a)); }) ==
        "chamfer: point of the first set 6 is not finite");
  const basin::DeviceMatrix<TestType> none(13, 0), other(12, 3);
  CHECK_THROWS_AS(basin::chamfer(be, view_of(none), view_of(a)), basin::size_error);
  CHECK_THROWS_AS(basin::memorization(be, view_of(a), view_of(none)), basin::size_error);
}
