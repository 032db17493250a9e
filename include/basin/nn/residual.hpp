/// @file
/// The sum of two layers side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <basin/backend/cpu/scratch.hpp>
#include <basin/nn/chain.hpp>
#include <basin/nn/elementwise.hpp>
#include <basin/nn/layer.hpp>

namespace basin {

/// y = body(x) + skip(x) (He, Zhang, Ren and Sun 2016, equation 1 with the identity as skip,
/// equation 2 with a projection). Body and skip are any layers of the same shapes, known when
/// compiling, such as a Sequential, or when running: a Network or an AnyLayer. Parameters are
/// named "body.…" and "skip.…", the body's first.
///
/// Cost of each pass: that pass of both layers and an addition an element; derivatives also
/// compute the value of a layer that is not a chain, which a chain does by itself on the way.
/// Memory: scratch for one output, or one input in reverse passes, and for two values.
template <layer Body, layer Skip = Elementwise<typename Body::scalar, identity_function>>
  requires std::is_same_v<typename Body::scalar, typename Skip::scalar>
class Residual {
 public:
  using scalar = typename Body::scalar;

  /// @throws argument_error if the body or the skip is a network without layers
  /// @throws size_error unless both have the same shapes
  Residual(Body body, Skip skip) : body_(std::move(body)), skip_(std::move(skip)) {
    require_layers("body", body_);
    require_layers("skip", skip_);
    if (body_.input_shape() != skip_.input_shape() ||
        body_.output_shape() != skip_.output_shape()) {
      throw size_error("residual: the body takes " + shapes(body_) + ", the skip takes " +
                       shapes(skip_));
    }
  }

  [[nodiscard]] tensor_shape input_shape() const { return body_.input_shape(); }
  [[nodiscard]] tensor_shape output_shape() const { return body_.output_shape(); }
  [[nodiscard]] const Body& body() const noexcept { return body_; }
  [[nodiscard]] const Skip& skip() const noexcept { return skip_; }

  void forward(thread_pool* pool, block<const scalar> x, block<scalar> y) const {
    scratch_scope scope;
    const block<scalar> other = like(scope, output_shape(), y.count);
    body_.forward(pool, x, y);
    skip_.forward(pool, x, other);
    add(other, output_shape(), y);
  }
  void jvp(thread_pool* pool, block<const scalar> x, block<const scalar>, block<const scalar> v,
           block<scalar> jv) const {
    scratch_scope scope;
    const block<scalar> other = like(scope, output_shape(), x.count);
    body_.jvp(pool, x, value(scope, body_, pool, x), v, jv);
    skip_.jvp(pool, x, value(scope, skip_, pool, x), v, other);
    add(other, output_shape(), jv);
  }
  void vjp(thread_pool* pool, block<const scalar> x, block<const scalar>, block<const scalar> u,
           block<scalar> jtu) const {
    scratch_scope scope;
    const block<scalar> other = like(scope, input_shape(), x.count);
    body_.vjp(pool, x, value(scope, body_, pool, x), u, jtu);
    skip_.vjp(pool, x, value(scope, skip_, pool, x), u, other);
    add(other, input_shape(), jtu);
  }
  void dual_vjp(thread_pool* pool, block<const scalar> x, block<const scalar>,
                block<const scalar> v, block<const scalar> u, block<const scalar> w,
                block<scalar> sx, block<scalar> sv) const {
    scratch_scope scope;
    const block<scalar> other_x = like(scope, input_shape(), x.count);
    const block<scalar> other_v = like(scope, input_shape(), x.count);
    body_.dual_vjp(pool, x, value(scope, body_, pool, x), v, u, w, sx, sv);
    skip_.dual_vjp(pool, x, value(scope, skip_, pool, x), v, u, w, other_x, other_v);
    add(other_x, input_shape(), sx);
    add(other_v, input_shape(), sv);
  }
  void gradient(thread_pool* pool, block<const scalar> x, block<const scalar>,
                block<const scalar> u, scalar* g) const {
    scratch_scope scope;
    body_.gradient(pool, x, value(scope, body_, pool, x), u, g);
    skip_.gradient(pool, x, value(scope, skip_, pool, x), u, g + parameter_count(body_));
  }
  void dual_gradient(thread_pool* pool, block<const scalar> x, block<const scalar>,
                     block<const scalar> v, block<const scalar> u, block<const scalar> w,
                     scalar* g) const {
    scratch_scope scope;
    body_.dual_gradient(pool, x, value(scope, body_, pool, x), v, u, w, g);
    skip_.dual_gradient(pool, x, value(scope, skip_, pool, x), v, u, w, g + parameter_count(body_));
  }

  [[nodiscard]] std::vector<parameter<scalar>> parameters() {
    std::vector<parameter<scalar>> all;
    const auto append = [&](const std::string& prefix, std::vector<parameter<scalar>> list) {
      for (parameter<scalar>& one : list) {
        one.name = prefix + one.name;
        all.push_back(std::move(one));
      }
    };
    append("body.", body_.parameters());
    append("skip.", skip_.parameters());
    return all;
  }
  void parameters_changed(thread_pool* pool) {
    body_.parameters_changed(pool);
    skip_.parameters_changed(pool);
  }
  /// Body and skip from seeds of their own: the streams that follow belong to the layers
  /// behind this one.
  void initialize(random_stream random) {
    const auto seed = [words = random.words(0, 0)](std::size_t i) {
      return std::uint64_t{words[i]} << 32 | words[i + 1];
    };
    body_.initialize({seed(0), 0});
    skip_.initialize({seed(2), 0});
  }

 private:
  template <class L>
  static void require_layers(std::string_view which, const L& l) {
    if constexpr (requires { l.depth(); }) {
      require(l.depth() > 0, "residual", "the " + std::string(which) + " has no layers");
    }
  }
  template <class L>
  static std::string shapes(const L& l) {
    return to_string(l.input_shape()) + " and gives " + to_string(l.output_shape());
  }

  static block<scalar> like(scratch_scope& scope, const tensor_shape& shape, index_t count) {
    const index_t stride = detail::column_stride<scalar>(shape.size());
    return {scope.get<scalar>(stride * count), stride, count};
  }
  /// The layer's value at x; chains do without.
  template <class L>
  static block<const scalar> value(scratch_scope& scope, const L& l, thread_pool* pool,
                                   block<const scalar> x) {
    if constexpr (requires { l.depth(); }) {
      return {};
    } else {
      const block<scalar> y = like(scope, l.output_shape(), x.count);
      l.forward(pool, x, y);
      return y;
    }
  }
  static void add(block<const scalar> other, const tensor_shape& shape, block<scalar> to) {
    for (index_t j = 0; j < to.count; ++j) {
      for (index_t i = 0; i < shape.size(); ++i) to.column(j)[i] += other.column(j)[i];
    }
  }

  Body body_;
  Skip skip_;
};

/// y = body(x) + skip(x).
/// @throws argument_error if the body or the skip is a network without layers
/// @throws size_error unless both have the same shapes
template <layer Body, layer Skip>
[[nodiscard]] Residual<Body, Skip> residual(Body body, Skip skip) {
  return {std::move(body), std::move(skip)};
}

/// y = body(x) + x.
/// @throws argument_error if the body is a network without layers
/// @throws size_error unless the body gives the shape that it takes
template <layer Body>
[[nodiscard]] Residual<Body> residual(Body body) {
  const tensor_shape shape = body.input_shape();
  return {std::move(body), Elementwise<typename Body::scalar, identity_function>(shape)};
}

}  // namespace basin
