// Golden values of scikit-learn, SciPy and NumPy (tests/golden/attractor/make.py).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/io/safetensors.hpp>

namespace golden {

class Case {
 public:
  explicit Case(const std::string& name)
      : file_(std::filesystem::path(__FILE__).parent_path().parent_path() / "golden" / "attractor" /
              (name + ".safetensors")) {}

  [[nodiscard]] Eigen::VectorXd vector(const std::string& name) const {
    const std::vector<double> x = file_.read<double>(name);
    return Eigen::Map<const Eigen::VectorXd>(x.data(), static_cast<Eigen::Index>(x.size()));
  }
  // Rows of the file as columns.
  [[nodiscard]] Eigen::MatrixXd columns(const std::string& name) const {
    const std::vector<double> x = file_.read<double>(name);
    const auto& shape = file_.info(name).shape;
    return Eigen::Map<const Eigen::MatrixXd>(x.data(), shape.at(1), shape.at(0));
  }

 private:
  basin::SafetensorsFile file_;
};

}  // namespace golden
