// Dictionaries, targets and codes of scikit-learn's, see golden/sparse/make.py.
#pragma once

#include <string>

#include <Eigen/Core>

#include <basin/sparse/dictionary.hpp>

#include "../golden.hpp"

namespace problems {

struct golden {
  basin::Dictionary<double> dictionary;
  Eigen::MatrixXd targets, codes;
  Eigen::VectorXd residuals;
};

inline golden read_golden(const std::string& name) {
  const ::golden::Case file("sparse/" + name);
  golden g;
  g.dictionary.atoms = file.columns("atoms");
  g.targets = file.columns("targets");
  g.codes = file.columns("codes");
  g.residuals = file.vector("residuals");
  return g;
}

}  // namespace problems
