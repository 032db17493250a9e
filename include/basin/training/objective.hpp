/// @file
/// The loss of a batch and its gradient.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <basin/backend/cpu.hpp>
#include <basin/backend/cpu/scratch.hpp>
#include <basin/nn/autoencoder.hpp>
#include <basin/training/regularizer.hpp>

namespace basin {

/// The parts of a loss.
struct loss_terms {
  double reconstruction = 0;      ///< mean over the batch and its entries of (x - F(x))²
  std::vector<double> penalties;  ///< one per regulariser, its strength included

  [[nodiscard]] double total() const {
    double sum = reconstruction;
    for (const double one : penalties) sum += one;
    return sum;
  }
};

/// The training objective of an autoencoder: the mean squared error of reconstruction and
/// regularisers.
///
/// The mean is over the samples and the entries of each, as PyTorch's mse_loss has it. The
/// paper's Equation 1 sums both instead: its λ is N n times that of a strength here. With
/// `denoising` and `masked` the encoder sees M ⊙ (x + noise), and the squared error is that
/// of what it sees; terms of the code are too, terms of Jacobians are taken at x.
///
/// Results do not depend on the number of threads. Cost of a plain step: three evaluations
/// of F a sample. Memory: all layers' columns of the batch twice, in scratch memory.
template <class Scalar>
class Objective {
 public:
  using backend_type = cpu<Scalar>;
  /// A number of a noise: standard normal, or uniform in (0, 1).
  /// @param term position of the regulariser that asks
  using noise_source = std::function<double(std::size_t term, index_t row, index_t column)>;

  /// @throws argument_error if a setting is out of its range
  explicit Objective(std::vector<regularizer<Scalar>> terms = {}) : terms_(std::move(terms)) {
    for (const auto& term : terms_) {
      std::visit([](const auto& one) { detail::require_valid(one); }, term);
    }
  }

  [[nodiscard]] const std::vector<regularizer<Scalar>>& terms() const noexcept { return terms_; }

  /// Numbers from elsewhere in the place of the stream's, for denoising, variational and
  /// masked: quasi-random ones, or those of another program. They must be functions of their
  /// arguments alone, and are called from several threads at once.
  void set_noise(noise_source normal, noise_source uniform) {
    normal_ = std::move(normal);
    uniform_ = std::move(uniform);
  }

  /// Throws `argument_error` or `size_error` unless the model can be trained so.
  void require_model(const Autoencoder<Scalar>& model) const {
    for (const auto& term : terms_) {
      if (const auto* one = std::get_if<bottleneck>(&term)) {
        require_size("bottleneck", "the model's latent size", model.latent_size(), one->size);
      }
    }
    require(has<variational>() == model.variational(), "training",
            "a model whose encoder gives twice what its decoder takes is trained with the "
            "regulariser variational, and no other is");
  }

  /// The loss of a batch, and its gradient.
  /// @throws argument_error, size_error see require_model
  /// @param x images in the engine's layout
  /// @param random the stream of noises
  /// @param first_sample number in that stream of the first image
  /// @param g parameters of the model: receives the gradient, in the order of
  ///   model.parameters()
  [[nodiscard]] loss_terms evaluate(const cpu<Scalar>& be, Autoencoder<Scalar>& model,
                                    block<const Scalar> x, random_stream random,
                                    std::uint64_t first_sample, Scalar* g) const {
    require_model(model);
    require(x.count >= 1, "objective", "there must be at least one image");
    batch at{*this, be, model, x, random, first_sample, g};
    return at.evaluate();
  }

 private:
  using pass = chain_pass<Scalar>;

  template <class Settings>
  [[nodiscard]] bool has() const {
    return std::any_of(terms_.begin(), terms_.end(), [](const regularizer<Scalar>& term) {
      return std::holds_alternative<Settings>(term);
    });
  }

  /// One evaluation.
  struct batch {
    const Objective& objective;
    const cpu<Scalar>& be;
    Autoencoder<Scalar>& model;
    block<const Scalar> x;
    random_stream random;
    std::uint64_t first_sample;
    Scalar* g;

    loss_terms losses = {};
    index_t n = model.image_shape().size();
    index_t k = model.latent_size();
    index_t code_size = model.encoder().output_shape().size();
    index_t encoder_parameters = parameter_count(model.encoder());
    double count = static_cast<double>(x.count);

