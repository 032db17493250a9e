// What every primitive does, on every backend: the suite that a backend must pass.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/concept.hpp>
#include <basin/backend/cpu/lanes.hpp>
#include <basin/backend/gemm_options.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/random.hpp>

#include "../catch.hpp"

namespace conformance {

using basin::array_view;
using basin::index_t;

template <class B>
using host_matrix = Eigen::MatrixX<typename B::scalar>;

// A matrix of the backend, with columns on either side that must stay as they are.
template <class B>
class framed {
 public:
  explicit framed(const B& be, const host_matrix<B>& X)
      : be_(be), columns_(X.cols()), device_(be.make_matrix(X.rows(), X.cols() + 2 * frame)) {
    host_matrix<B> all = host_matrix<B>::Constant(X.rows(), X.cols() + 2 * frame, mark);
    all.middleCols(frame, X.cols()) = X;
    upload(be, all, columns(be, device_, 0, all.cols()));
  }
  typename B::view view() { return columns(be_, device_, frame, columns_); }
  typename B::const_view read() const { return columns(be_, device_, frame, columns_); }
  // The matrix, after a look at its frame.
  host_matrix<B> host() const {
    host_matrix<B> all(device_.rows(), columns_ + 2 * frame);
    download(be_, columns(be_, device_, 0, all.cols()), all);
    REQUIRE((all.leftCols(frame).array() == mark).all());
    REQUIRE((all.rightCols(frame).array() == mark).all());
    return all.middleCols(frame, columns_);
  }

 private:
  static constexpr index_t frame = 3;
  static constexpr typename B::scalar mark = 77;
  const B& be_;
  index_t columns_;
  typename B::matrix device_;
};

template <class T, class B>
std::vector<T> host_array(const B& be, const typename B::template buffer<T>& x) {
  std::vector<T> values(static_cast<std::size_t>(x.size()));
  download_array(be, array_view<const T>(x), array_view<T>(values));
  return values;
}
template <class T, class B>
typename B::template buffer<T> device_array(const B& be, const std::vector<T>& x) {
  auto values = be.template make_buffer<T>(static_cast<index_t>(x.size()));
  upload_array(be, array_view<const T>(x), array_view<T>(values));
  return values;
}

// Bits, so that a NaN equals itself.
template <class Derived, class Other>
bool same_bits(const Eigen::MatrixBase<Derived>& a, const Eigen::MatrixBase<Other>& b) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  for (index_t j = 0; j < a.cols(); ++j) {
    for (index_t i = 0; i < a.rows(); ++i) {
      const auto x = a(i, j);
      const auto y = b(i, j);
      if (std::memcmp(&x, &y, sizeof x) != 0) return false;
    }
  }
  return true;
}

template <class B>
double tolerance() {
  return 64 * static_cast<double>(std::numeric_limits<typename B::scalar>::epsilon());
}

template <class Call>
void throws_with(Call&& call, const std::string& first, const std::string& second) {
  try {
    call();
    FAIL("no size_error");
  } catch (const basin::size_error& e) {
    CHECK(std::string(e.what()).find(first) != std::string::npos);
    CHECK(std::string(e.what()).find(second) != std::string::npos);
  }
}

// Ragged sizes: below, at and beyond registers, tiles and tasks.
inline const std::vector<index_t> row_counts{1, 2, 3, 15, 16, 17, 31, 33, 128, 300};
inline const std::vector<index_t> column_counts{0, 1, 5, 16, 33};

// Numbers that no library's generator makes differ.
template <class B>
host_matrix<B> numbers(index_t rows, index_t columns, std::uint32_t stream) {
  host_matrix<B> X(rows, columns);
  const basin::random_stream words{2026, stream};
  for (index_t j = 0; j < columns; ++j) {
    for (index_t i = 0; i < rows; ++i) {
      X(i, j) = static_cast<typename B::scalar>(
          2 * basin::uniform_from_word<double>(words.word(i, j)) - 1);
    }
  }
  return X;
}

struct cube {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x) const {
    return x * x * x;
  }
};
struct product {
  template <class T>
  BASIN_HOST_DEVICE T operator()(const T& x, const T& y) const {
    return x * y;
  }
};

