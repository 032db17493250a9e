// Golden values of layers, made by PyTorch in double (tests/golden/nn/make.py), and what a
// layer's passes must satisfy whatever it computes.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <Eigen/Core>
#include <nlohmann/json.hpp>

#include <basin/backend/cpu/thread_pool.hpp>
#include <basin/core/random.hpp>
#include <basin/io/safetensors.hpp>
#include <basin/nn/layer.hpp>

#include "../catch.hpp"

namespace golden {

using basin::block;
using basin::index_t;
using basin::tensor_shape;

inline const std::filesystem::path folder =
    std::filesystem::path(__FILE__).parent_path().parent_path() / "golden" / "nn";

// ‖a - b‖ / ‖b‖, or ‖a‖ where b is zero.
template <class A, class B>
double difference(const A& a, const B& b) {
  const double size = b.template cast<double>().norm();
  return (a.template cast<double>() - b.template cast<double>()).norm() / (size > 0 ? size : 1);
}

// Columns of a shape in the engine's order.
template <class Scalar>
class Columns {
 public:
  Columns(const tensor_shape& shape, index_t count)
      : shape_(shape), memory_(shape.size() + 3, count) {
    memory_.setConstant(Scalar(-77));  // what must not be read
  }
  // From CHW columns.
  Columns(const tensor_shape& shape, const Eigen::MatrixXd& X) : Columns(shape, X.cols()) {
    for (index_t j = 0; j < X.cols(); ++j) {
      for (index_t i = 0; i < shape.size(); ++i) {
        memory_(i, j) = static_cast<Scalar>(X(shape.border_row(i), j));
      }
    }
  }
  operator block<Scalar>() {  // NOLINT: a test's convenience
    return {memory_.data(), memory_.outerStride(), memory_.cols()};
  }
  operator block<const Scalar>() const {  // NOLINT
    return {memory_.data(), memory_.outerStride(), memory_.cols()};
  }
  // As CHW columns.
  Eigen::MatrixXd matrix() const {
    Eigen::MatrixXd X(shape_.size(), memory_.cols());
    for (index_t j = 0; j < X.cols(); ++j) {
      for (index_t i = 0; i < shape_.size(); ++i) X(shape_.border_row(i), j) = memory_(i, j);
    }
    return X;
  }
  // The numbers between the columns, which no layer may write to.
  bool untouched() const { return (memory_.bottomRows(3).array() == Scalar(-77)).all(); }

 private:
  tensor_shape shape_;
  Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic> memory_;
};

struct Case {
  explicit Case(const std::string& name)
      : file(folder / (name + ".safetensors")),
        layer(file.metadata().find("layer")->second),
        options(nlohmann::json::parse(file.metadata().find("options")->second)) {}

  // A tensor with the batch as its columns.
  Eigen::MatrixXd columns(const std::string& name) const {
    const auto& shape = file.info(name).shape;
    const std::vector<double> values = file.read<double>(name);
    const auto size = static_cast<index_t>(values.size());
    return Eigen::Map<const Eigen::MatrixXd>(values.data(), size / shape[0], shape[0]);
  }
  Eigen::VectorXd vector(const std::string& name) const {
    const std::vector<double> values = file.read<double>(name);
    return Eigen::Map<const Eigen::VectorXd>(values.data(), static_cast<index_t>(values.size()));
  }
  // Shape of one state.
  tensor_shape shape(const std::string& name) const {
    const auto& s = file.info(name).shape;
    return s.size() == 4 ? tensor_shape{s[1], s[2], s[3]} : tensor_shape{s[1], 1, 1};
  }
  basin::index_t number(const char* key) const { return options.at(key).get<basin::index_t>(); }

  basin::SafetensorsFile file;
  std::string layer;
  nlohmann::json options;
};

// Every golden file whose name begins with `prefix`.
inline std::vector<std::string> names(const std::string& prefix) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() == ".safetensors" && name.starts_with(prefix)) {
      found.push_back(name);
    }
  }
  std::sort(found.begin(), found.end());
  REQUIRE_FALSE(found.empty());
  return found;
}

