// Maps of autoencoders, and their Jacobians.
#pragma once

#include <utility>

#include <Eigen/Core>

#include <basin/backend/cpu.hpp>
#include <basin/map/concept.hpp>
#include <basin/nn/autoencoder.hpp>

#include "../nn/golden.hpp"

namespace maps {

using basin::index_t;

template <class Scalar>
using matrix = typename basin::cpu<Scalar>::matrix;

template <class Map, class Scalar = typename Map::scalar>
matrix<Scalar> value(const Map& map, const matrix<Scalar>& X,
                     const basin::cpu<Scalar>& be = basin::cpu<Scalar>(1)) {
  matrix<Scalar> Y(map.output_dimension(), X.cols());
  basin::evaluate(be, map, X, Y);
  return Y;
}
template <class Map, class Scalar = typename Map::scalar>
matrix<Scalar> jvp(const Map& map, const matrix<Scalar>& X, const matrix<Scalar>& V,
                   const basin::cpu<Scalar>& be = basin::cpu<Scalar>(1)) {
  matrix<Scalar> JV(map.output_dimension(), X.cols());
  map.jvp(be, X, V, JV);
  return JV;
}
template <class Map, class Scalar = typename Map::scalar>
matrix<Scalar> vjp(const Map& map, const matrix<Scalar>& X, const matrix<Scalar>& U,
                   const basin::cpu<Scalar>& be = basin::cpu<Scalar>(1)) {
  matrix<Scalar> JtU(map.dimension(), X.cols());
  map.vjp(be, X, U, JtU);
  return JtU;
}
template <class Map, class Scalar = typename Map::scalar>
matrix<Scalar> jacobian(const Map& map, const matrix<Scalar>& x) {
  const index_t k = map.dimension();
  return jvp(map, x.replicate(1, k).eval(), matrix<Scalar>::Identity(k, k).eval());
}

// Standard normal columns.
template <class Scalar>
matrix<Scalar> normal(index_t rows, index_t columns, std::uint32_t stream) {
  return golden::normal(rows, columns, stream).template cast<Scalar>();
}

// PyTorch's initial parameters with the weights enlarged, as they shrink what passes.
template <class Scalar>
basin::Autoencoder<Scalar> initialized(basin::Autoencoder<Scalar> autoencoder, Scalar weights = 2) {
  autoencoder.initialize(3);
  for (auto& one : autoencoder.parameters()) {
    if (one.shape.size() < 2) continue;
    for (index_t i = 0; i < one.values.size; ++i) one.values[i] *= weights;
  }
  autoencoder.parameters_changed();
  return autoencoder;
}

// Holds an autoencoder made for `name` against the golden file of one of its four maps.
template <class Scalar>
void check_golden(basin::Autoencoder<Scalar> autoencoder, const std::string& name,
                  golden::tolerance allowed) {
  const golden::Case one(name);
  INFO(name);
  for (auto& parameter : autoencoder.parameters()) {
    if (!one.file.contains("p." + parameter.name)) continue;
    const std::vector<double> values =
        one.file.read<double>("p." + parameter.name, parameter.shape);
    std::copy(values.begin(), values.end(), parameter.values.data);
  }
  autoencoder.parameters_changed();
  const auto map = one.layer == "encoder"      ? autoencoder.encoder_map()
                   : one.layer == "decoder"    ? autoencoder.decoder_map()
                   : one.layer == "latent_map" ? autoencoder.latent_map()
                                               : autoencoder.reconstruction_map();
  const auto columns = [&](const char* tensor) -> matrix<Scalar> {
    return one.columns(tensor).template cast<Scalar>();
  };
  using golden::difference;
  CHECK(difference(value(map, columns("x")), one.columns("y")) <= allowed.value);
  CHECK(difference(jvp(map, columns("x"), columns("v")), one.columns("jv")) <= allowed.value);
  CHECK(difference(vjp(map, columns("x"), columns("u")), one.columns("jtu")) <= allowed.value);
  if (one.file.contains("w") && one.layer.ends_with("_map")) {
    golden::check(map.layer(), one, allowed);
  }
}

}  // namespace maps