    loss_terms evaluate() {
      losses.penalties.assign(objective.terms_.size(), 0.0);
      std::fill_n(g, encoder_parameters + parameter_count(model.decoder()), Scalar(0));
      main_view();
      for (std::size_t i = 0; i < objective.terms_.size(); ++i) {
        std::visit([&](const auto& term) { add(i, term); }, objective.terms_[i]);
      }
      model.join_tied_gradients(g);
      return std::move(losses);
    }

    // Terms that main_view computes, or that are none.
    template <class Term>
    void add(std::size_t, const Term&) {}

    [[nodiscard]] block<Scalar> make(scratch_scope& scope, index_t size) const {
      const index_t stride = detail::column_stride<Scalar>(size);
      return {scope.get<Scalar>(stride * x.count), stride, x.count};
    }
    static void fill(block<Scalar> to, index_t size, Scalar value) {
      for (index_t j = 0; j < to.count; ++j) std::fill_n(to.column(j), size, value);
    }
    /// Number of sample j in the streams.
    [[nodiscard]] index_t sample(index_t j) const { return static_cast<index_t>(first_sample) + j; }
    [[nodiscard]] random_stream stream(std::size_t term) const {
      return {random.seed, random.stream + static_cast<std::uint32_t>(term)};
    }
    [[nodiscard]] Scalar normal(std::size_t term, index_t row, index_t j) const {
      if (objective.normal_) return static_cast<Scalar>(objective.normal_(term, row, sample(j)));
      return normal_at<Scalar>(stream(term), row, sample(j));
    }
    [[nodiscard]] double uniform(std::size_t term, index_t row, index_t j) const {
      if (objective.uniform_) return objective.uniform_(term, row, sample(j));
      return uniform_from_word<double>(stream(term).word(row, sample(j)));
    }
    [[nodiscard]] Scalar sign(std::size_t term, index_t row, index_t j, index_t probe,
                              index_t rows) const {
      return (stream(term).word(probe * rows + row, sample(j)) & 1u) != 0 ? Scalar(1) : Scalar(-1);
    }

    // ---- what the encoder sees -------------------------------------------------------

    void main_view() {
      scratch_scope scope;
      block<const Scalar> seen = x;
      block<Scalar> mask;
      if (objective.template has<denoising>() || objective.template has<masked>()) {
        const block<Scalar> corrupted = make(scope, n);
        for (index_t j = 0; j < x.count; ++j) std::copy_n(x.column(j), n, corrupted.column(j));
        for (std::size_t i = 0; i < objective.terms_.size(); ++i) {
          if (const auto* noise = std::get_if<denoising>(&objective.terms_[i])) {
            add_noise(i, *noise, corrupted);
          }
        }
        for (std::size_t i = 0; i < objective.terms_.size(); ++i) {
          if (const auto* hidden = std::get_if<masked>(&objective.terms_[i])) {
            if (mask.data == nullptr) {
              mask = make(scope, n);
              fill(mask, n, Scalar(1));
            }
            hide(i, *hidden, mask);
          }
        }
        if (mask.data != nullptr) multiply(corrupted, mask, n);
        seen = corrupted;
      }
      losses.reconstruction += view(seen, mask, 1.0, true);
      double clean = 0;
      for (const auto& term : objective.terms_) {
        std::visit(
            [&](const auto& one) {
              if constexpr (requires { one.clean; }) clean = std::max(clean, one.clean);
            },
            term);
      }
      if (clean > 0) losses.reconstruction += view(x, {}, clean, false);
    }

    void add(std::size_t i, const augmented<Scalar>& term) {
      scratch_scope scope;
      const block<Scalar> seen = make(scope, n);
      const tensor_shape shape = model.image_shape();
      be.pool().run(x.count, [&](index_t j) {
        scratch_scope inner;
        Scalar* const in = inner.get<Scalar>(n);
        Scalar* const out = inner.get<Scalar>(n);
        for (index_t e = 0; e < n; ++e) in[shape.border_row(e)] = x.column(j)[e];
        term.transformation(array_view<const Scalar>(in, n), array_view<Scalar>(out, n), stream(i),
                            sample(j));
        for (index_t e = 0; e < n; ++e) seen.column(j)[e] = out[shape.border_row(e)];
      });
      losses.penalties[i] += view(seen, {}, term.strength, false);
    }

