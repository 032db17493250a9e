#!/usr/bin/env python3
"""Writes the golden files of eigenvalues: LAPACK's answers, by SciPy.

make.py [FOLDER] writes one safetensors file a matrix into FOLDER (this script's by default), all
F64: A (k x k), values (k x 2: real and imaginary parts, the largest modulus first, of a pair that
with the positive imaginary part first) and condition (k: 1 / |y^H x| of LAPACK's vectors).

  normal       real values and pairs in an orthogonal basis
  grcar        Grcar's matrix, whose pseudospectra are wide
  jordan       a Jordan block with a small perturbation in its corner
  clustered    ten values within 1e-3 of 1, far from the others
  pairs        complex pairs in a basis that is not orthogonal
  two          2 x 2, a pair
"""
import pathlib
import sys

import numpy
import scipy.linalg
from safetensors.numpy import save_file

random = numpy.random.default_rng(20261126)


def orthogonal(k):
    return numpy.linalg.qr(random.standard_normal((k, k)))[0]


def blocks(values):
    """A block-diagonal matrix: of a complex value its pair."""
    return scipy.linalg.block_diag(*[
        [[v.real, v.imag], [-v.imag, v.real]] if v.imag else [[v.real]] for v in values])


def matrices():
    radii, angles = random.uniform(0.1, 1, 12), random.uniform(0.1, 3, 12)
    D = blocks([*(radii * numpy.exp(1j * angles)), *random.uniform(-1, 1, 16).astype(complex)])
    Q = orthogonal(40)
    yield "normal", Q @ D @ Q.T
    yield "grcar", numpy.tri(50, k=3) - numpy.tri(50, k=-1) - numpy.diag(numpy.ones(49), -1)
    J = 0.9 * numpy.eye(24) + numpy.diag(numpy.full(23, 0.1), 1)
    J[-1, 0] = 1e-9
    yield "jordan", J
    values = numpy.concatenate([1 - 1e-4 * numpy.arange(10), random.uniform(-0.5, 0.5, 30)])
    X = numpy.eye(40) + 0.3 * random.standard_normal((40, 40)) / numpy.sqrt(40)
    yield "clustered", X @ numpy.diag(values) @ numpy.linalg.inv(X)
    D = blocks(0.99 * numpy.exp(-numpy.arange(30) / 10) * numpy.exp(1j * random.uniform(0, 3, 30)))
    X = numpy.eye(60) + 0.3 * random.standard_normal((60, 60)) / numpy.sqrt(60)
    yield "pairs", X @ D @ numpy.linalg.inv(X)
    yield "two", numpy.array([[0.3, -2.0], [0.5, 0.1]])


folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
folder = folder if folder.is_dir() else folder.parent
for name, A in matrices():
    values, left, right = scipy.linalg.eig(A, left=True, right=True)
    cosine = numpy.abs(numpy.sum(left.conj() * right, axis=0))
    cosine /= numpy.linalg.norm(left, axis=0) * numpy.linalg.norm(right, axis=0)
    order = sorted(range(len(values)),
                   key=lambda i: (-abs(values[i]), -values[i].real, -values[i].imag))
    values = values[order]
    save_file({"A": numpy.ascontiguousarray(A),
               "values": numpy.ascontiguousarray(numpy.stack([values.real, values.imag], 1)),
               "condition": numpy.ascontiguousarray(1 / cosine[order])},
              folder / f"{name}.safetensors")
