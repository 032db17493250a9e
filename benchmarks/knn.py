#!/usr/bin/env python3
"""Nearest references of samples, and scores of their trajectories.

knn.py ROWS.json runs both sides in turn and writes

  knn/faiss/threads=T      against FAISS-CPU's IndexFlatL2
  knn/sklearn/threads=T    against scikit-learn's NearestNeighbors(algorithm="brute")
  trajectory_score/threads=T
                           basin's trajectory_score of 2,000 samples against 2,000 attractors, k =
                           768, a network of two layers: against what cannot be left out, the
                           evaluations of the columns that are active and their float products with
                           the attractors, by the library's own kernels. detail has the memory
                           beyond the inputs.

The former two are for 2,000 samples, 60,000 references of 128 dimensions, float, standard normal, the 10 nearest.
Timed is the search; what each does once with the references before is in detail (`prepare`).
FAISS and scikit-learn answer in float by |x|^2 + |y|^2 - 2 x y; ours is exact, and that is checked
before anything is timed: indices those of differences in double, distances to 1e-12.

rows(binary, folder, threads, rounds) and trajectory_rows(binary, threads, rounds) give the rows
to other sets.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

import numpy

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
SAMPLES, REFERENCES, DIMENSIONS, NEIGHBOURS = 2000, 60000, 128, 10


def environment():
    """The environment of ours: OPENBLAS_CORETYPE may pin a kernel for other programs."""
    return {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}


def run_ours(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], env=environment(), text=True,
                          capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"knn: {binary}: {done.stdout}{done.stderr}")
    return done.stdout


def benchmark(binary, *arguments, what, threads):
    """Google Benchmark's report of one measurement, and its seconds."""
    report = json.loads(run_ours(binary, *arguments,
                                 f"--benchmark_filter=^{what}/threads={threads}/real_time$",
                                 "--benchmark_format=json", "--benchmark_min_time=0.01"))
    run = report["benchmarks"][0]
    return run, run["real_time"] * UNITS[run["time_unit"]]


def seconds(binary, folder, what, threads):
    return benchmark(binary, folder, NEIGHBOURS, what=what, threads=threads)[1]


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(7)
    Y = random.standard_normal((REFERENCES, DIMENSIONS)).astype(numpy.float32)
    X = random.standard_normal((SAMPLES, DIMENSIONS)).astype(numpy.float32)
    numpy.save(folder / "references.npy", Y.T)  # column-major
    numpy.save(folder / "samples.npy", X.T)
    return Y, X


def check(binary, folder, Y, X, every=20):
    """The largest relative difference of ours from differences in double, of every 20th sample."""
    paths = folder / "distance.npy", folder / "index.npy"
    run_ours(binary, folder, NEIGHBOURS, "--answer", *paths)
    distance, index = (numpy.load(path).T for path in paths)
    worst = 0.0
    for j in range(0, len(X), every):
        exact = numpy.sqrt(((Y.astype(float) - X[j].astype(float)) ** 2).sum(1))
        nearest = numpy.argsort(exact, kind="stable")[:NEIGHBOURS]
        if (nearest != index[j]).any():
            raise SystemExit(f"knn: sample {j} has other neighbours in double")
        worst = max(worst, numpy.abs(distance[j] / exact[nearest] - 1).max())
    if worst > 1e-12:
        raise SystemExit(f"knn: distances differ by {worst}")
    return float(worst), distance, index


def peers(Y):
    """Of each peer its name, version, and a function that gives (search, prepare) in seconds and
    the answer."""
    import faiss
    import sklearn
    from sklearn.neighbors import NearestNeighbors
    from threadpoolctl import threadpool_limits

    def by_faiss(X, threads):
        faiss.omp_set_num_threads(threads)
        with threadpool_limits(threads):
            begin = time.perf_counter()
            index = faiss.IndexFlatL2(DIMENSIONS)
            index.add(Y)
            ready = time.perf_counter()
            squares, found = index.search(X, NEIGHBOURS)
            end = time.perf_counter()
        return end - ready, ready - begin, numpy.sqrt(squares), found

    def by_sklearn(X, threads):
        with threadpool_limits(threads):
            begin = time.perf_counter()
            index = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute", n_jobs=threads)
            index.fit(Y)
            ready = time.perf_counter()
            distance, found = index.kneighbors(X)
            end = time.perf_counter()
        return end - ready, ready - begin, distance, found

    return [("faiss", f"FAISS {faiss.__version__}, IndexFlatL2", by_faiss),
            ("sklearn", f"scikit-learn {sklearn.__version__}, NearestNeighbors(brute)",
             by_sklearn)]