template <class L>
void set_parameters(L& l, const Case& one) {
  for (auto& parameter : l.parameters()) {
    const std::vector<double> values = one.file.read<double>("p." + parameter.name);
    REQUIRE(static_cast<index_t>(values.size()) == parameter.values.size);
    std::copy(values.begin(), values.end(), parameter.values.data);
  }
  l.parameters_changed(nullptr);
}

struct tolerance {
  double value = 1e-12;       // values, jvp, vjp
  double derivative = 1e-10;  // gradients of parameters, second derivatives
};

// Holds every pass of the layer against the file.
template <class L>
void check(L l, const Case& one, tolerance allowed = {}) {
  using Scalar = typename L::scalar;
  set_parameters(l, one);
  const tensor_shape from = l.input_shape();
  const tensor_shape to = l.output_shape();
  REQUIRE(from.size() == one.shape("x").size());
  REQUIRE(to.size() == one.shape("y").size());
  const Columns<Scalar> x(from, one.columns("x")), v(from, one.columns("v"));
  const Columns<Scalar> u(to, one.columns("u")), w(to, one.columns("w"));
  const index_t count = one.columns("x").cols();
  Columns<Scalar> y(to, count), jv(to, count), jtu(from, count), sx(from, count), sv(from, count);

  l.forward(nullptr, x, y);
  CHECK(difference(y.matrix(), one.columns("y")) <= allowed.value);
  l.jvp(nullptr, x, y, v, jv);
  CHECK(difference(jv.matrix(), one.columns("jv")) <= allowed.value);
  l.vjp(nullptr, x, y, u, jtu);
  CHECK(difference(jtu.matrix(), one.columns("jtu")) <= allowed.value);
  l.dual_vjp(nullptr, x, y, v, u, w, sx, sv);
  CHECK(difference(sx.matrix(), one.columns("s.x")) <= allowed.derivative);
  CHECK(difference(sv.matrix(), one.columns("s.v")) <= allowed.derivative);

  const auto size = basin::parameter_count(l);
  Eigen::Matrix<Scalar, Eigen::Dynamic, 1> g(size), s(size);
  g.setOnes();  // gradients are added to what is there
  s.setOnes();
  l.gradient(nullptr, x, y, u, g.data());
  l.dual_gradient(nullptr, x, y, v, u, w, s.data());
  index_t first = 0;
  for (const auto& parameter : l.parameters()) {
    INFO(parameter.name);
    const auto part = [&](const auto& all) {
      return (all.segment(first, parameter.values.size).array() - Scalar(1)).matrix().eval();
    };
    CHECK(difference(part(g), one.vector("g." + parameter.name)) <= allowed.derivative);
    CHECK(difference(part(s), one.vector("s." + parameter.name)) <= allowed.derivative);
    first += parameter.values.size;
  }
  for (const auto* block : {&y, &jv, &jtu, &sx, &sv}) CHECK(block->untouched());
}

// Standard normal columns, by CHW.
inline Eigen::MatrixXd normal(index_t rows, index_t columns, std::uint32_t stream) {
  Eigen::MatrixXd X(rows, columns);
  for (index_t j = 0; j < columns; ++j) {
    for (index_t i = 0; i < rows; ++i) X(i, j) = basin::normal_at<double>({5, stream}, i, j);
  }
  return X;
}

