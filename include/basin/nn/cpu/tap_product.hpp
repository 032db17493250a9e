/// @file
/// The linear part of dense and convolutional layers: products by a geometry of taps
/// with packed weights.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <basin/backend/cpu/thread_pool.hpp>
#include <basin/nn/block.hpp>
#include <basin/nn/cpu/tap_kernel.hpp>
#include <basin/nn/taps.hpp>

namespace basin {
namespace detail {

/// Vectors that are read by whole registers, on a cache line's border.
template <class T>
class aligned_array {
 public:
  aligned_array() = default;
  aligned_array(const aligned_array& other) { *this = other; }
  aligned_array(aligned_array&&) noexcept = default;
  aligned_array& operator=(const aligned_array& other) {
    resize(other.size_);
    std::copy_n(other.data(), size_, data());
    return *this;
  }
  aligned_array& operator=(aligned_array&&) noexcept = default;

  /// `count` zeros, unless there are that many elements already, which then stay.
  void resize(index_t count) {
    if (count == size_ && memory_) return;
    memory_.reset(static_cast<T*>(::operator new[](
        static_cast<std::size_t>(std::max<index_t>(count, 1)) * sizeof(T), std::align_val_t{64})));
    size_ = count;
    std::fill_n(memory_.get(), count, T{});
  }
  [[nodiscard]] T* data() noexcept { return memory_.get(); }
  [[nodiscard]] const T* data() const noexcept { return memory_.get(); }
  [[nodiscard]] index_t size() const noexcept { return size_; }

 private:
  struct free_aligned {
    void operator()(T* p) const noexcept { ::operator delete[](p, std::align_val_t{64}); }
  };
  std::unique_ptr<T[], free_aligned> memory_;
  index_t size_ = 0;
};

/// f<1>() ... f<Most>(), by a number known when running.
template <int Most, class F>
void with_constant(index_t n, F&& f) {
  [&]<int... N>(std::integer_sequence<int, N...>) {
    ((n == N + 1 ? f(std::integral_constant<int, N + 1>{}) : void()), ...);
  }(std::make_integer_sequence<int, Most>{});
}

}  // namespace detail

/// y_q = b + sum W_t x_s by a geometry of taps, on blocks of columns.
///
/// Pixels with the same taps up to a shift form a pattern and share the list of runs:
/// a convolution has a pattern for the interior and some for the rim, where taps that
/// would read padding are left out. Cost: 2 × taps × output channels × input channels
/// flops a state. Memory: a packed copy of the weights.
template <class Scalar>
class TapProduct {
 public:
  TapProduct() = default;

  /// @param joins the geometry
  /// @param inputs channels of a source pixel
  /// @param outputs channels of a target pixel
  /// @param own_bias whether each target pixel has a bias of its own, and no two pixels
  ///   then share a pattern
  TapProduct(const taps& joins, index_t inputs, index_t outputs, bool own_bias = false)
      : own_bias_(own_bias),
        inputs_(inputs),
        outputs_(outputs),
        matrices_(joins.count()),
        taps_(static_cast<index_t>(joins.list().size())),
        along_outputs_(2 * outputs >= detail::simd<Scalar>::lanes ||
                       2 * inputs < detail::simd<Scalar>::lanes) {
    find_patterns(joins);
    packed_.resize(bias_width() * matrices_ * inputs);
    bias_.resize(bias_width() * (own_bias ? joins.targets() : 1));
  }

  [[nodiscard]] index_t inputs() const noexcept { return inputs_; }
  [[nodiscard]] index_t outputs() const noexcept { return outputs_; }
  /// Multiplications of one state.
  [[nodiscard]] index_t multiplications() const noexcept { return taps_ * inputs_ * outputs_; }

  /// Copies the weights into the order in which they are read.
  /// @param pool threads that share the work
  /// @param weight weight(t, o, i): element (o, i) of matrix t
  /// @param bias bias(q, o): that of channel o, at target pixel q if each has its own
  template <class Weight, class Bias>
  void pack(thread_pool* pool, const Weight& weight, const Bias& bias) {
    constexpr index_t width = detail::panel_width<Scalar>;
    for (index_t q = 0; q < bias_.size() / bias_width(); ++q) {
      for (index_t o = 0; o < outputs_; ++o) bias_.data()[q * bias_width() + o] = bias(q, o);
    }
    if (!along_outputs_) {
      Scalar* to = packed_.data();
      for (index_t o = 0; o < outputs_; ++o) {
        for (index_t t = 0; t < matrices_; ++t) {
          for (index_t i = 0; i < inputs_; ++i) *to++ = weight(t, o, i);
        }
      }
      return;
    }
    const auto pack_matrix = [&](index_t task) {
      const index_t panel = task / matrices_;
      const index_t t = task % matrices_;
      const index_t first = panel * width;
      const index_t count = std::min(width, outputs_ - first);
      Scalar* to = packed_.data() + task * inputs_ * width;
      for (index_t i = 0; i < inputs_; ++i, to += width) {
        for (index_t o = 0; o < count; ++o) to[o] = weight(t, first + o, i);
      }
    };
    run(pool, panels() * matrices_, packed_.size(), pack_matrix);
  }