    void add_noise(std::size_t i, const denoising& term, block<Scalar> to) const {
      const tensor_shape shape = model.image_shape();
      be.pool().run(x.count, [&](index_t j) {
        for (index_t e = 0; e < n; ++e) {
          to.column(j)[e] +=
              static_cast<Scalar>(term.deviation) * normal(i, shape.border_row(e), j);
        }
      });
    }
    void hide(std::size_t i, const masked& term, block<Scalar> mask) const {
      const tensor_shape shape = model.image_shape();
      const index_t across = (shape.width + term.patch - 1) / term.patch;
      be.pool().run(x.count, [&](index_t j) {
        for (index_t p = 0; p < shape.pixels(); ++p) {
          const index_t patch =
              p / shape.width / term.patch * across + p % shape.width / term.patch;
          if (uniform(i, patch, j) >= term.ratio) continue;
          std::fill_n(mask.column(j) + p * shape.channels, shape.channels, Scalar(0));
        }
      });
    }
    static void multiply(block<Scalar> to, block<const Scalar> by, index_t size) {
      for (index_t j = 0; j < to.count; ++j) {
        for (index_t e = 0; e < size; ++e) to.column(j)[e] *= by.column(j)[e];
      }
    }

    /// Reconstruction from what the encoder sees: adds the gradient, returns the loss.
    /// @param with_code whether the terms of the code are added too
    double view(block<const Scalar> seen, block<const Scalar> mask, double strength,
                bool with_code) {
      scratch_scope scope;
      const auto& encoder = model.encoder();
      const auto& decoder = model.decoder();
      const bool sampled = model.variational();
      const block<Scalar> code_cotangent = make(scope, code_size);
      const block<Scalar> image_cotangent = make(scope, n);
      const pass to_code = encoder.scratch_pass(scope, seen, code_cotangent, {});
      const block<Scalar> code = to_code.values[encoder.depth()];
      const block<Scalar> latent = sampled ? make(scope, k) : code;
      const block<Scalar> latent_cotangent = sampled ? make(scope, k) : code_cotangent;
      const pass to_image = decoder.scratch_pass(scope, latent, image_cotangent, latent_cotangent);
      const block<Scalar> image = to_image.values[decoder.depth()];
      std::vector<double> errors(static_cast<std::size_t>(x.count));
      const auto scale = static_cast<Scalar>(2 * strength / (count * static_cast<double>(n)));
      for_each_block<Scalar>(&be.pool(), x.count, [&](index_t first, index_t columns) {
        scratch_scope inner;
        encoder.fill_values(nullptr, encoder.columns_of(inner, to_code, first, columns));
        if (sampled) {
          for (index_t j = first; j < first + columns; ++j) draw(code, latent, j);
        }
        const pass part = decoder.columns_of(inner, to_image, first, columns);
        decoder.fill_values(nullptr, part);
        for (index_t j = first; j < first + columns; ++j) {
          double sum = 0;
          for (index_t e = 0; e < n; ++e) {
            Scalar residual = image.column(j)[e] - x.column(j)[e];
            if (mask.data != nullptr) residual *= mask.column(j)[e];
            sum += static_cast<double>(residual) * static_cast<double>(residual);
            image_cotangent.column(j)[e] = scale * residual;
          }
          errors[static_cast<std::size_t>(j)] = sum;
        }
        decoder.fill_cotangents(nullptr, part);
        if (sampled) {
          for (index_t j = first; j < first + columns; ++j) {
            draw_back(code, latent_cotangent, code_cotangent, j);
          }
        }
      });
      if (with_code) add_code_terms(code, code_cotangent);
      for_each_block<Scalar>(&be.pool(), x.count, [&](index_t first, index_t columns) {
        scratch_scope inner;
        encoder.fill_cotangents(nullptr, encoder.columns_of(inner, to_code, first, columns), 1);
      });
      encoder.add_gradients(&be.pool(), to_code, g);
      decoder.add_gradients(&be.pool(), to_image, g + encoder_parameters);
      double sum = 0;
      for (const double one : errors) sum += one;
      return strength * sum / (count * static_cast<double>(n));
    }

    // ---- terms of the code ---------------------------------------------------------------

