#include <basin/solver/accelerator.hpp>

#include <vector>

#include <basin/map/function_map.hpp>
#include <basin/solver/fixed_point_solver.hpp>

#include "maps.hpp"

using basin::array_view;
using basin::damped;
using basin::FixedPointSolver;
using basin::index_t;
using basin::status;

namespace {

// Heavy ball: z + f(z) - z + momentum (z - z_before). Remembers a matrix, so it shows
// every seam of a remembering accelerator.
struct heavy_ball {
  double momentum = 0.3;

  template <class Visit>
  void each_setting(Visit&& visit) const {
    visit(momentum);
  }

  template <class B>
  class state {
   public:
    state(const heavy_ball& settings, const B& be, index_t k, index_t columns)
        : momentum_(static_cast<typename B::scalar>(settings.momentum)),
          before_(be.make_matrix(k, columns)),
          fresh_(static_cast<std::size_t>(columns), 1) {}

    void advance(const B& be, typename B::matrix& Z, typename B::matrix& F, index_t n) {
      for (index_t j = 0; j < n; ++j) {
        if (!std::exchange(fresh_[static_cast<std::size_t>(j)], 0)) continue;
        copy(be, columns(be, std::as_const(Z), j, 1), columns(be, before_, j, 1));
      }
      linear_combination(be, columns(be, F, 0, n),
                         basin::weighted<B>{1, columns(be, std::as_const(F), 0, n)},
                         basin::weighted<B>{momentum_, columns(be, std::as_const(Z), 0, n)},
                         basin::weighted<B>{-momentum_, columns(be, std::as_const(before_), 0, n)});
      copy(be, columns(be, std::as_const(Z), 0, n), columns(be, before_, 0, n));
      std::swap(Z, F);
    }
    void move_columns(const B& be, array_view<const index_t> from, array_view<const index_t> to) {
      basin::move_columns(be, before_, from, to, before_);
      for (index_t j = 0; j < from.size; ++j) {
        fresh_[static_cast<std::size_t>(to[j])] = fresh_[static_cast<std::size_t>(from[j])];
      }
    }
    template <class Archive>
    void archive(Archive& archive) {
      archive.array(before_.data(), static_cast<index_t>(before_.size()));
      archive.array(fresh_.data(), static_cast<index_t>(fresh_.size()));
    }

   private:
    typename B::scalar momentum_;
    typename B::matrix before_;
    std::vector<char> fresh_;
  };
};

static_assert(basin::pointwise_accelerator<basin::picard>);
static_assert(basin::pointwise_accelerator<damped>);
static_assert(basin::remembering_accelerator<heavy_ball, basin::cpu<double>>);
static_assert(!basin::accelerator<int, basin::cpu<double>>);

}  // namespace

TEST_CASE("damped iteration converges where Picard's circles", "[solver]") {
  const Eigen::MatrixXd start = Eigen::MatrixXd::Constant(2, 1, 0.7);
  FixedPointSolver circling{maps::rotation(2.0)};
  CHECK(circling.solve(start).status[0] == status::marginal);
  FixedPointSolver averaged{maps::rotation(2.0), damped{.factor = 0.5}};
  const auto found = averaged.solve(start);
  CHECK(found.status[0] == status::converged);
  CHECK(found.states.col(0).norm() < 1e-6);
}

TEST_CASE("the undamped residual decides", "[solver]") {
  // From 1 with factor 0.1 and f = 0: z = 0.9^t and the residual is |z|, not 0.1 |z|.
  const auto zero = basin::columnwise<1>([](double) { return 0.0; });
  FixedPointSolver solver{zero, damped{.factor = 0.1}, basin::stopping{.residual = 1e-3}};
  const auto found = solver.solve(Eigen::MatrixXd::Ones(1, 1));
  CHECK(found.iterations[0] == 66);  // the first t with 0.9^t <= 1e-3
  CHECK(found.residual[0] == Approx(found.states(0, 0)));
}

TEST_CASE("factors outside (0, 1] are refused", "[solver]") {
  for (const double factor : {0.0, -0.5, 1.5, std::nan("")}) {
    CHECK_THROWS_AS((FixedPointSolver{maps::linear(0.5), damped{.factor = factor}}),
                    basin::argument_error);
  }
}

TEST_CASE("a user's remembering accelerator goes through compaction", "[solver]") {
  const Eigen::MatrixXd starts = maps::starts(16, 300);
  FixedPointSolver solver{maps::network<double>(16), heavy_ball{}};
  const basin::cpu<double> cpu(2);
  const auto all = solver.solve(cpu, starts);
  CHECK(all.count(status::converged) == 300);
  CHECK(all.work.saved > 0);
  for (index_t j = 0; j < 300; j += 41) {
    const auto alone = solver.solve(cpu, starts.col(j));
    CHECK(alone.iterations[0] == all.iterations[static_cast<std::size_t>(j)]);
    CHECK((alone.states.col(0).array() == all.states.col(j).array()).all());
  }
}

TEST_CASE("a remembering accelerator resumes bitwise", "[solver]") {
  const Eigen::MatrixXd starts = maps::starts(16, 50);
  auto network = maps::network<double>(16);
  int calls = 0;
  bool failing = true;
  auto map = basin::function_map(
      16, [&, network](const basin::cpu<double>& be, const auto& Z, auto& out) mutable {
        if (failing && ++calls == 9) throw std::runtime_error("ninth call");
        network(be, basin::cpu<double>::const_view(Z), out);
      });
  FixedPointSolver solver{map, heavy_ball{}};
  const basin::cpu<double> cpu(1);
  try {
    (void)solver.solve(cpu, starts);
    FAIL("no exception");
  } catch (const basin::map_failure<basin::cpu<double>>& failure) {
    failing = false;
    const auto resumed = solver.resume(cpu, failure.checkpoint());
    maps::require_same(resumed, solver.solve(cpu, starts));
    // Another momentum is another run.
    FixedPointSolver other{map, heavy_ball{.momentum = 0.2}};
    CHECK_THROWS_AS((void)other.resume(cpu, failure.checkpoint()), basin::argument_error);
  }
}