  /// y = finish(b + W x), or without b.
  /// @param x source pixels × inputs a column
  /// @param y target pixels × outputs a column; must not overlap x
  template <class Finish = detail::keep>
  void multiply(thread_pool* pool, block<const Scalar> x, block<Scalar> y, bool with_bias,
                const Finish& finish = {}) const {
    // Panel by panel, so that its weights stay in cache while all pixels pass by.
    const index_t groups = along_outputs_ ? panels() : 1;
    const index_t slots = static_cast<index_t>(pixels_.size());
    // Smallest share of work that is worth another thread's attention.
    const index_t worth = index_t{1} << 17;
    const index_t total = multiplications() * x.count;
    const index_t threads = pool == nullptr ? 1 : pool->size();
    if (threads == 1 || total < 2 * worth) {
      multiply_part(x, y, with_bias, finish, 0, groups, 0, slots);
      return;
    }
    const index_t wanted = std::min(4 * threads, total / worth);
    const index_t panel_parts = std::min(groups, wanted);
    const index_t pixel_parts = std::clamp<index_t>(wanted / panel_parts, 1, slots);
    pool->run(panel_parts * pixel_parts, [&](index_t task) {
      const index_t a = task / pixel_parts;
      const index_t b = task % pixel_parts;
      multiply_part(x, y, with_bias, finish, groups * a / panel_parts,
                    groups * (a + 1) / panel_parts, slots * b / pixel_parts,
                    slots * (b + 1) / pixel_parts);
    });
  }

 private:
  /// A target pixel and the first source pixel of its pattern.
  struct pixel {
    index_t target;
    index_t base;
  };
  struct pattern {
    index_t first_run;
    index_t run_count;
    index_t first_pixel;
    index_t last_pixel;
  };

  [[nodiscard]] index_t bias_width() const noexcept {
    return along_outputs_ ? panels() * detail::panel_width<Scalar> : outputs_;
  }
  /// The bias of a pattern's pixels, or null for none.
  [[nodiscard]] const Scalar* bias_of(const pattern& one, bool with_bias) const noexcept {
    if (!with_bias) return nullptr;
    return bias_.data() +
           (own_bias_ ? pixels_[static_cast<std::size_t>(one.first_pixel)].target * bias_width()
                      : 0);
  }

  [[nodiscard]] index_t panels() const noexcept {
    return (outputs_ + detail::panel_width<Scalar> - 1) / detail::panel_width<Scalar>;
  }

  template <class F>
  static void run(thread_pool* pool, index_t tasks, index_t work, const F& f) {
    if (pool != nullptr && work > index_t{1} << 16) {
      pool->run(tasks, f);
    } else {
      for (index_t task = 0; task < tasks; ++task) f(task);
    }
  }

  void find_patterns(const taps& joins) {
    // A pattern is known by its matrices and the distances of its sources.
    std::map<std::vector<index_t>, std::vector<pixel>> by_taps;
    std::vector<const std::vector<index_t>*> in_order;
    for (index_t q = 0; q < joins.targets(); ++q) {
      std::vector<index_t> key;
      const index_t begin = joins.begin(q);
      const index_t end = joins.begin(q + 1);
      const index_t base =
          begin == end ? 0 : joins.list()[static_cast<std::size_t>(begin)].source;
      for (index_t i = begin; i < end; ++i) {
        const taps::tap& one = joins.list()[static_cast<std::size_t>(i)];
        key.push_back(one.source - base);
        key.push_back(one.matrix);
      }
      const auto [at, is_new] = by_taps.try_emplace(std::move(key));
      if (is_new) in_order.push_back(&at->first);
      at->second.push_back({q, base});
    }
    for (const std::vector<index_t>* key : in_order) {
      pattern found{static_cast<index_t>(runs_.size()), 0, static_cast<index_t>(pixels_.size()),
                    0};
      for (std::size_t i = 0; i < key->size(); i += 2) {
        const index_t source = (*key)[i];
        const index_t matrix = (*key)[i + 1];
        // Neighbours in both memories are one longer run.
        if (i > 0 && source == (*key)[i - 2] + 1 && matrix == (*key)[i - 1] + 1) {
          runs_.back().steps += inputs_;
        } else {
          runs_.push_back({source * inputs_, matrix * inputs_, inputs_});
        }
      }
      found.run_count = static_cast<index_t>(runs_.size()) - found.first_run;
      const std::vector<pixel>& members = by_taps.find(*key)->second;
      pixels_.insert(pixels_.end(), members.begin(), members.end());
      found.last_pixel = static_cast<index_t>(pixels_.size());
      patterns_.push_back(found);
    }
  }