    [[nodiscard]] std::size_t variational_term() const {
      for (std::size_t i = 0; i < objective.terms_.size(); ++i) {
        if (std::holds_alternative<variational>(objective.terms_[i])) return i;
      }
      return 0;
    }
    void draw(block<const Scalar> code, block<Scalar> latent, index_t j) const {
      const std::size_t term = variational_term();
      for (index_t i = 0; i < k; ++i) {
        latent.column(j)[i] =
            code.column(j)[i] + std::exp(code.column(j)[k + i] / 2) * normal(term, i, j);
      }
    }
    void draw_back(block<const Scalar> code, block<const Scalar> latent_cotangent,
                   block<Scalar> code_cotangent, index_t j) const {
      const std::size_t term = variational_term();
      for (index_t i = 0; i < k; ++i) {
        const Scalar u = latent_cotangent.column(j)[i];
        code_cotangent.column(j)[i] = u;
        code_cotangent.column(j)[k + i] =
            u * normal(term, i, j) * std::exp(code.column(j)[k + i] / 2) / 2;
      }
    }

    void add_code_terms(block<const Scalar> code, block<Scalar> cotangent) {
      for (std::size_t i = 0; i < objective.terms_.size(); ++i) {
        std::visit([&](const auto& term) { add_code_term(i, term, code, cotangent); },
                   objective.terms_[i]);
      }
    }
    template <class Term>
    void add_code_term(std::size_t, const Term&, block<const Scalar>, block<Scalar>) {}

    void add_code_term(std::size_t i, const sparse_l1& term, block<const Scalar> code,
                       block<Scalar> cotangent) {
      double sum = 0;
      const auto slope = static_cast<Scalar>(term.strength / count);
      for (index_t j = 0; j < code.count; ++j) {
        for (index_t e = 0; e < k; ++e) {
          const Scalar z = code.column(j)[e];
          sum += std::abs(static_cast<double>(z));
          cotangent.column(j)[e] += z > 0 ? slope : z < 0 ? -slope : Scalar(0);
        }
      }
      losses.penalties[i] += term.strength * sum / count;
    }
    void add_code_term(std::size_t i, const sparse_kl& term, block<const Scalar> code,
                       block<Scalar> cotangent) {
      for (index_t e = 0; e < k; ++e) {
        double mean = 0;
        for (index_t j = 0; j < code.count; ++j) mean += static_cast<double>(code.column(j)[e]);
        mean /= count;
        require(!(mean < 0 || mean > 1), "sparse_kl",
                "the codes must lie in (0, 1): the encoder must end with a sigmoid");
        // Saturated, a sigmoid is 0 or 1 to the last bit.
        constexpr double least = std::numeric_limits<Scalar>::epsilon();
        mean = std::clamp(mean, least, 1 - least);
        const double rho = term.target;
        losses.penalties[i] += term.strength * (rho * std::log(rho / mean) +
                                                (1 - rho) * std::log((1 - rho) / (1 - mean)));
        const auto slope =
            static_cast<Scalar>(term.strength / count * ((1 - rho) / (1 - mean) - rho / mean));
        for (index_t j = 0; j < code.count; ++j) cotangent.column(j)[e] += slope;
      }
    }
    void add_code_term(std::size_t i, const variational& term, block<const Scalar> code,
                       block<Scalar> cotangent) {
      double sum = 0;
      const auto scale = static_cast<Scalar>(term.strength / count);
      for (index_t j = 0; j < code.count; ++j) {
        for (index_t e = 0; e < k; ++e) {
          const Scalar mean = code.column(j)[e];
          const Scalar log_variance = code.column(j)[k + e];
          const Scalar variance = std::exp(log_variance);
          sum += static_cast<double>(mean * mean + variance - 1 - log_variance) / 2;
          cotangent.column(j)[e] += scale * mean;
          cotangent.column(j)[k + e] += scale * (variance - 1) / 2;
        }
      }
      losses.penalties[i] += term.strength * sum / count;
    }

    // ---- terms of the parameters ---------------------------------------------------------