template <class B>
void transfers(const B& be) {
  for (const index_t k : row_counts) {
    for (const index_t n : column_counts) {
      const host_matrix<B> X = numbers<B>(k, n, 1);
      framed<B> a(be, X);
      framed<B> b(be, host_matrix<B>::Zero(k, n));
      copy(be, a.read(), b.view());
      CHECK(same_bits(b.host(), X));
    }
  }
  framed<B> a(be, numbers<B>(3, 4, 1));
  framed<B> b(be, numbers<B>(3, 5, 1));
  throws_with([&] { copy(be, a.read(), b.view()); }, "4", "5");
  const auto zeros = host_array<index_t>(be, be.template make_buffer<index_t>(3));
  CHECK(zeros == std::vector<index_t>{0, 0, 0});
}

template <class B>
void elementwise(const B& be) {
  using scalar = typename B::scalar;
  for (const index_t k : row_counts) {
    for (const index_t n : column_counts) {
      const host_matrix<B> X = numbers<B>(k, n, 1);
      const host_matrix<B> Y = numbers<B>(k, n, 2);
      framed<B> x(be, X);
      framed<B> y(be, Y);
      framed<B> z(be, Y);
      const auto apply = [&](const auto& f, const auto& reference) {
        transform(be, f, x.read(), z.view());
        const host_matrix<B> found = z.host();
        for (index_t j = 0; j < n; ++j) {
          for (index_t i = 0; i < k; ++i) {
            const double expected = reference(static_cast<double>(X(i, j)));
            REQUIRE(std::abs(static_cast<double>(found(i, j)) - expected) <=
                    tolerance<B>() * (1 + std::abs(expected)));
          }
        }
      };
      apply(basin::tanh_function{}, [](double v) { return std::tanh(v); });
      apply(basin::exp_function{}, [](double v) { return std::exp(v); });
      apply(basin::relu_function{}, [](double v) { return std::max(v, 0.0); });
      apply(basin::leaky_relu_function{0.2}, [](double v) { return v > 0 ? v : 0.2 * v; });
      apply(basin::sigmoid_function{}, [](double v) { return 1 / (1 + std::exp(-v)); });
      apply(cube{}, [](double v) { return v * v * v; });

      transform(be, product{}, x.read(), y.read(), z.view());
      CHECK(same_bits(z.host(), X.cwiseProduct(Y)));
      copy(be, x.read(), z.view());
      transform(be, product{}, z.read(), z.read(), z.view());  // both arguments are the result
      CHECK(same_bits(z.host(), X.cwiseProduct(X)));

      copy(be, y.read(), z.view());
      axpby(be, scalar(0.5), x.read(), scalar(-2), z.view());
      CHECK((n == 0 || (z.host() - (X / 2 - 2 * Y)).cwiseAbs().maxCoeff() <= tolerance<B>()));
      copy(be, y.read(), z.view());
      linear_combination(be, z.view(), basin::weighted<B>{scalar(0.25), x.read()},
                         basin::weighted<B>{scalar(3), z.read()},
                         basin::weighted<B>{scalar(-1), x.read()});
      CHECK((n == 0 || (z.host() - (3 * Y - 0.75 * X)).cwiseAbs().maxCoeff() <= tolerance<B>()));
    }
  }
  framed<B> a(be, numbers<B>(3, 4, 1));
  framed<B> b(be, numbers<B>(2, 4, 1));
  throws_with([&] { transform(be, cube{}, a.read(), b.view()); }, "2", "3");
  throws_with([&] { transform(be, product{}, a.read(), a.read(), b.view()); }, "2", "3");
  throws_with([&] { axpby(be, 1, a.read(), 1, b.view()); }, "2", "3");
  throws_with([&] { linear_combination(be, a.view(), basin::weighted<B>{scalar(1), b.read()}); },
              "2", "3");
}

