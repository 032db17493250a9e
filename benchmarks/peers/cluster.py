"""Clustering at a radius: basin's radius_clusters against scikit-learn's DBSCAN.

Single linkage at a radius is DBSCAN with min_samples = 1. Both sides get the same points in
double, and their partitions must be equal before anything is timed. Sets of points:

  k=2, k=128             ends of iterations: many tight clumps of unequal spread, of which some
                         touch; 10^6 x 2 and 10^5 x 128
  k=2/uniform            a uniform cloud at the density where clusters begin to join
  k=128/uniform          the same at 2 x 10^4 x 128, where no tree helps anybody

A clump's pairs are what scikit-learn keeps in memory: with a clump of m points m^2 indices. So
clumps have 100 points each at k = 2 and 500 at k = 128; with a hundred thousand points in one,
which ends of iterations have, only ours runs at all.

For use by a set of benchmarks:
  make(folder)                      writes FOLDER/NAME.npy and FOLDER/NAME_radius.npy
  rows(folder, time, answer, ...)   the rows, with time(name, threads) and answer(name, threads,
                                    path) for our side
"""
import os
import pathlib
import statistics
import time as clock

import numpy

SETS = ("k=2", "k=128", "k=2/uniform", "k=128/uniform")


def clumps(random, k, n, count, scale, spread):
    """Ends around `count` centres: each clump has a spread of its own, up to a decade smaller."""
    centers = scale * random.standard_normal((count, k))
    of = random.integers(count, size=n)
    widths = spread * 10 ** -random.random(count)
    return centers[of] + widths[of, None] * random.standard_normal((n, k))


def points_of(name):
    """N x k points in double and a radius."""
    random = numpy.random.default_rng(5)
    if name == "k=2":
        return clumps(random, 2, 10**6, 10**4, 100.0, 1e-3), 3e-3
    if name == "k=128":
        return clumps(random, 128, 10**5, 200, 1.0, 1e-3), 0.02
    if name == "k=2/uniform":
        return random.random((10**6, 2)), 1e-3
    if name == "k=128/uniform":
        return random.random((2 * 10**4, 128)), 3.3
    raise ValueError(f"there is no set of points {name}")


def file_of(folder, name):
    return pathlib.Path(folder) / f"{name.replace('/', '_')}.npy"


def make(folder):
    """Writes the points for our side: k x N in column-major order."""
    for name in SETS:
        points, radius = points_of(name)
        numpy.save(file_of(folder, name), numpy.asfortranarray(points.T))
        numpy.save(str(file_of(folder, name))[:-4] + "_radius.npy", numpy.array([[radius]]))


def peer_labels(points, radius, threads):
    """scikit-learn's labels, and how long they took."""
    from sklearn.cluster import DBSCAN
    from threadpoolctl import threadpool_limits
    with threadpool_limits(threads):
        begin = clock.perf_counter()
        found = DBSCAN(eps=radius, min_samples=1, n_jobs=threads).fit(points)
        return found.labels_, clock.perf_counter() - begin


def same_partition(a, b):
    pairs = numpy.unique(numpy.stack([a, b]), axis=1).shape[1]
    return pairs == len(numpy.unique(a)) == len(numpy.unique(b))


def rows(folder, time, answer, rounds=3, threads=(1, 2)):
    """One row for each set of points and number of threads, both sides in turn."""
    import sklearn
    out = []
    for name in SETS:
        points = numpy.ascontiguousarray(numpy.load(file_of(folder, name)).T)
        radius = float(numpy.load(str(file_of(folder, name))[:-4] + "_radius.npy").ravel()[0])
        for count in threads:
            if count > (os.cpu_count() or 1):
                print(f"cluster: left out: {count} threads, there are {os.cpu_count()} processors")
                continue
            path = pathlib.Path(folder) / "labels.npy"
            answer(name, count, path)
            ours, peers, clusters = [], [], 0
            for _ in range(rounds):
                ours.append(time(name, count))
                labels, seconds = peer_labels(points, radius, count)
                peers.append(seconds)
                clusters = int(labels.max()) + 1
                if not same_partition(labels, numpy.load(path).ravel()):
                    raise SystemExit(f"cluster: {name}: the partitions differ")
            mine, peer = statistics.median(ours), statistics.median(peers)
            out.append({
                "name": f"cluster/{name}/threads={count}", "ours_s": mine, "peer_s": peer, "ratio": peer / mine,
                "peer": f"scikit-learn {sklearn.__version__}, DBSCAN(min_samples=1)",
                "threads": count,
                "detail": {"points": list(points.shape), "radius": radius, "clusters": clusters,
                           "rounds": rounds, "ours_range_s": [min(ours), max(ours)],
                           "peer_range_s": [min(peers), max(peers)]}})
            print(f"cluster/{name} on {count} thread(s): ours {mine:.4g} s, scikit-learn "
                  f"{peer:.4g} s, ratio {peer / mine:.2f}, {clusters} clusters", flush=True)
    return out