    void add(std::size_t i, const deep_weight_decay& term) {
      decay(i, term.strength, [](std::size_t, std::size_t, std::size_t) { return true; });
    }
    void add(std::size_t i, const weight_decay& term) {
      decay(i, term.strength, [](std::size_t w, std::size_t of_encoder, std::size_t) {
        return w + 1 == of_encoder || w == of_encoder;
      });
    }
    /// @param which which(w, weights of the encoder, all weights)
    template <class Which>
    void decay(std::size_t i, double strength, const Which& which) {
      // Matrices and kernels; a norm's gains have other ranks.
      const auto is_weight = [](const auto& one) {
        return one.shape.size() == 2 || one.shape.size() == 4;
      };
      const auto of_encoder = model.encoder().parameters();
      const auto all = model.parameters();
      const auto before =
          static_cast<std::size_t>(std::count_if(of_encoder.begin(), of_encoder.end(), is_weight));
      const auto total = static_cast<std::size_t>(std::count_if(all.begin(), all.end(), is_weight));
      std::size_t w = 0;
      index_t offset = 0;
      for (const auto& one : all) {
        if (is_weight(one) && which(w++, before, total)) {
          double sum = 0;
          for (index_t e = 0; e < one.values.size; ++e) {
            const Scalar value = one.values[e];
            sum += static_cast<double>(value) * static_cast<double>(value);
            g[offset + e] += static_cast<Scalar>(2 * strength) * value;
          }
          losses.penalties[i] += strength * sum;
        }
        offset += one.values.size;
      }
    }

    // ---- terms of Jacobians ----------------------------------------------------------------
    //
    // For fixed vectors a, b the gradient of <b, J a> is a dual pass with tangent a and
    // cotangent b of J a. d‖J^T r‖² = 2 <r, dJ J^T r> and d‖J r‖² = 2 <J r, dJ r>.

    void add(std::size_t i, const contractive& term) {
      scratch_scope scope;
      const auto& encoder = model.encoder();
      const block<Scalar> cotangent = make(scope, code_size);
      const block<Scalar> tangent_cotangent = make(scope, code_size);
      const block<Scalar> pulled = make(scope, n);  // J^T r
      const pass blocks =
          encoder.scratch_pass(scope, x, cotangent, pulled, pulled, tangent_cotangent);
      values(encoder, blocks);
      const index_t probes = term.probes > 0 ? term.probes : k;
      const double weight =
          term.strength / count / (term.probes > 0 ? static_cast<double>(probes) : 1.0);
      for (index_t p = 0; p < probes; ++p) {
        fill(cotangent, code_size, Scalar(0));
        fill(tangent_cotangent, code_size, Scalar(0));
        for (index_t j = 0; j < x.count; ++j) {
          if (term.probes > 0) {
            for (index_t e = 0; e < k; ++e) cotangent.column(j)[e] = sign(i, e, j, p, k);
          } else {
            cotangent.column(j)[p] = Scalar(1);
          }
          for (index_t e = 0; e < k; ++e) {
            tangent_cotangent.column(j)[e] =
                static_cast<Scalar>(2 * weight) * cotangent.column(j)[e];
          }
        }
        for_each_block<Scalar>(&be.pool(), x.count, [&](index_t first, index_t columns) {
          scratch_scope inner;
          const pass part = encoder.columns_of(inner, blocks, first, columns);
          encoder.fill_cotangents(nullptr, part);
        });
        losses.penalties[i] += weight * squared_norm(pulled, n);
        fill(cotangent, code_size, Scalar(0));
        for_each_block<Scalar>(&be.pool(), x.count, [&](index_t first, index_t columns) {
          scratch_scope inner;
          const pass part = encoder.columns_of(inner, blocks, first, columns);
          encoder.fill_tangents(nullptr, part);
          encoder.fill_dual_cotangents(nullptr, part, 1);
        });
        encoder.add_dual_gradients(&be.pool(), blocks, g);
      }
    }

