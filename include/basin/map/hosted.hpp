/// @file
/// A map of another backend, for algorithms of host memory.
#pragma once

#include <concepts>
#include <cstddef>
#include <utility>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu/context.hpp>
#include <basin/core/index.hpp>
#include <basin/map/concept.hpp>
#include <basin/map/derivative.hpp>
#include <basin/map/workspace.hpp>

namespace basin {

/// A map of a backend B in double, as a map of the CPU: states go to B and values come back, 16 k
/// bytes a column and evaluation. So an algorithm whose own work is small, such as Newton's method
/// at a few points, runs on the host with a map that only a device can evaluate.
/// @tparam B its scalar is double
template <backend B, class Map>
  requires std::same_as<typename B::scalar, double>
class HostedMap {
 public:
  using host = cpu<double>;
  static constexpr bool batch_coupled = is_batch_coupled<Map>;

  /// @param map is not copied
  HostedMap(const B& be, Map& map) : be_(be), map_(&map) {}
  [[nodiscard]] index_t dimension() const { return basin::dimension(*map_); }
  [[nodiscard]] index_t output_dimension() const { return basin::output_dimension(*map_); }

  void operator()(const host&, const host::const_view& Z, host::view& out)
    requires latent_map<Map, B>
  {
    evaluate(be_, *map_, uploaded(Z, 0), made(out, 1));
    download(be_, made(out, 1), out);
  }
  void jvp(const host&, const host::const_view& Z, const host::const_view& V, host::view& JV)
    requires has_jvp<Map, B>
  {
    basin::jvp(be_, *map_, uploaded(Z, 0), uploaded(V, 2), made(JV, 1));
    download(be_, made(JV, 1), JV);
  }
  void vjp(const host&, const host::const_view& Z, const host::const_view& U, host::view& JtU)
    requires has_vjp<Map, B>
  {
    basin::vjp(be_, *map_, uploaded(Z, 0), uploaded(U, 2), made(JtU, 1));
    download(be_, made(JtU, 1), JtU);
  }

  /// The states after some iterations, of which none comes back but the last two.
  /// @param times at least 1
  /// @param before the states one iteration before
  void iterate(host::view Z, int times, Eigen::MatrixXd& before)
    requires latent_map<Map, B>
  {
    int now = 0;
    (void)uploaded(Z, 0);
    for (int t = 0; t < times; ++t) {
      const auto slot = [](int which) { return static_cast<std::size_t>(which); };
      const typename B::const_view from = made(Z, slot(now));
      evaluate(be_, *map_, from, made(Z, slot(1 - now)));
      now = 1 - now;
    }
    before.resize(Z.rows(), Z.cols());
    download(be_, made(Z, static_cast<std::size_t>(1 - now)), before);
    download(be_, made(Z, static_cast<std::size_t>(now)), Z);
  }

 private:
  template <class X>
  [[nodiscard]] typename B::view made(const X& like, std::size_t slot) {
    return kept_.get(be_, slot, like.rows(), like.cols());
  }
  template <class X>
  [[nodiscard]] typename B::const_view uploaded(const X& from, std::size_t slot) {
    typename B::view to = made(from, slot);
    upload(be_, from, to);
    return to;
  }

  B be_;
  Map* map_;
  Workspace kept_;
};

}  // namespace basin
