#!/usr/bin/env python3
"""Writes the golden files of sparse representations: scikit-learn's orthogonal matching pursuit and
SciPy's non-negative least squares, in double.

make.py [FOLDER] writes one safetensors file a problem into FOLDER (this script's by default), all
F64, columns as rows: atoms (d x n), targets (N x n), codes (N x d) and residuals (N).

  gaussian       30 x 60, Gaussian atoms and targets, 10 atoms
  coherent       20 x 40, atoms that share a direction (coherence near 0.9), 8 atoms
  to_residual    30 x 60, until the residual is at most 0.3 of the target's norm
  non_negative   25 x 15, atoms with entries of one sign, all of non-negative least squares

Needs numpy, safetensors, scikit-learn and scipy.
"""
import pathlib
import sys

import numpy as np
from safetensors.numpy import save_file
from scipy.optimize import nnls
from sklearn.linear_model import orthogonal_mp


def unit(columns):
    return columns / np.linalg.norm(columns, axis=0)


def write(folder, name, atoms, targets, codes):
    residuals = np.linalg.norm(targets - atoms @ codes, axis=0)
    save_file({"atoms": np.ascontiguousarray(atoms.T), "targets": np.ascontiguousarray(targets.T),
               "codes": np.ascontiguousarray(codes.T), "residuals": residuals},
              folder / f"{name}.safetensors")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    random = np.random.default_rng(7)
    atoms, targets = unit(random.standard_normal((30, 60))), random.standard_normal((30, 12))
    write(folder, "gaussian", atoms, targets, orthogonal_mp(atoms, targets, n_nonzero_coefs=10))
    codes = [orthogonal_mp(atoms, x, tol=(0.3 * np.linalg.norm(x)) ** 2) for x in targets.T]
    write(folder, "to_residual", atoms, targets, np.array(codes).T)
    atoms = unit(random.standard_normal((20, 40)) + 3 * random.standard_normal((20, 1)))
    targets = random.standard_normal((20, 12))
    write(folder, "coherent", atoms, targets, orthogonal_mp(atoms, targets, n_nonzero_coefs=8))
    atoms = unit(np.abs(random.standard_normal((25, 15))))
    targets = random.standard_normal((25, 12)) + 0.5
    write(folder, "non_negative", atoms, targets, np.array([nnls(atoms, x)[0] for x in targets.T]).T)


if __name__ == "__main__":
    main()