template <class B>
void reductions(const B& be) {
  using scalar = typename B::scalar;
  for (const index_t k : row_counts) {
    for (const index_t n : column_counts) {
      const host_matrix<B> X = numbers<B>(k, n, 1);
      const host_matrix<B> Y = numbers<B>(k, n, 2);
      framed<B> x(be, X);
      framed<B> y(be, Y);
      auto d = be.template make_buffer<scalar>(n);
      const auto close = [&](const auto& expected) {
        const std::vector<scalar> found = host_array<scalar>(be, d);
        for (index_t j = 0; j < n; ++j) {
          REQUIRE(std::abs(static_cast<double>(found[static_cast<std::size_t>(j)]) - expected(j)) <=
                  tolerance<B>() * (1 + std::abs(expected(j))));
        }
      };
      const Eigen::MatrixXd Xd = X.template cast<double>();
      const Eigen::MatrixXd Yd = Y.template cast<double>();
      column_dots(be, x.read(), y.read(), d);
      close([&](index_t j) { return Xd.col(j).dot(Yd.col(j)); });
      column_squared_norms(be, x.read(), d);
      close([&](index_t j) { return Xd.col(j).squaredNorm(); });
      column_squared_distances(be, x.read(), y.read(), d);
      close([&](index_t j) { return (Xd.col(j) - Yd.col(j)).squaredNorm(); });

      auto rows = be.template make_buffer<index_t>(n);
      column_arg_max(be, x.read(), rows);
      const std::vector<index_t> largest = host_array<index_t>(be, rows);
      for (index_t j = 0; j < n; ++j) {
        index_t expected = 0;
        X.col(j).maxCoeff(&expected);
        CHECK(largest[static_cast<std::size_t>(j)] == expected);
      }
    }
  }
  // The first of equals, wherever it stands.
  host_matrix<B> equals = host_matrix<B>::Zero(70, 2);
  equals(37, 0) = equals(40, 0) = equals(69, 0) = 1;
  framed<B> e(be, equals);
  auto rows = be.template make_buffer<index_t>(2);
  column_arg_max(be, e.read(), rows);
  CHECK(host_array<index_t>(be, rows) == std::vector<index_t>{37, 0});

  framed<B> a(be, numbers<B>(3, 4, 1));
  framed<B> b(be, numbers<B>(3, 5, 1));
  auto four = be.template make_buffer<scalar>(4);
  auto five = be.template make_buffer<scalar>(5);
  auto flags = be.template make_buffer<std::uint8_t>(5);
  auto places = be.template make_buffer<index_t>(5);
  throws_with([&] { column_dots(be, a.read(), b.read(), four); }, "4", "5");
  throws_with([&] { column_squared_norms(be, a.read(), five); }, "4", "5");
  throws_with([&] { column_squared_distances(be, a.read(), a.read(), five); }, "4", "5");
  throws_with([&] { column_arg_max(be, a.read(), places); }, "4", "5");
  throws_with([&] { columns_finite(be, a.read(), flags); }, "4", "5");
}

// NaN and infinity stay in their column, and every other column keeps its bits.
template <class B>
void not_finite(const B& be) {
  using scalar = typename B::scalar;
  const scalar nan = std::numeric_limits<scalar>::quiet_NaN();
  const scalar infinity = std::numeric_limits<scalar>::infinity();
  for (const index_t k : row_counts) {
    const host_matrix<B> good = numbers<B>(k, 9, 1);
    host_matrix<B> bad = good;
    bad(k - 1, 2) = nan;
    bad(0, 5) = infinity;
    bad(k / 2, 7) = std::numeric_limits<scalar>::max();  // finite, though its square is not
    framed<B> x(be, good);
    framed<B> y(be, bad);
    framed<B> z(be, good);
    auto flags = be.template make_buffer<std::uint8_t>(9);
    columns_finite(be, y.read(), flags);
    CHECK(host_array<std::uint8_t>(be, flags) ==
          std::vector<std::uint8_t>{1, 1, 0, 1, 1, 0, 1, 1, 1});
    auto d = be.template make_buffer<scalar>(9);
    column_squared_distances(be, x.read(), y.read(), d);
    const std::vector<scalar> distance = host_array<scalar>(be, d);
    CHECK(basin::is_nan(distance[2]));
    CHECK(basin::is_nan(distance[5]));
    CHECK(distance[7] == infinity);
    CHECK(distance[0] == 0);
    auto rows = be.template make_buffer<index_t>(9);
    column_arg_max(be, y.read(), rows);
    CHECK(host_array<index_t>(be, rows)[2] == -1);
    CHECK(host_array<index_t>(be, rows)[5] == 0);

    const auto spoils_only_its_column = [&](const auto& run) {
      run(x, z);
      const host_matrix<B> from_good = z.host();
      run(y, z);
      const host_matrix<B> from_bad = z.host();
      for (const index_t j : {0, 1, 3, 4, 6, 8}) {
        REQUIRE(same_bits(from_good.col(j), from_bad.col(j)));
      }
    };
    spoils_only_its_column([&](framed<B>& from, framed<B>& to) {
      transform(be, basin::tanh_function{}, from.read(), to.view());
    });
    spoils_only_its_column([&](framed<B>& from, framed<B>& to) {
      axpby(be, 1, from.read(), 0, to.view());
      copy(be, from.read(), to.view());
    });
    framed<B> w(be, numbers<B>(k, k, 3));
    spoils_only_its_column(
        [&](framed<B>& from, framed<B>& to) { gemm(be, w.read(), from.read(), to.view()); });
  }
}