  template <class Finish>
  void multiply_part(block<const Scalar> x, block<Scalar> y, bool with_bias, const Finish& finish,
                     index_t first_panel, index_t last_panel, index_t first_slot,
                     index_t last_slot) const {
    constexpr index_t most = detail::tile_columns<Scalar>;
    const index_t tiles = (x.count + most - 1) / most;  // of states, at one pixel
    const index_t pixels_at_once = std::max<index_t>(1, most / x.count);
    // Few columns alone do not fill the accumulators; several panels at once do.
    const index_t panels_at_once = 2 * x.count >= most ? 1 : 4;
    for (index_t panel = first_panel; panel < last_panel; panel += panels_at_once) {
      const index_t panel_end = std::min(panel + panels_at_once, last_panel);
      for (const pattern& one : patterns_) {
        const index_t begin = std::max(one.first_pixel, first_slot);
        const index_t end = std::min(one.last_pixel, last_slot);
        for (index_t slot = begin; slot < end; slot += pixels_at_once) {
          const index_t pixels = std::min(pixels_at_once, end - slot);
          for (index_t tile = 0; tile < tiles; ++tile) {
            const index_t first = x.count * tile / tiles;
            const index_t last = x.count * (tile + 1) / tiles;
            const Scalar* from[most];
            Scalar* to[most];
            index_t columns = 0;
            for (index_t p = slot; p < slot + pixels; ++p) {
              const pixel& at = pixels_[static_cast<std::size_t>(p)];
              for (index_t j = first; j < last; ++j, ++columns) {
                from[columns] = x.column(j) + at.base * inputs_;
                to[columns] = y.column(j) + at.target * outputs_;
              }
            }
            if (along_outputs_) {
              multiply_panels(one, panel, panel_end, columns, from, to, with_bias, finish);
            } else {
              multiply_rows(one, columns, from, to, with_bias, finish);
            }
          }
        }
      }
    }
  }

  template <class Finish>
  void multiply_panels(const pattern& one, index_t panel, index_t panel_end, index_t columns,
                       const Scalar* const* from, Scalar* const* to, bool with_bias,
                       const Finish& finish) const {
    constexpr index_t width = detail::panel_width<Scalar>;
    const index_t panel_size = matrices_ * inputs_ * width;
    const Scalar* const bias = bias_of(one, with_bias);
    while (panel < panel_end) {
      Scalar* shifted[detail::tile_columns<Scalar>];
      for (index_t c = 0; c < columns; ++c) shifted[c] = to[c] + panel * width;
      const detail::tap_operands<Scalar> in{runs_.data() + one.first_run,
                                            one.run_count,
                                            packed_.data() + panel * panel_size,
                                            panel_size,
                                            bias == nullptr ? nullptr : bias + panel * width,
                                            outputs_ - panel * width};
      if (columns == 1 && panel + 4 <= panel_end) {
        detail::multiply_tile<4, 1>(in, from, shifted, finish);
        panel += 4;
      } else if (columns == 2 && panel + 2 <= panel_end) {
        detail::multiply_tile<2, 2>(in, from, shifted, finish);
        panel += 2;
      } else {
        detail::with_constant<detail::tile_columns<Scalar>>(columns, [&](auto count) {
          detail::multiply_tile<1, decltype(count)::value>(in, from, shifted, finish);
        });
        ++panel;
      }
    }
  }

  template <class Finish>
  void multiply_rows(const pattern& one, index_t columns, const Scalar* const* from,
                     Scalar* const* to, bool with_bias, const Finish& finish) const {
    const Scalar* const bias = bias_of(one, with_bias);
    for (index_t o = 0; o < outputs_; ++o) {
      Scalar* shifted[detail::tile_columns<Scalar>];
      for (index_t c = 0; c < columns; ++c) shifted[c] = to[c] + o;
      detail::with_constant<detail::tile_columns<Scalar>>(columns, [&](auto count) {
        detail::multiply_row<decltype(count)::value>(
            runs_.data() + one.first_run, one.run_count,
            packed_.data() + o * matrices_ * inputs_, bias == nullptr ? Scalar(0) : bias[o],
            from, shifted, finish);
      });
    }
  }

  bool own_bias_ = false;
  index_t inputs_ = 0;
  index_t outputs_ = 0;
  index_t matrices_ = 0;
  index_t taps_ = 0;
  bool along_outputs_ = true;
  std::vector<detail::tap_run> runs_;
  std::vector<pixel> pixels_;
  std::vector<pattern> patterns_;
  detail::aligned_array<Scalar> packed_;
  detail::aligned_array<Scalar> bias_;
};

}  // namespace basin