def rows(binary, folder, threads=(1, 2), rounds=5):
    """A row for each peer and number of threads."""
    folder = pathlib.Path(folder)
    Y, X = make(folder)
    worst, distance, index = check(binary, folder, Y, X)
    out = []
    for count in threads:
        if count > (os.cpu_count() or 1):
            print(f"knn: left out: {count} threads, there are {os.cpu_count()} processors")
            continue
        kinds = peers(Y)
        ours, prepare, times, answers = [], [], {}, {}
        for name, _, peer in kinds:
            peer(X, count)  # to warm up
        for _ in range(rounds):
            ours.append(seconds(binary, folder, "search", count))
            prepare.append(seconds(binary, folder, "prepare", count))
            for name, _, peer in kinds:
                *taken, d, i = peer(X, count)
                times.setdefault(name, []).append(taken)
                answers[name] = d, i
        for name, version, _ in kinds:
            mine = statistics.median(ours)
            his = statistics.median(t[0] for t in times[name])
            d, i = answers[name]
            out.append({
                "name": f"knn/{name}/threads={count}", "ours_s": mine, "peer_s": his,
                "ratio": his / mine, "peer": version, "threads": count,
                "detail": {"samples": SAMPLES, "references": REFERENCES,
                           "dimensions": DIMENSIONS, "neighbours": NEIGHBOURS,
                           "prepare_ours_s": statistics.median(prepare),
                           "prepare_peer_s": statistics.median(t[1] for t in times[name]),
                           "error_ours": worst,
                           "error_peer": float(numpy.abs(d / distance - 1).max()),
                           "other_neighbours_peer": int((i != index).any(1).sum()),
                           "rounds": rounds, "ours_range_s": [min(ours), max(ours)],
                           "peer_range_s": [min(t[0] for t in times[name]),
                                            max(t[0] for t in times[name])]}})
            print(f"{out[-1]['name']}: ours {mine:.4g} s, {version} {his:.4g} s, ratio "
                  f"{his / mine:.2f}, {out[-1]['detail']}", flush=True)
    return out


def trajectory_rows(binary, threads=(1, 2), rounds=5):
    """A row for each number of threads."""
    out = []
    for count in threads:
        if count > (os.cpu_count() or 1):
            print(f"knn: left out: {count} threads, there are {os.cpu_count()} processors")
            continue
        ours, least = [], []
        for _ in range(rounds):
            ours.append(benchmark(binary, "--trajectories", what="trajectories",
                                  threads=count)[1])
            run, taken = benchmark(binary, "--trajectories", what="evaluations", threads=count)
            least.append(taken)
        memory = int(run_ours(binary, "--trajectories", "--memory", count))
        mine, his = statistics.median(ours), statistics.median(least)
        out.append({
            "name": f"trajectory_score/threads={count}", "ours_s": mine, "peer_s": his,
            "ratio": his / mine, "peer": "its evaluations and products alone", "threads": count,
            "detail": {"samples": 2000, "attractors": 2000, "k": 768,
                       "evaluations": int(run["evaluations"]),
                       "ours_over_peer": mine / his, "memory_bytes": memory, "rounds": rounds,
                       "ours_range_s": [min(ours), max(ours)],
                       "peer_range_s": [min(least), max(least)]}})
        print(f"{out[-1]['name']}: ours {mine:.4g} s, evaluations and products {his:.4g} s, ours / "
              f"these {mine / his:.3f}, {memory / 1e6:.0f} MB", flush=True)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--binary", type=pathlib.Path,
                        default="build/bench/benchmarks/benchmark_knn")
    parser.add_argument("--folder", type=pathlib.Path, default="build/bench/knn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    found = rows(options.binary.resolve(), options.folder.resolve(), options.threads,
                 options.rounds)
    found += trajectory_rows(options.binary.resolve(), options.threads, options.rounds)
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    options.rows.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