template <class B>
void products(const B& be) {
  using basin::transpose;
  for (const index_t m : {1, 2, 17, 33, 130}) {
    for (const index_t k : {0, 1, 3, 16, 65, 300}) {
      for (const index_t n : {0, 1, 5, 13, 100}) {
        for (const transpose ta : {transpose::no, transpose::yes}) {
          for (const transpose tb : {transpose::no, transpose::yes}) {
            const bool at = ta == transpose::yes;
            const bool bt = tb == transpose::yes;
            const host_matrix<B> A = numbers<B>(at ? k : m, at ? m : k, 1);
            const host_matrix<B> X = numbers<B>(bt ? n : k, bt ? k : n, 2);
            const host_matrix<B> C = numbers<B>(m, n, 3);
            framed<B> a(be, A);
            framed<B> x(be, X);
            framed<B> c(be, C);
            Eigen::MatrixXd Ad = A.template cast<double>();
            Eigen::MatrixXd Xd = X.template cast<double>();
            if (at) Ad.transposeInPlace();
            if (bt) Xd.transposeInPlace();
            gemm(be, a.read(), x.read(), c.view(), {.alpha = 2, .beta = -0.5, .a = ta, .b = tb});
            Eigen::MatrixXd expected = -0.5 * C.template cast<double>();
            if (k > 0) expected += 2 * Ad * Xd;
            const Eigen::MatrixXd found = c.host().template cast<double>();
            REQUIRE((n == 0 || (found - expected).cwiseAbs().maxCoeff() <=
                                   tolerance<B>() * (1 + std::sqrt(static_cast<double>(k)))));
          }
        }
      }
    }
  }
  // With beta = 0 what C holds is not read, not even NaN.
  host_matrix<B> nan(4, 3);
  nan.setConstant(std::numeric_limits<typename B::scalar>::quiet_NaN());
  framed<B> c(be, nan);
  framed<B> a(be, host_matrix<B>::Ones(4, 2));
  framed<B> x(be, host_matrix<B>::Ones(2, 3));
  gemm(be, a.read(), x.read(), c.view());
  CHECK(same_bits(c.host(), host_matrix<B>::Constant(4, 3, 2)));
  throws_with([&] { gemm(be, x.read(), a.read(), c.view()); }, "4", "3");
  throws_with([&] { gemm(be, a.read(), x.read(), a.view()); }, "2", "3");
}

template <class B>
void moving(const B& be) {
  using scalar = typename B::scalar;
  for (const index_t k : row_counts) {
    const host_matrix<B> X = numbers<B>(k, 6, 1);
    framed<B> x(be, X);
    framed<B> y(be, host_matrix<B>::Zero(k, 6));
    framed<B> small(be, host_matrix<B>::Zero(k, 3));
    const auto which = device_array<index_t>(be, {4, 0, 4});
    gather_columns(be, x.read(), array_view<const index_t>(which), small.view());
    host_matrix<B> expected(k, 3);
    expected << X.col(4), X.col(0), X.col(4);
    CHECK(same_bits(small.host(), expected));

    const auto to = device_array<index_t>(be, {5, 1, 2});
    scatter_columns(be, small.read(), array_view<const index_t>(to), y.view());
    host_matrix<B> scattered = host_matrix<B>::Zero(k, 6);
    scattered.col(5) = scattered.col(2) = X.col(4);
    scattered.col(1) = X.col(0);
    CHECK(same_bits(y.host(), scattered));

    const auto from = device_array<index_t>(be, {3, 0, 4});  // in place: holes are filled
    move_columns(be, x.read(), array_view<const index_t>(from), array_view<const index_t>(to),
                 x.view());
    host_matrix<B> moved = X;
    moved.col(5) = X.col(3);
    moved.col(1) = X.col(0);
    moved.col(2) = X.col(4);
    CHECK(same_bits(x.host(), moved));

    const std::vector<scalar> factors{2, 0, -1, 1, 0.5, 4};
    const auto s = device_array<scalar>(be, factors);
    scale_columns(be, array_view<const scalar>(s), x.view());
    host_matrix<B> scaled = moved;
    for (index_t j = 0; j < 6; ++j) scaled.col(j) *= factors[static_cast<std::size_t>(j)];
    CHECK(x.host() == scaled);

    const host_matrix<B> b = numbers<B>(k, 1, 4);
    const auto vector =
        device_array<scalar>(be, std::vector<scalar>(b.data(), b.data() + b.size()));
    add_to_columns(be, array_view<const scalar>(vector), x.view());
    CHECK(same_bits(x.host(), (scaled.colwise() + b.col(0)).eval()));
  }
  framed<B> a(be, numbers<B>(3, 4, 1));
  framed<B> b(be, numbers<B>(3, 5, 1));
  const auto outside = device_array<index_t>(be, {0, 1, 2, 4});
  const auto inside = device_array<index_t>(be, {0, 1, 2, 3});
  const auto factors = device_array<scalar>(be, {1, 2, 3, 4});
  const array_view<const index_t> bad(outside);
  const array_view<const index_t> good(inside);
  CHECK_THROWS_AS(gather_columns(be, a.read(), bad, a.view()), basin::size_error);
  CHECK_THROWS_AS(scatter_columns(be, a.read(), bad, a.view()), basin::size_error);
  CHECK_THROWS_AS(move_columns(be, a.read(), good, bad, a.view()), basin::size_error);
  throws_with([&] { gather_columns(be, a.read(), good, b.view()); }, "4", "5");
  throws_with([&] { scatter_columns(be, b.read(), good, b.view()); }, "4", "5");
  throws_with([&] { move_columns(be, a.read(), good, good.first(3), a.view()); }, "4", "3");
  throws_with([&] { scale_columns(be, array_view<const scalar>(factors), b.view()); }, "4", "5");
  throws_with([&] { add_to_columns(be, array_view<const scalar>(factors), a.view()); }, "4", "3");
}

