#!/usr/bin/env python3
"""Writes the golden files of scores: scikit-learn's answers.

make.py [FOLDER] writes one safetensors file a case into FOLDER (this script's by default), F64:

  roc_NAME     out, in (scores of foreign and familiar samples), auroc (roc_auc_score), delong (the
               standard error, over all pairs), fpr (2 x 3: false positive rates at tpr, familiar
               samples as the positive class, then foreign ones; by roc_curve), tpr (3)
  knn_NAME     references (M x k), samples (N x k), distance and index (N x 12: the nearest, ties by
               index; equal to scikit-learn's distances by a k-d tree, which are of differences)
  mahalanobis  references (M x k), classes (M), samples (N x k), scores (4 x N: of the covariances
               sample, ridge 0.3, shrinkage 0.3, Ledoit and Wolf's), shrinkage (Ledoit and Wolf's)
"""
import pathlib
import sys

import numpy
from safetensors.numpy import save_file
from sklearn.covariance import EmpiricalCovariance, LedoitWolf, ShrunkCovariance
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import NearestNeighbors

random = numpy.random.default_rng(20261126)
folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
folder = folder if folder.is_dir() else folder.parent


def save(name, **arrays):
    save_file({key: numpy.ascontiguousarray(value, dtype=numpy.float64)
               for key, value in arrays.items()}, folder / f"{name}.safetensors")


def delong(out, inside):
    pairs = (out[:, None] > inside) + 0.5 * (out[:, None] == inside)
    return numpy.sqrt(pairs.mean(1).var(ddof=1) / len(out) + pairs.mean(0).var(ddof=1) / len(inside))


def rates(positive, negative, at):
    """False positive rates at true positive rates; high scores are positive."""
    truth = numpy.r_[numpy.ones(len(positive)), numpy.zeros(len(negative))]
    fpr, tpr, _ = roc_curve(truth, numpy.r_[positive, negative], drop_intermediate=False)
    return [fpr[numpy.argmax(tpr >= t)] for t in at]


def roc_cases():
    yield "normal", random.normal(1, 1, 311), random.normal(0, 1, 500)
    yield "ties", random.integers(0, 9, 200) + 2, random.integers(0, 9, 140)
    yield "constant", numpy.full(7, 0.25), numpy.full(20, 0.25)
    yield "apart", random.uniform(2, 3, 20), random.uniform(0, 1, 40)
    yield "reversed", random.uniform(0, 1, 20), random.uniform(2, 3, 40)
    yield "two", numpy.array([1.0, 2.0]), numpy.array([1.0, 0.0])


for name, out, inside in roc_cases():
    truth = numpy.r_[numpy.ones(len(out)), numpy.zeros(len(inside))]
    at = numpy.array([0.5, 0.95, 1.0])
    save(f"roc_{name}", out=out, **{"in": inside}, tpr=at, delong=[delong(out, inside)],
         auroc=[roc_auc_score(truth, numpy.r_[out, inside])],
         fpr=[rates(-inside, -out, at), rates(out, inside, at)])


def nearest(Y, X, count):
    """Distances by differences in double and indices, ties by index."""
    D = numpy.stack([numpy.sqrt(((Y - x) ** 2).sum(1)) for x in X])
    index = numpy.argsort(D, axis=1, kind="stable")[:, :count]
    return numpy.take_along_axis(D, index, 1), index


def knn_cases():
    yield "normal", random.normal(size=(400, 24)), random.normal(size=(30, 24))
    grid = random.integers(0, 3, (300, 4)).astype(float)  # many ties
    yield "ties", grid, random.integers(0, 3, (20, 4)) + 0.5
    far = 1e6 + 1e-2 * random.normal(size=(200, 10))  # far from the origin, near each other
    yield "far", far, 1e6 + 1e-2 * random.normal(size=(20, 10))


for name, Y, X in knn_cases():
    distance, index = nearest(Y, X, 12)
    sklearn = NearestNeighbors(n_neighbors=12, algorithm="kd_tree").fit(Y).kneighbors(X)[0]
    assert numpy.abs(sklearn - distance).max() <= 1e-12 * distance.max(), name
    save(f"knn_{name}", references=Y, samples=X, distance=distance, index=index)


def covariances(X):
    """scikit-learn's, of rows of mean zero."""
    ledoit_wolf = LedoitWolf(assume_centered=True).fit(X)
    sample = EmpiricalCovariance(assume_centered=True).fit(X).covariance_
    shrunk = ShrunkCovariance(assume_centered=True, shrinkage=0.3).fit(X).covariance_
    ridge = sample + 0.3 * numpy.trace(sample) / len(sample) * numpy.eye(len(sample))
    return sample, ridge, shrunk, ledoit_wolf.covariance_, ledoit_wolf.shrinkage_


classes = numpy.arange(90) % 3
mixing = random.normal(size=(7, 7))
Y = random.normal(size=(90, 7)) @ mixing + 5 * random.normal(size=(3, 7))[classes] + 100
X = 100 + 8 * random.normal(size=(20, 7))
means = numpy.stack([Y[classes == c].mean(0) for c in range(3)])
*found, shrinkage = covariances(Y - means[classes])
scores = [numpy.min([[(x - m) @ numpy.linalg.solve(S, x - m) for m in means] for x in X], axis=1)
          for S in found]
save("mahalanobis", references=Y, samples=X, classes=classes, scores=scores,
     shrinkage=[shrinkage])
