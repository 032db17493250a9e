#!/usr/bin/env python3
"""Writes the golden files of the metrics: scikit-learn's, SciPy's and NumPy's answers.

make.py [FOLDER] writes one safetensors file a case into FOLDER (this script's by default), F64:

  sets_NAME  a (M x k), b (N x k); nearest, similarity (M: argmax and max of scikit-learn's
             cosine_similarity, the lowest index of equal rows), centered (M: the same around the
             mean of b); chamfer (3 x 2: euclidean, squared, cosine; forward, backward, by SciPy's
             cdist, cosines by scikit-learn)
  rank_NAME  x (M x n); shares (S), rank and centered_rank (S: by NumPy's singular values), entropy
             (2: effective rank, uncentred and centred)
"""
import pathlib
import sys

import numpy
from safetensors.numpy import save_file
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import cosine_similarity

random = numpy.random.default_rng(20261126)
folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
folder = folder if folder.is_dir() else folder.parent


def save(name, **arrays):
    save_file({key: numpy.ascontiguousarray(value, dtype=numpy.float64)
               for key, value in arrays.items()}, folder / f"{name}.safetensors")


def both(distances):
    return [distances.min(1).mean(), distances.min(0).mean()]


def set_cases():
    yield "normal", random.normal(size=(20, 12)), random.normal(size=(150, 12))
    b = random.integers(-1, 2, (90, 3)).astype(float)  # repeats, and zeros
    yield "ties", random.integers(-1, 2, (40, 3)).astype(float), b
    yield "far", 1e4 + random.normal(size=(12, 5)), 1e4 + random.normal(size=(60, 5))
    images = random.uniform(size=(30, 196)) ** 3
    yield "images", images[:9] + 0.05 * random.normal(size=(9, 196)), images
    yield "constant", numpy.full((4, 3), 0.7), numpy.full((5, 3), 0.7)
    yield "one", random.normal(size=(1, 2)), random.normal(size=(1, 2))


for name, a, b in set_cases():
    similar = cosine_similarity(a, b)
    # Of rows of which one is a positive multiple of another roundings would choose.
    nearest = [numpy.flatnonzero(row > row.max() - 1e-12)[0] for row in similar]
    mean = b.astype(numpy.longdouble).mean(0).astype(float)  # NumPy's own rounds more
    around = cosine_similarity(a - mean, b - mean) if name != "constant" else numpy.zeros((4, 5))
    distances = cdist(a, b)
    save(f"sets_{name}", a=a, b=b, nearest=nearest, similarity=similar.max(1),
         centered=around.max(1),
         chamfer=[both(distances), both(cdist(a, b, "sqeuclidean")), both(1 - similar)])


def rank(s, share):
    explained = numpy.cumsum(s**2) / numpy.sum(s**2)
    return 1 + numpy.flatnonzero(explained >= share)[0]


def entropy(s):
    p = s / s.sum()
    p = p[p > 1e-15]
    return numpy.exp(-numpy.sum(p * numpy.log(p)))


def rank_cases():
    yield "wide", random.normal(size=(12, 40)) * numpy.geomspace(1, 1e-3, 12)[:, None]
    yield "tall", random.normal(size=(50, 9)) @ numpy.diag(numpy.geomspace(1, 1e-7, 9))
    yield "images", random.uniform(size=(25, 64))


for name, x in rank_cases():
    shares = numpy.array([0.5, 0.9, 0.99, 1 - 1e-9])
    s = numpy.linalg.svd(x, compute_uv=False)
    c = numpy.linalg.svd(x - x.mean(0), compute_uv=False)
    save(f"rank_{name}", x=x, shares=shares, rank=[rank(s, share) for share in shares],
         centered_rank=[rank(c, share) for share in shares], entropy=[entropy(s), entropy(c)])