template <class B>
void random_fills(const B& be) {
  using scalar = typename B::scalar;
  const basin::random_stream stream{.seed = 7, .stream = 3};
  const double rounding = 8 * static_cast<double>(std::numeric_limits<scalar>::epsilon());
  for (const index_t k : {1, 3, 16, 130}) {
    framed<B> x(be, host_matrix<B>::Zero(k, 40));
    fill_uniform(be, stream, x.view(), 0, 1);
    const host_matrix<B> uniform = x.host();
    for (index_t j = 0; j < 40; ++j) {
      for (index_t i = 0; i < k; ++i) {
        REQUIRE(uniform(i, j) == basin::uniform_from_word<scalar>(stream.word(i, j)));
        REQUIRE((uniform(i, j) > 0 && uniform(i, j) < 1));
      }
    }
    // In two parts the same.
    framed<B> part(be, host_matrix<B>::Zero(k, 27));
    fill_uniform(be, stream, part.view(), 0, 1, 13);
    CHECK(same_bits(part.host(), uniform.rightCols(27)));

    fill_normal(be, stream, x.view(), 2);
    const host_matrix<B> normal = x.host();
    for (index_t j = 0; j < 40; ++j) {
      for (index_t i = 0; i < k; ++i) {
        const double expected = 2 * basin::normal_at<double>(stream, i, j);
        REQUIRE(std::abs(static_cast<double>(normal(i, j)) - expected) <=
                rounding * (1 + std::abs(expected)));
      }
    }
    fill_normal(be, stream, part.view(), 2, 13);
    CHECK(same_bits(part.host(), normal.rightCols(27)));

    fill_on_sphere(be, stream, x.view(), 3);
    const host_matrix<B> sphere = x.host();
    for (index_t j = 0; j < 40; ++j) {
      CHECK(static_cast<double>(sphere.col(j).norm()) == Approx(3).epsilon(rounding));
      CHECK(static_cast<double>(sphere.col(j).dot(normal.col(j))) ==
            Approx(static_cast<double>(3 * normal.col(j).norm())).epsilon(2 * rounding));
    }
  }
  framed<B> q(be, host_matrix<B>::Zero(50, 20));
  fill_orthogonal(be, stream, q.view());
  const host_matrix<B> Q = q.host();
  CHECK((Q.transpose() * Q - host_matrix<B>::Identity(20, 20)).cwiseAbs().maxCoeff() <=
        tolerance<B>());
  framed<B> again(be, host_matrix<B>::Zero(50, 20));
  fill_orthogonal(be, {.seed = 8, .stream = 3}, again.view());
  CHECK((again.host() - Q).cwiseAbs().maxCoeff() > 0.01);
  framed<B> wide(be, host_matrix<B>::Zero(4, 5));
  throws_with([&] { fill_orthogonal(be, stream, wide.view()); }, "4", "5");
  CHECK_THROWS_AS(fill_uniform(be, stream, wide.view(), 1, 1), basin::argument_error);
}