    void add(std::size_t i, const r_contractive& term) {
      scratch_scope scope;
      const auto& encoder = model.encoder();
      const auto& decoder = model.decoder();
      const block<Scalar> code_cotangent = make(scope, code_size);
      const block<Scalar> code_tangent_cotangent = make(scope, code_size);
      const block<Scalar> image_cotangent = make(scope, n);
      const block<Scalar> image_tangent_cotangent = make(scope, n);
      const block<Scalar> tangent = make(scope, n);
      const pass to_code =
          encoder.scratch_pass(scope, x, code_cotangent, {}, tangent, code_tangent_cotangent);
      // A variational code's means come first, so that the decoder sees the same memory.
      const pass to_image = decoder.scratch_pass(
          scope, to_code.values[encoder.depth()], image_cotangent, code_cotangent,
          to_code.tangents[encoder.depth()], image_tangent_cotangent, code_tangent_cotangent);
      values(encoder, to_code);
      values(decoder, to_image);
      std::vector<block<Scalar>> basis;
      if (term.probes == 0) basis = row_space(scope);
      const index_t probes = term.probes > 0 ? term.probes : k;
      const double weight =
          term.strength / count / (term.probes > 0 ? static_cast<double>(probes) : 1.0);
      const block<Scalar> pushed = to_image.tangents[decoder.depth()];  // J_F r
      fill(image_cotangent, n, Scalar(0));
      for (index_t p = 0; p < probes; ++p) {
        fill(code_cotangent, code_size, Scalar(0));
        fill(code_tangent_cotangent, code_size, Scalar(0));
        for (index_t j = 0; j < x.count; ++j) {
          for (index_t e = 0; e < n; ++e) {
            tangent.column(j)[e] = term.probes > 0
                                       ? sign(i, e, j, p, n)
                                       : basis[static_cast<std::size_t>(p)].column(j)[e];
          }
        }
        for_each_block<Scalar>(&be.pool(), x.count, [&](index_t first, index_t columns) {
          scratch_scope inner;
          const pass code_part = encoder.columns_of(inner, to_code, first, columns);
          const pass image_part = decoder.columns_of(inner, to_image, first, columns);
          encoder.fill_tangents(nullptr, code_part);
          decoder.fill_tangents(nullptr, image_part);
          for (index_t j = first; j < first + columns; ++j) {
            for (index_t e = 0; e < n; ++e) {
              image_tangent_cotangent.column(j)[e] =
                  static_cast<Scalar>(2 * weight) * pushed.column(j)[e];
            }
          }
          decoder.fill_dual_cotangents(nullptr, image_part);
          encoder.fill_dual_cotangents(nullptr, code_part, 1);
        });
        losses.penalties[i] += weight * squared_norm(pushed, n);
        encoder.add_dual_gradients(&be.pool(), to_code, g);
        decoder.add_dual_gradients(&be.pool(), to_image, g + encoder_parameters);
      }
    }

    /// For every sample an orthonormal basis of the rows of J_E, by Gram and Schmidt twice;
    /// vectors that depend on those before become zero.
    std::vector<block<Scalar>> row_space(scratch_scope& scope) const {
      const auto& encoder = model.encoder();
      std::vector<block<Scalar>> rows;
      for (index_t p = 0; p < k; ++p) rows.push_back(make(scope, n));
      const block<Scalar> cotangent = make(scope, code_size);
      pass blocks = encoder.scratch_pass(scope, x, cotangent, rows[0]);
      values(encoder, blocks);
      for (index_t p = 0; p < k; ++p) {
        fill(cotangent, code_size, Scalar(0));
        for (index_t j = 0; j < x.count; ++j) cotangent.column(j)[p] = Scalar(1);
        blocks.cotangents[0] = rows[static_cast<std::size_t>(p)];
        for_each_block<Scalar>(&be.pool(), x.count, [&](index_t first, index_t columns) {
          scratch_scope inner;
          encoder.fill_cotangents(nullptr, encoder.columns_of(inner, blocks, first, columns));
        });
      }
      be.pool().run(x.count, [&](index_t j) {
        using vector = Eigen::Map<Eigen::VectorX<Scalar>>;
        for (index_t p = 0; p < k; ++p) {
          vector row(rows[static_cast<std::size_t>(p)].column(j), n);
          const Scalar before = row.norm();
          for (int again = 0; again < 2; ++again) {
            for (index_t q = 0; q < p; ++q) {
              const vector earlier(rows[static_cast<std::size_t>(q)].column(j), n);
              row -= earlier.dot(row) * earlier;
            }
          }
          const Scalar after = row.norm();
          constexpr Scalar least = 100 * std::numeric_limits<Scalar>::epsilon();
          if (after > least * before) {
            row /= after;
          } else {
            row.setZero();
          }
        }
      });
      return rows;
    }

    template <class Chain>
    void values(const Chain& chain, const pass& blocks) const {
      for_each_block<Scalar>(&be.pool(), x.count, [&](index_t first, index_t columns) {
        scratch_scope inner;
        chain.fill_values(nullptr, chain.columns_of(inner, blocks, first, columns));
      });
    }
    static double squared_norm(block<const Scalar> v, index_t size) {
      double sum = 0;
      for (index_t j = 0; j < v.count; ++j) {
        sum += static_cast<double>(
            detail::sum_run<Scalar>(size, [](const auto& a) { return a * a; }, v.column(j)));
      }
      return sum;
    }
  };

  std::vector<regularizer<Scalar>> terms_;
  noise_source normal_;
  noise_source uniform_;
};

}  // namespace basin
