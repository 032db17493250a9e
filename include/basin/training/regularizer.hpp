/// @file
/// The regularisers of the paper's Table 2 and Equation 2, each an aggregate of settings.
/// Any of them may be combined; training/objective.hpp computes them.
#pragma once

#include <cmath>
#include <functional>
#include <string_view>
#include <variant>
#include <vector>

#include <basin/backend/array_view.hpp>
#include <basin/core/error.hpp>
#include <basin/core/index.hpp>
#include <basin/core/random.hpp>

namespace basin {

/// "Bottleneck": no term, only the size of the code, which bounds the rank of J_F. States
/// what the model must have; training throws where it does not.
struct bottleneck {
  index_t size = 0;  ///< k
};

/// "Plain AE with weight decay": strength × (‖W_E‖²_F + ‖W_D‖²_F), of the two weights at
/// the code: the encoder's last and the decoder's first.
struct weight_decay {
  double strength = 1e-4;
};

/// "Deep AE with weight decay": strength × Σ ‖W‖²_F over every layer's weights, without
/// biases. (`adam` and `sgd` have an L2 decay of all parameters of their own: that one is
/// added to the gradient as weight_decay × w, without the 2 of a squared norm.)
struct deep_weight_decay {
  double strength = 1e-4;
};

/// "Contractive AE" (Rifai, Vincent, Muller, Glorot and Bengio 2011): strength × the mean
/// over the batch of ‖J_E(x)‖²_F.
///
/// Exact at the cost of k passes; with probes > 0 estimated by Hutchinson's method from as
/// many random cotangents r with entries ±1, by the mean of ‖J_E^T r‖². The estimate is
/// unbiased, its variance for one x is 2 (‖G‖²_F - Σ G_ii²) / probes with G = J_E J_E^T.
struct contractive {
  double strength = 1e-3;
  index_t probes = 0;  ///< 0: exact
};

/// "R-contractive AE" (Alain and Bengio 2014): strength × the mean over the batch of
/// ‖J_F(x)‖²_F, F = D∘E.
///
/// Exact at the cost of k passes of the encoder and k of both halves: J_F vanishes on what
/// is orthogonal to the rows of J_E, so an orthonormal basis of those suffices. With probes
/// > 0 by Hutchinson's method from random tangents r with entries ±1, by the mean of
/// ‖J_F r‖²; the variance for one x is 2 (‖G‖²_F - Σ G_ii²) / probes with G = J_F^T J_F.
struct r_contractive {
  double strength = 1e-3;
  index_t probes = 0;  ///< 0: exact
};

/// "Sparse AE (KL, sigmoid)" (Ng 2011): strength × Σ_i KL(target ‖ mean over the batch of
/// E_i(x)), for codes in (0, 1): the encoder must end with a sigmoid.
struct sparse_kl {
  double strength = 1e-3;
  double target = 0.05;  ///< ρ, in (0, 1)
};

/// "Sparse AE (L1)": strength × the mean over the batch of ‖E(x)‖₁.
struct sparse_l1 {
  double strength = 1e-3;
};

/// "Denoising AE" (Vincent, Larochelle, Bengio and Manzagol 2008): the encoder sees
/// x + deviation × standard normal noise, the loss is against x.
struct denoising {
  double deviation = 0.1;
  /// Weight of ‖x - F(x)‖² beside it: none in the literature, 1 where Table 2 is read as
  /// terms that are added to the reconstruction.
  double clean = 0;
};

/// "Variational AE" (Kingma and Welling 2014): the encoder gives 2 k numbers, means μ and
/// then logarithms of variances; the decoder sees μ + exp(log σ² / 2) ε, and strength ×
/// the mean over the batch of KL(N(μ, σ²) ‖ N(0, I)) is added. The maps of the
/// autoencoder take μ.
struct variational {
  double strength = 1e-3;
};

/// "Masked AE" (He, Chen, Xie, Li, Dollár and Girshick 2022), as in Table 2: with a random
/// mask M the loss is ‖M ⊙ (x - F(M ⊙ x))‖².
struct masked {
  double ratio = 0.5;  ///< share of the patches that are hidden, in [0, 1)
  index_t patch = 4;   ///< height and width of a patch, in pixels
  double clean = 0;    ///< weight of ‖x - F(x)‖² beside it, as in `denoising`
};

/// Equation 2: ‖x - F(T x)‖² is added to ‖x - F(x)‖² for a random transformation T.
template <class Scalar>
struct augmented {
  /// out = T x for one sample, both in CHW order; `column` numbers the sample in
  /// `random`'s stream. Called from several threads at once.
  std::function<void(array_view<const Scalar> x, array_view<Scalar> out, random_stream random,
                     index_t column)>
      transformation;
  double strength = 1;
};

template <class Scalar>
using regularizer =
    std::variant<bottleneck, weight_decay, deep_weight_decay, contractive, r_contractive, sparse_kl,
                 sparse_l1, denoising, variational, masked, augmented<Scalar>>;

/// The name of a regulariser's settings, as in the source.
template <class Scalar>
[[nodiscard]] std::string_view name_of(const regularizer<Scalar>& one) {
  constexpr std::string_view names[] = {"bottleneck",  "weight_decay",  "deep_weight_decay",
                                        "contractive", "r_contractive", "sparse_kl",
                                        "sparse_l1",   "denoising",     "variational",
                                        "masked",      "augmented"};
  return names[one.index()];
}

namespace detail {
// Throw `argument_error` if a setting is out of its range.

inline void require_valid(const bottleneck& s) {
  require(s.size >= 1, "bottleneck", "size must be at least 1");
}
template <class Settings>
  requires requires(const Settings& s) { s.strength; }
void require_strength(const Settings& s, std::string_view name) {
  require(std::isfinite(s.strength) && s.strength >= 0, name,
          "strength must be a finite number that is not negative");
}
inline void require_valid(const weight_decay& s) { require_strength(s, "weight_decay"); }
inline void require_valid(const deep_weight_decay& s) { require_strength(s, "deep_weight_decay"); }
inline void require_valid(const contractive& s) {
  require_strength(s, "contractive");
  require(s.probes >= 0, "contractive", "probes must not be negative");
}
inline void require_valid(const r_contractive& s) {
  require_strength(s, "r_contractive");
  require(s.probes >= 0, "r_contractive", "probes must not be negative");
}
inline void require_valid(const sparse_kl& s) {
  require_strength(s, "sparse_kl");
  require(s.target > 0 && s.target < 1, "sparse_kl", "target must lie in (0, 1)");
}
inline void require_valid(const sparse_l1& s) { require_strength(s, "sparse_l1"); }
inline void require_valid(const denoising& s) {
  require(std::isfinite(s.deviation) && s.deviation >= 0, "denoising",
          "deviation must not be negative");
  require(std::isfinite(s.clean) && s.clean >= 0, "denoising", "clean must not be negative");
}
inline void require_valid(const variational& s) { require_strength(s, "variational"); }
inline void require_valid(const masked& s) {
  require(s.ratio >= 0 && s.ratio < 1, "masked", "ratio must lie in [0, 1)");
  require(s.patch >= 1, "masked", "patch must be at least 1");
  require(std::isfinite(s.clean) && s.clean >= 0, "masked", "clean must not be negative");
}
template <class Scalar>
void require_valid(const augmented<Scalar>& s) {
  require_strength(s, "augmented");
  require(static_cast<bool>(s.transformation), "augmented", "transformation must be callable");
}
}  // namespace detail

}  // namespace basin