// What the lanes of a column say of its entries.
template <class Scalar>
struct ask_lanes {
  const Scalar* X;
  const Scalar* Y;
  index_t n;
  index_t* at;
  Scalar* greatest;
  double* dot;
  template <class Lanes>
  BASIN_HOST_DEVICE void operator()(Lanes& lanes, index_t j) const {
    const Scalar* const x = X + j * n;
    const auto found = lanes.greatest(n, [&](index_t i) { return x[i]; });
    const double product = lanes.dot_in_double(x, Y + j * n, n);
    lanes.once([&] {
      at[j] = found.at;
      greatest[j] = found.value;
      dot[j] = product;
    });
  }
};

template <class B>
void lanes(const B& be) {
  using scalar = typename B::scalar;
  constexpr scalar infinity = std::numeric_limits<scalar>::infinity();
  constexpr scalar nan = std::numeric_limits<scalar>::quiet_NaN();
  for (const index_t n : {0, 1, 2, 31, 32, 33, 63, 64, 65, 128, 129, 300}) {
    CAPTURE(n);
    // Random; ties from the middle on; NaN before the greatest; nothing but NaN; nothing but -inf
    // behind a NaN.
    host_matrix<B> X(n, 5), Y(n, 5);
    for (index_t j = 0; j < 5; ++j) {
      for (index_t i = 0; i < n; ++i) {
        X(i, j) = basin::normal_at<scalar>(basin::random_stream{9, 1}, i, j);
        Y(i, j) = basin::normal_at<scalar>(basin::random_stream{9, 2}, i, j);
      }
    }
    X.col(1).tail(n - n / 2).setConstant(7);
    if (n > 1) X(n - 1, 2) = 3;
    if (n > 1) X(0, 2) = nan;
    X.col(3).setConstant(nan);
    X.col(4).setConstant(-infinity);
    if (n > 1) X(0, 4) = nan;
    auto x = be.make_matrix(n, 5), y = be.make_matrix(n, 5);
    upload(be, X, columns(be, x, 0, 5));
    upload(be, Y, columns(be, y, 0, 5));
    auto at = be.template make_buffer<index_t>(5);
    auto greatest = be.template make_buffer<scalar>(5);
    auto dot = be.template make_buffer<double>(5);
    for_each_in_lanes(
        be, 5,
        ask_lanes<scalar>{basin::raw_address(x.data()), basin::raw_address(y.data()), n,
                          basin::raw_address(at.data()), basin::raw_address(greatest.data()),
                          basin::raw_address(dot.data())},
        0, basin::array_view<scalar>(), 1);
    std::vector<index_t> found(5);
    std::vector<scalar> values(5);
    std::vector<double> products(5);
    download_array(be, basin::array_view<const index_t>(at), basin::array_view<index_t>(found));
    download_array(be, basin::array_view<const scalar>(greatest),
                   basin::array_view<scalar>(values));
    download_array(be, basin::array_view<const double>(dot), basin::array_view<double>(products));
    if (n == 0) {
      CHECK(found == std::vector<index_t>(5, -1));
      continue;
    }
    Eigen::Index first = 0;
    CHECK(values[0] == X.col(0).maxCoeff(&first));
    CHECK(found[0] == first);
    CHECK(found[1] == n / 2);
    CHECK(found[2] == n - 1);
    CHECK(found[3] == -1);
    CHECK(found[4] == (n > 1 ? 1 : 0));
    for (std::size_t j = 0; j < 2; ++j) {
      const auto c = static_cast<index_t>(j);
      const double exact = X.col(c).template cast<double>().dot(Y.col(c).template cast<double>());
      CHECK(std::abs(products[j] - exact) <= 1e-13 * static_cast<double>(n) * 7);
    }
  }
}

template <class B>
void every_primitive(const B& be) {
  static_assert(basin::backend<B>);
  SECTION("transfers") { transfers(be); }
  SECTION("elementwise functions and sums") { elementwise(be); }
  SECTION("reductions of columns") { reductions(be); }
  SECTION("columns that are not finite") { not_finite(be); }
  SECTION("products") { products(be); }
  SECTION("moving and scaling columns") { moving(be); }
  SECTION("random fills") { random_fills(be); }
  SECTION("lanes") { lanes(be); }
}

}  // namespace conformance
