/// @file
/// The dictionary that the attractors of a map are.
#pragma once

#include <string>

#include <Eigen/Core>

#include <basin/attractor/atlas.hpp>
#include <basin/core/error.hpp>
#include <basin/sparse/dictionary.hpp>

namespace basin {

/// What of an attractor is its atom.
enum class attractor_atoms {
  centers,  ///< the first point of each, in latent space
  images,   ///< that point decoded: see `add_images`
};

/// A dictionary of the attractors of an atlas; `source` counts them.
/// @throws argument_error if a setting is out of its range, images are asked for and an attractor
///   has none, or an entry is not finite; size_error if images differ in size
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/attractor_dictionary.hpp>
///
/// int main() {
///   basin::Atlas atlas;
///   atlas.k = 2;
///   atlas.attractors.resize(2);
///   atlas.attractors[0].center = Eigen::Vector2d(3, 4);
///   atlas.attractors[1].center = Eigen::Vector2d(0, 1);
///   const auto dictionary = basin::attractor_dictionary<double>(atlas);
///   std::cout << dictionary.atoms << '\n';
/// }
/// @endcode
template <class Scalar>
[[nodiscard]] Dictionary<Scalar> attractor_dictionary(
    const Atlas& atlas, attractor_atoms from = attractor_atoms::centers,
    const dictionary_options& options = {}) {
  if (from == attractor_atoms::centers) return make_dictionary<Scalar>(atlas.centers(), options);
  const index_t pixels = atlas.size() > 0 ? atlas.attractors.front().image.size() : 0;
  Eigen::MatrixXd images(pixels, atlas.size());
  for (index_t a = 0; a < atlas.size(); ++a) {
    const Eigen::VectorXd& image = atlas.attractors[static_cast<std::size_t>(a)].image;
    require(image.size() > 0, "attractor_dictionary",
            "attractor " + std::to_string(a) + " has no image: see add_images");
    require_size("attractor_dictionary", "number of entries of image " + std::to_string(a),
                 image.size(), pixels);
    images.col(a) = image;
  }
  return make_dictionary<Scalar>(images, options);
}

}  // namespace basin
