/// @file
/// The linear part of dense and convolutional layers: products by a geometry of taps
/// with packed weights.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include <basin/backend/cpu/scratch.hpp>
#include <basin/backend/cpu/thread_pool.hpp>
#include <basin/nn/block.hpp>
#include <basin/nn/cpu/aligned_array.hpp>
#include <basin/nn/cpu/tap_kernel.hpp>
#include <basin/nn/taps.hpp>

namespace basin {
namespace detail {

/// Splits n columns among tiles of the sizes that are compiled: f(first, size), the size
/// as a constant, largest first.
template <class Scalar, class F>
void for_each_tile(index_t n, F&& f) {
  constexpr int most = tile_columns<Scalar>;
  index_t first = 0;
  const auto take = [&](auto size) {
    for (; n - first >= size; first += size) f(first, size);
  };
  take(std::integral_constant<int, most>{});
  take(std::integral_constant<int, most / 2>{});
  take(std::integral_constant<int, 2>{});
  take(std::integral_constant<int, 1>{});
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
    if (along_outputs_ && inputs_ >= least_mixed_inputs) find_mixtures(joins);
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
  /// @param gate of y's shape, for a finish that takes one
  void multiply(thread_pool* pool, block<const Scalar> x, block<Scalar> y, bool with_bias,
                detail::finish ending = detail::finish::none, block<const Scalar> gate = {}) const {
    if (x.count == 0) return;
    const index_t groups = along_outputs_ ? panels() : 1;
    const index_t slots = static_cast<index_t>(pixels_.size());
    // Smallest share of work that is worth another thread's attention. A single state is
    // slow by the reading of its weights.
    const index_t worth = index_t{1} << (x.count == 1 ? 15 : 17);
    const index_t total = multiplications() * x.count;
    const index_t threads = pool == nullptr ? 1 : pool->size();
    if (x.count == 1 && !mixed_tiles_.empty()) {
      multiply_mixtures(total >= 2 * worth ? pool : nullptr, x, y, gate, with_bias, ending);
      return;
    }
    if (threads == 1 || total < 2 * worth) {
      multiply_part(x, y, gate, with_bias, ending, 0, groups, 0, slots);
      return;
    }
    // Of a single state as many shares as threads: a thread that meets the same weights again
    // has them in its cache.
    const index_t wanted = std::min((x.count == 1 ? 1 : 4) * threads, total / worth);
    const index_t panel_parts = std::min(groups, wanted);
    const index_t pixel_parts = std::clamp<index_t>(wanted / panel_parts, 1, slots);
    pool->run(panel_parts * pixel_parts, [&](index_t task) {
      const index_t a = task / pixel_parts;
      const index_t b = task % pixel_parts;
      multiply_part(x, y, gate, with_bias, ending, groups * a / panel_parts,
                    groups * (a + 1) / panel_parts, slots * b / pixel_parts,
                    slots * (b + 1) / pixel_parts);
    });
  }

 private:
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
    return bias_.data() + (own_bias_ ? pixels_[static_cast<std::size_t>(one.first_pixel)].target /
                                           outputs_ * bias_width()
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
    std::map<std::vector<index_t>, std::vector<detail::tap_pixel>> by_taps;
    std::vector<const std::vector<index_t>*> in_order;
    for (index_t q = 0; q < joins.targets(); ++q) {
      std::vector<index_t> key;
      const index_t begin = joins.begin(q);
      const index_t end = joins.begin(q + 1);
      const index_t base = begin == end ? 0 : joins.list()[static_cast<std::size_t>(begin)].source;
      for (index_t i = begin; i < end; ++i) {
        const taps::tap& one = joins.list()[static_cast<std::size_t>(i)];
        key.push_back(one.source - base);
        key.push_back(one.matrix);
      }
      const auto [at, is_new] = by_taps.try_emplace(std::move(key));
      if (is_new) in_order.push_back(&at->first);
      at->second.push_back({q * outputs_, base * inputs_});
    }
    for (const std::vector<index_t>* key : in_order) {
      pattern found{static_cast<index_t>(runs_.size()), 0, static_cast<index_t>(pixels_.size()), 0};
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
      const std::vector<detail::tap_pixel>& members = by_taps.find(*key)->second;
      pixels_.insert(pixels_.end(), members.begin(), members.end());
      found.last_pixel = static_cast<index_t>(pixels_.size());
      patterns_.push_back(found);
    }
  }

  /// Of a single state: pixels whose taps are among those of one pattern, beside each other
  /// in a tile.
  struct mixture {
    std::vector<index_t> matrices;      ///< of the taps, as the widest pattern has them
    std::vector<index_t> targets;       ///< first element of each pixel
    std::vector<std::int32_t> sources;  ///< tap by tap for each pixel; -1: none
  };

  /// Pixels first ... first + count - 1 of a mixture.
  struct mixed_tile {
    index_t mixture;
    index_t first;
    index_t count;
    index_t work_before;  ///< of the tiles before this one, in half tiles × taps
  };

  /// Few source channels do not pay for a list of sources.
  static constexpr index_t least_mixed_inputs = 16;

  void find_mixtures(const taps& joins) {
    // A matrix that only one pixel uses is read once in any case.
    if (taps_ < 2 * matrices_ || own_bias_) return;
    if (joins.sources() * inputs_ > std::numeric_limits<std::int32_t>::max()) return;
    const auto taps_of = [&](index_t q) {
      return std::span(joins.list())
          .subspan(static_cast<std::size_t>(joins.begin(q)),
                   static_cast<std::size_t>(joins.begin(q + 1) - joins.begin(q)));
    };
    std::vector<index_t> widest_first;
    for (const pattern& one : patterns_) {
      for (index_t p = one.first_pixel; p < one.last_pixel; ++p) {
        widest_first.push_back(pixels_[static_cast<std::size_t>(p)].target / outputs_);
      }
    }
    std::stable_sort(widest_first.begin(), widest_first.end(),
                     [&](index_t a, index_t b) { return taps_of(a).size() > taps_of(b).size(); });
    for (const index_t q : widest_first) {
      // A tap's position in the mixture, or its end.
      const auto position = [&](const mixture& m, index_t matrix) {
        return std::find(m.matrices.begin(), m.matrices.end(), matrix) - m.matrices.begin();
      };
      const auto fits = [&](const mixture& m) {
        const auto own = taps_of(q);
        return std::all_of(own.begin(), own.end(), [&](const taps::tap& one) {
          return position(m, one.matrix) < static_cast<index_t>(m.matrices.size());
        });
      };
      auto to = std::find_if(mixtures_.begin(), mixtures_.end(), fits);
      if (to == mixtures_.end()) {
        mixture fresh;
        for (const taps::tap& one : taps_of(q)) fresh.matrices.push_back(one.matrix);
        to = mixtures_.insert(mixtures_.end(), std::move(fresh));
      }
      to->targets.push_back(q * outputs_);
      const std::size_t begin = to->sources.size();
      to->sources.resize(begin + to->matrices.size(), -1);
      for (const taps::tap& one : taps_of(q)) {
        to->sources[begin + static_cast<std::size_t>(position(*to, one.matrix))] =
            static_cast<std::int32_t>(one.source * inputs_);
      }
    }
    constexpr index_t most = detail::tile_columns<Scalar>;
    for (const mixture& one : mixtures_) {
      const auto pixels = static_cast<index_t>(one.targets.size());
      for (index_t first = 0; first < pixels; first += most) {
        const index_t count = std::min(most, pixels - first);
        mixed_tiles_.push_back({&one - mixtures_.data(), first, count, mixed_work_});
        mixed_work_ += static_cast<index_t>(one.matrices.size()) * (2 * count > most ? 2 : 1);
      }
    }
    zeros_.resize(inputs_);
  }

  /// Each thread has a share of one line of work: all tiles of a pair of panels, then those of
  /// the next pair.
  void multiply_mixtures(thread_pool* pool, block<const Scalar> x, block<Scalar> y,
                         block<const Scalar> gate, bool with_bias, detail::finish ending) const {
    constexpr index_t most = detail::tile_columns<Scalar>;
    const index_t pairs = (panels() + 1) / 2;
    const index_t shares = pool == nullptr ? 1 : pool->size();
    const auto run_share = [&](index_t share) {
      const index_t begin = pairs * mixed_work_ * share / shares;
      const index_t end = pairs * mixed_work_ * (share + 1) / shares;
      for (index_t pair = begin / mixed_work_; pair * mixed_work_ < end; ++pair) {
        for (const mixed_tile& tile : mixed_tiles_) {
          const index_t at = pair * mixed_work_ + tile.work_before;
          if (at < begin || at >= end) continue;
          const auto multiply = [&](auto columns) {
            multiply_mixed<decltype(columns)::value>(
                mixtures_[static_cast<std::size_t>(tile.mixture)], tile.first, tile.count, 2 * pair,
                std::min(2 * pair + 2, panels()), x, y, gate, with_bias, ending);
          };
          if (2 * tile.count > most) {
            multiply(std::integral_constant<int, most>{});
          } else {
            multiply(std::integral_constant<int, most / 2>{});
          }
        }
      }
    };
    if (shares > 1) {
      pool->run(shares, run_share);
    } else {
      run_share(0);
    }
  }

  /// `count` pixels of a mixture in a tile of `Columns` columns, the rest of which read
  /// zeros and are written to nobody's memory.
  template <int Columns>
  void multiply_mixed(const mixture& one, index_t first, index_t count, index_t panel,
                      index_t panel_end, block<const Scalar> x, block<Scalar> y,
                      block<const Scalar> gate, bool with_bias, detail::finish ending) const {
    constexpr index_t width = detail::panel_width<Scalar>;
    const auto taps = static_cast<index_t>(one.matrices.size());
    scratch_scope scope;
    const Scalar** const sources = scope.get<const Scalar*>(taps * Columns);
    Scalar* const nobody = scope.get<Scalar>(2 * width);
    std::fill_n(nobody, 2 * width, Scalar(0));
    for (index_t t = 0; t < taps; ++t) {
      for (index_t c = 0; c < Columns; ++c) {
        const std::int32_t from =
            c < count ? one.sources[static_cast<std::size_t>((first + c) * taps + t)] : -1;
        sources[t * Columns + c] = from < 0 ? zeros_.data() : x.data + from;
      }
    }
    const Scalar* const bias = bias_of(patterns_.front(), with_bias);
    detail::tap_operands<Scalar> in{nullptr, 0, nullptr, 0, nullptr, matrices_ * inputs_ * width,
                                    nullptr, 0, ending};
    const auto take = [&](auto panels) {
      for (; panel + panels <= panel_end; panel += panels) {
        const index_t channel = panel * width;
        detail::tap_columns<Scalar, Columns> at;
        for (index_t c = 0; c < Columns; ++c) {
          const bool real = c < count;
          const index_t target =
              real ? one.targets[static_cast<std::size_t>(first + c)] + channel : 0;
          at.source[c] = nullptr;
          at.target[c] = real ? y.data + target : nobody;
          at.gate[c] = gate.data == nullptr ? nullptr : real ? gate.data + target : nobody;
        }
        in.weights = packed_.data() + panel * in.panel_size;
        in.bias = bias == nullptr ? nullptr : bias + channel;
        in.channels = outputs_ - channel;
        detail::multiply_mixed_tile<decltype(panels)::value>(in, one.matrices.data(), taps, inputs_,
                                                             sources, at);
      }
    };
    if constexpr (Columns < detail::tile_columns<Scalar>) {
      take(std::integral_constant<int, 2>{});
    }
    take(std::integral_constant<int, 1>{});
  }

  void multiply_part(block<const Scalar> x, block<Scalar> y, block<const Scalar> gate,
                     bool with_bias, detail::finish ending, index_t first_panel, index_t last_panel,
                     index_t first_slot, index_t last_slot) const {
    constexpr index_t most = detail::tile_columns<Scalar>;
    const index_t pixels_at_once = std::max<index_t>(1, most / x.count);
    // With few columns, several panels share a tile.
    const index_t panels_at_once = 2 * x.count >= most ? 1 : 4;
    const auto columns_at = [&](index_t j, const detail::tap_pixel& p, index_t c, auto& to) {
      to.source[c] = x.column(j) + p.base;
      to.target[c] = y.column(j) + p.target;
      to.gate[c] = gate.data != nullptr ? gate.column(j) + p.target : nullptr;
    };
    // Panel by panel, so that its weights stay in cache while all pixels pass by.
    for (index_t panel = first_panel; panel < last_panel; panel += panels_at_once) {
      const index_t panel_end = std::min(panel + panels_at_once, last_panel);
      for (const pattern& one : patterns_) {
        const index_t begin = std::max(one.first_pixel, first_slot);
        const index_t end = std::min(one.last_pixel, last_slot);
        if (begin >= end) continue;
        const detail::tap_pixel* const pixels = pixels_.data() + begin;
        detail::tap_columns<Scalar, most> columns;
        if (pixels_at_once == 1) {
          for (index_t first = 0; first < x.count; first += most) {
            const index_t count = std::min(most, x.count - first);
            for (index_t c = 0; c < count; ++c) columns_at(first + c, {0, 0}, c, columns);
            multiply_columns(one, pixels, end - begin, panel, panel_end, columns, count, with_bias,
                             ending);
          }
        } else {
          static constexpr detail::tap_pixel here{0, 0};
          for (index_t slot = 0; slot < end - begin; slot += pixels_at_once) {
            const index_t last = std::min(slot + pixels_at_once, end - begin);
            index_t count = 0;
            for (index_t p = slot; p < last; ++p) {
              for (index_t j = 0; j < x.count; ++j) columns_at(j, pixels[p], count++, columns);
            }
            multiply_columns(one, &here, 1, panel, panel_end, columns, count, with_bias, ending);
          }
        }
      }
    }
  }

  /// The pixels of a pattern for at most a tile's columns.
  void multiply_columns(const pattern& one, const detail::tap_pixel* pixels, index_t pixel_count,
                        index_t panel, index_t panel_end,
                        const detail::tap_columns<Scalar, detail::tile_columns<Scalar>>& columns,
                        index_t count, bool with_bias, detail::finish ending) const {
    constexpr index_t width = detail::panel_width<Scalar>;
    const Scalar* const bias = bias_of(one, with_bias);
    detail::tap_operands<Scalar> in{
        runs_.data() + one.first_run, one.run_count, pixels, pixel_count, nullptr,
        matrices_ * inputs_ * width,  nullptr,       0,      ending};
    /// `size` columns, from an output channel on.
    const auto from = [&](index_t channel, index_t first, auto size) {
      detail::tap_columns<Scalar, decltype(size)::value> part;
      for (index_t c = 0; c < size; ++c) {
        part.source[c] = columns.source[first + c];
        part.target[c] = columns.target[first + c] + channel;
        part.gate[c] =
            columns.gate[first + c] != nullptr ? columns.gate[first + c] + channel : nullptr;
      }
      in.bias = bias == nullptr ? nullptr : bias + channel;
      in.channels = outputs_ - channel;
      return part;
    };
    if (!along_outputs_) {
      for (index_t o = 0; o < outputs_; ++o) {
        in.weights = packed_.data() + o * matrices_ * inputs_;
        detail::for_each_tile<Scalar>(count, [&](index_t first, auto size) {
          detail::multiply_row(in, from(o, first, size));
        });
      }
      return;
    }
    detail::for_each_tile<Scalar>(count, [&](index_t first, auto size) {
      constexpr int columns_here = decltype(size)::value;
      // Few columns alone do not fill the accumulators; several panels at once do.
      constexpr int together = columns_here == 1 ? 4 : columns_here == 2 ? 2 : 1;
      index_t next = panel;
      const auto take = [&](auto panels) {
        for (; next + panels <= panel_end; next += panels) {
          in.weights = packed_.data() + next * in.panel_size;
          detail::multiply_tile<decltype(panels)::value>(in, from(next * width, first, size));
        }
      };
      take(std::integral_constant<int, together>{});
      if constexpr (together == 4) take(std::integral_constant<int, 2>{});
      if constexpr (together > 1) take(std::integral_constant<int, 1>{});
    });
  }

  bool own_bias_ = false;
  index_t inputs_ = 0;
  index_t outputs_ = 0;
  index_t matrices_ = 0;
  index_t taps_ = 0;
  bool along_outputs_ = true;
  std::vector<detail::tap_run> runs_;
  std::vector<detail::tap_pixel> pixels_;
  std::vector<pattern> patterns_;
  std::vector<mixture> mixtures_;
  std::vector<mixed_tile> mixed_tiles_;
  index_t mixed_work_ = 0;
  detail::aligned_array<Scalar> zeros_;
  detail::aligned_array<Scalar> packed_;
  detail::aligned_array<Scalar> bias_;
};

}  // namespace basin