// What holds for any layer that is smooth where it is evaluated: jvp against central
// differences, vjp against jvp, second derivatives and parameter gradients against
// differences of first ones, and every pass independent of the batch to the bit.
template <class L>
void check_properties(L l, index_t count = 9) {
  using Scalar = typename L::scalar;
  static_assert(std::is_same_v<Scalar, double>);
  const tensor_shape from = l.input_shape();
  const tensor_shape to = l.output_shape();
  const Eigen::MatrixXd X = normal(from.size(), count, 1), V = normal(from.size(), count, 2);
  const Eigen::MatrixXd U = normal(to.size(), count, 3), W = normal(to.size(), count, 4);
  struct answers {
    Eigen::MatrixXd y, jv, jtu, sx, sv;
    Eigen::VectorXd g, s;
  };
  const auto run = [&](const Eigen::MatrixXd& X0, const Eigen::MatrixXd& V0,
                       const Eigen::MatrixXd& U0, const Eigen::MatrixXd& W0,
                       basin::thread_pool* pool) {
    const Columns<double> x(from, X0), v(from, V0), u(to, U0), w(to, W0);
    const index_t n = X0.cols();
    Columns<double> y(to, n), jv(to, n), jtu(from, n), sx(from, n), sv(from, n);
    answers all;
    all.g.setZero(basin::parameter_count(l));
    all.s = all.g;
    l.forward(pool, x, y);
    l.jvp(pool, x, y, v, jv);
    l.vjp(pool, x, y, u, jtu);
    l.dual_vjp(pool, x, y, v, u, w, sx, sv);
    l.gradient(pool, x, y, u, all.g.data());
    l.dual_gradient(pool, x, y, v, u, w, all.s.data());
    all.y = y.matrix();
    all.jv = jv.matrix();
    all.jtu = jtu.matrix();
    all.sx = sx.matrix();
    all.sv = sv.matrix();
    return all;
  };
  const answers at = run(X, V, U, W, nullptr);
  for (index_t j = 0; j < count; ++j) {
    const double product = U.col(j).dot(at.jv.col(j));
    CHECK(std::abs(product - at.jtu.col(j).dot(V.col(j))) <=
          1e-12 * std::max(U.col(j).norm() * at.jv.col(j).norm(),
                           V.col(j).norm() * at.jtu.col(j).norm()));
  }
  const double h = 1e-5;
  const answers ahead = run(X + h * V, V, U, W, nullptr);
  const answers behind = run(X - h * V, V, U, W, nullptr);
  CHECK(difference((ahead.y - behind.y) / (2 * h), at.jv) <= 1e-7);
  // s = <u, y> + <w, J v>; its derivative along v.
  const auto s_of = [&](const answers& a) {
    return U.cwiseProduct(a.y).sum() + W.cwiseProduct(a.jv).sum();
  };
  const double along = (s_of(ahead) - s_of(behind)) / (2 * h);
  CHECK(std::abs(along - at.sx.cwiseProduct(V).sum()) <= 1e-6 * (1 + std::abs(along)));
  CHECK(std::abs(W.cwiseProduct(at.jv).sum() - at.sv.cwiseProduct(V).sum()) <=
        1e-12 * W.norm() * at.jv.norm() + 1e-300);
  if (at.g.size() > 0) {
    const Eigen::VectorXd direction = normal(at.g.size(), 1, 5);
    const L original = l;
    const auto moved = [&](double distance) {
      index_t i = 0;
      for (auto& one : l.parameters()) {
        for (index_t e = 0; e < one.values.size; ++e) one.values[e] += distance * direction(i++);
      }
      l.parameters_changed(nullptr);
      const answers there = run(X, V, U, W, nullptr);
      l = original;
      return there;
    };
    const answers up = moved(h);
    const answers down = moved(-h);
    const double g = (U.cwiseProduct(up.y).sum() - U.cwiseProduct(down.y).sum()) / (2 * h);
    CHECK(std::abs(g - at.g.dot(direction)) <= 1e-6 * (1 + std::abs(g)));
    const double s = (s_of(up) - s_of(down)) / (2 * h);
    CHECK(std::abs(s - at.s.dot(direction)) <= 1e-6 * (1 + std::abs(s)));
  }
  basin::thread_pool two(2);
  const answers again = run(X, V, U, W, &two);
  CHECK((again.y == at.y && again.jv == at.jv && again.jtu == at.jtu && again.sx == at.sx &&
         again.sv == at.sv && again.g == at.g && again.s == at.s));
  for (const index_t n : {index_t{1}, index_t{2}, index_t{5}}) {
    const index_t first = count - n;
    const answers part = run(X.rightCols(n), V.rightCols(n), U.rightCols(n), W.rightCols(n),
                             n == 1 ? &two : nullptr);
    INFO(n << " columns from " << first);
    CHECK((part.y == at.y.rightCols(n)));
    CHECK((part.jv == at.jv.rightCols(n)));
    CHECK((part.jtu == at.jtu.rightCols(n)));
    CHECK((part.sx == at.sx.rightCols(n)));
    CHECK((part.sv == at.sv.rightCols(n)));
  }
}

}  // namespace golden
