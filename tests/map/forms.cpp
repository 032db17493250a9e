// Every form in which a callable is a map.
#include <array>

#include <basin/map/columnwise.hpp>
#include <basin/map/compose.hpp>
#include <basin/map/concept.hpp>
#include <basin/map/function_map.hpp>

#include "../solver/maps.hpp"

using basin::cpu;
using Eigen::MatrixXd;

namespace {

const cpu<double> be(2);
const MatrixXd Z = maps::starts(3, 40);

template <class Map>
void doubles(Map&& f) {
  static_assert(basin::latent_map<Map, cpu<double>>);
  MatrixXd out(3, 40);
  evaluate(be, f, Z, out);
  CHECK((out.array() == 2 * Z.array()).all());
  // Into a block of a larger matrix, which the map must not leave.
  MatrixXd wide = MatrixXd::Constant(5, 40, 7);
  evaluate(be, f, Z, wide.middleRows(1, 3));
  CHECK((wide.middleRows(1, 3).array() == 2 * Z.array()).all());
  CHECK((wide.row(0).array() == 7).all());
  CHECK((wide.row(4).array() == 7).all());
}

// Of states that are no Eigen types.
struct by_entries {
  static constexpr bool takes_entries = true;
  void operator()(const basin::column_entries<const double>& z,
                  const basin::column_entries<double>& out) const {
    for (basin::index_t i = 0; i < z.size(); ++i) out[i] = 2 * z[i];
  }
};

struct with_workspace {  // a stateful map
  MatrixXd kept;
  int calls = 0;
  template <class States, class Result>
  void operator()(const States& states, Result& out) {
    kept = states;
    ++calls;
    out = 2 * kept;
  }
};

double twice(double x) { return 2 * x; }

}  // namespace

TEST_CASE("callables of a batch", "[map]") {
  doubles([](const auto& X, auto& out) { out = 2 * X; });
  doubles([](const MatrixXd& X) { return MatrixXd(2 * X); });
  doubles([](const auto& X) { return 2 * X; });
  doubles([](const auto& X) { return 2 * X.array(); });
  doubles([](const cpu<double>&, const auto& X, auto& out) { out = 2 * X; });
  doubles([](const cpu<double>&, const auto& X) { return (2 * X).eval(); });
  doubles([](basin::backend auto const&, const auto& X, auto& out) { out = 2 * X; });
  doubles(basin::function_map(3, [](const auto& X) { return 2 * X; }));
  with_workspace stateful;
  doubles(stateful);
  CHECK(stateful.calls == 2);
  static_assert(!basin::latent_map<int, cpu<double>>);
  static_assert(!basin::latent_map<decltype([](int x) { return x; }), cpu<double>>);
}

TEST_CASE("callables of one state", "[map]") {
  doubles(basin::columnwise(3, [](const auto& z, auto& out) { out = 2 * z; }));
  doubles(basin::columnwise(3, [](const auto& z) { return 2 * z; }));
  doubles(basin::columnwise(3, [](const auto& z) { return 2 * z.array(); }));
  doubles(basin::columnwise<3>([](const auto& z, auto& out) { out = 2 * z; }));
  doubles(basin::columnwise<3>([](const auto& z) { return Eigen::Vector3d(2 * z); }));
  doubles(basin::columnwise<3>([](const Eigen::Vector3d& z) -> Eigen::Vector3d { return 2 * z; }));
  doubles(
      basin::columnwise(3, [](const auto& z) { return std::array{2 * z[0], 2 * z[1], 2 * z[2]}; }));
  doubles(basin::columnwise<3>(by_entries{}));
  doubles(basin::columnwise(3, by_entries{}));
  auto scalar = basin::columnwise<1>(twice);
  MatrixXd out(1, 40);
  evaluate(be, scalar, Z.topRows(1), out);
  CHECK((out.array() == 2 * Z.row(0).array()).all());
}

TEST_CASE("a batch that is coupled says so, through every adaptor", "[map]") {
  auto coupled = basin::batch_coupled([](const auto& X) { return (2 * X).eval(); });
  static_assert(basin::is_batch_coupled<decltype(coupled)>);
  static_assert(basin::is_batch_coupled<decltype(basin::compose(coupled, maps::rotation(1)))>);
  static_assert(!basin::is_batch_coupled<decltype(maps::rotation(1))>);
  static_assert(basin::is_columnwise<decltype(maps::rotation(1))>);
  doubles(coupled);
}
