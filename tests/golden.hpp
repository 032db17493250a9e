// Golden values: tensors of golden/ROOM/NAME.safetensors, see the make.py beside them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <Eigen/Core>

#include <basin/io/safetensors.hpp>

namespace golden {

class Case {
 public:
  // name is ROOM/NAME.
  explicit Case(const std::string& name)
      : file_(std::filesystem::path(__FILE__).parent_path() / "golden" / (name + ".safetensors")) {}

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
