#!/usr/bin/env python3
"""Time of the flow dz/dt = f(z) - z from 1,000 starts to one time, by dopri5, at equal error.

flow.py ROWS.json runs basin, torchdiffeq and SciPy in turn on the same fields, starts and
threads, in float64, and writes flow/dopri5/PEER/k=K, with

  k=2          a damped oscillator in a double well, to t = 10
  k=128        z -> W2 tanh(W1 z + b) with 128 hidden units and seeded weights, to t = 10
  k=2/model    the latent map of the reference model with k = 2, from codes of images, to t = 5;
               where BASIN_DATA names a folder with reference/table3_k2, see solvers.py

for 1 thread, and with /threads=2 behind it for 2. PEER is

  torchdiffeq  odeint(method="dopri5") on the batch: one step for all starts
  scipy        solve_ivp(method="RK45"), which is the same pair of Dormand and Prince, on the batch
               as one vector in NumPy; or, where that is faster, start by start (measured on 100
               of them)

Equal error: the error of a start is |z - z'| / |z'| at the end, with z' from rkf78 at a relative
tolerance of 1e-13 (the model, whose field has kinks: dopri5 at 1e-8). Each program gets the
tolerance (absolute = relative / 1000) at which the root mean square over the starts is 1e-6,
found by secants on the logarithms. Times are medians of rounds in which the programs take turns.
"""
import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

os.environ.pop("OPENBLAS_CORETYPE", None)  # a kernel pinned for other programs would slow a peer

import numpy  # noqa: E402
import scipy  # noqa: E402
import threadpoolctl  # noqa: E402
import torch  # noqa: E402
import torchdiffeq  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from scipy.integrate import solve_ivp  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
from table3 import Autoencoder, table3  # noqa: E402

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
ERROR = 1e-6
STARTS = 1000
ALONE = 100  # starts that are followed one by one


class Problem:
    """A field for every program, and starts as rows."""

    reference = ["--reference", "--relative", 1e-13]

    def save(self, folder):
        self.folder = folder / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, array in self.arrays().items():
            numpy.save(self.folder / f"{name}.npy", numpy.asfortranarray(array))

    def arrays(self):
        return {"starts": self.starts.T}


class Oscillator(Problem):
    """dx/dt = v, dv/dt = x - x^3 - 0.2 v."""

    name, label, time = "oscillator", "k=2", 10.0

    def __init__(self):
        self.starts = numpy.random.default_rng(1).uniform(-2, 2, (STARTS, 2))

    def torch_field(self, _, z):
        x, v = z[:, 0], z[:, 1]
        return torch.stack((v, x - x * x * x - 0.2 * v), 1)

    def numpy_field(self, z):
        x, v = z
        return numpy.stack((v, x - x * x * x - 0.2 * v))

    def alone_field(self, _, z):
        x, v = z.tolist()
        return (v, x - x * x * x - 0.2 * v)


class Network(Problem):
    """z -> W2 tanh(W1 z + b) in R^128."""

    name, label, time = "network", "k=128", 10.0
    k, hidden, gain = 128, 128, 1.5

    def __init__(self):
        random = numpy.random.default_rng(2)
        self.inner = random.normal(0, self.gain / math.sqrt(self.k), (self.hidden, self.k))
        self.bias = random.normal(0, 0.5, self.hidden)
        self.outer = random.normal(0, self.gain / math.sqrt(self.hidden), (self.k, self.hidden))
        self.starts = random.normal(0, 1, (STARTS, self.k))
        self.weights = [torch.from_numpy(a) for a in (self.inner, self.bias, self.outer)]

    def arrays(self):
        return {"starts": self.starts.T, "inner": self.inner, "outer": self.outer,
                "bias": self.bias[:, None]}

    def torch_field(self, _, z):
        inner, bias, outer = self.weights
        return torch.tanh(torch.addmm(bias, z, inner.T)) @ outer.T - z

    def numpy_field(self, z):
        hidden = self.inner @ z
        hidden += self.bias[:, None]
        return self.outer @ numpy.tanh(hidden, out=hidden) - z

    def alone_field(self, _, z):
        return self.outer @ numpy.tanh(self.inner @ z + self.bias) - z


class Model(Problem):
    """The latent map of an autoencoder."""

    name, label, time = "model", "k=2/model", 5.0
    reference = ["--relative", 1e-8]

    def __init__(self, source):
        weights = load_file(source / "model.safetensors")
        k = weights["enc.9.weight"].shape[0]
        starts = numpy.load(source / "starts.npy")
        starts = starts if starts.shape[1] == k else starts.T
        self.starts = starts[:STARTS].astype(numpy.float64)
        self.source = source
        self.net = Autoencoder(*table3(k))
        self.net.load_state_dict(weights)
        self.net = self.net.double().to(memory_format=torch.channels_last)

    def save(self, folder):
        super().save(folder)
        (self.folder / "weights.safetensors").write_bytes(
            (self.source / "model.safetensors").read_bytes())

    def torch_field(self, _, z):
        return self.net.latent(z) - z

    def numpy_field(self, z):
        rows = torch.from_numpy(numpy.ascontiguousarray(z.T))
        return self.torch_field(None, rows).numpy().T

    alone_field = None  # the batch is what makes the network fast


def errors(ends, truth):
    """Of every start, relative."""
    truth = truth[:len(ends)]
    return numpy.linalg.norm(ends - truth, axis=1) / numpy.linalg.norm(truth, axis=1)


def root_mean_square(values):
    return float(numpy.sqrt((values ** 2).mean()))


class Ours:
    name = "basin"

    def __init__(self, binary, problem):
        self.problem = problem
        self.command = [binary, problem.folder, problem.name, "--time", problem.time]
        self.truth = self.answer(*problem.reference)

    def call(self, *arguments):
        done = subprocess.run([*map(str, self.command), *map(str, arguments)], text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise SystemExit(f"flow: {done.stdout}{done.stderr}")
        return done.stdout

    def answer(self, *arguments):
        path = self.problem.folder / "answer.npy"
        self.call(*arguments, "--threads", 2, "--output", path)
        answer = numpy.load(path)
        k = self.problem.starts.shape[1]
        self.counts = {"evaluations": int(answer[k].sum()), "accepted": int(answer[k + 1].sum()),
                       "rejected": int(answer[k + 2].sum())}
        return answer[:k].T

    def solve(self, relative):
        return self.answer("--relative", relative)

    def seconds(self, relative, threads):
        report = json.loads(self.call("--relative", relative, "--threads", threads,
                                      "--benchmark_format=json", "--benchmark_min_time=0.2"))
        self.context = report["context"]
        run = report["benchmarks"][0]
        return run["real_time"] * UNITS[run["time_unit"]]


class Peer:
    """A program of Python's: solve gives rows of states, and times itself."""

    def __init__(self, problem):
        self.problem = problem

    def seconds(self, relative, threads):
        torch.set_num_threads(threads)
        with threadpoolctl.threadpool_limits(threads):
            begin = time.perf_counter()
            self.solve(relative)
            return time.perf_counter() - begin


class Torchdiffeq(Peer):
    name = "torchdiffeq"

    def solve(self, relative):
        self.evaluations = 0

        def field(t, z):
            self.evaluations += len(z)
            return self.problem.torch_field(t, z)

        with torch.inference_mode():
            ends = torchdiffeq.odeint(
                field, torch.from_numpy(self.problem.starts), torch.tensor([0.0, self.problem.time],
                dtype=torch.float64), rtol=relative, atol=relative / 1000, method="dopri5")
        self.counts = {"evaluations": self.evaluations}
        return ends[-1].numpy()


class ScipyBatch(Peer):
    name = "scipy"
    of = "the batch as one vector"

    def solve(self, relative):
        shape = self.problem.starts.T.shape

        def field(_, z):
            return self.problem.numpy_field(z.reshape(shape)).ravel()

        with torch.inference_mode():
            found = solve_ivp(field, (0, self.problem.time), self.problem.starts.T.ravel(),
                              method="RK45", t_eval=[self.problem.time], rtol=relative,
                              atol=relative / 1000)
        self.counts = {"evaluations": found.nfev * shape[1]}
        return found.y[:, -1].reshape(shape).T


class ScipyAlone(Peer):
    name = "scipy"
    of = "start by start"

    def solve(self, relative):
        self.evaluations = 0
        ends = []
        for z in self.problem.starts[:ALONE]:
            found = solve_ivp(self.problem.alone_field, (0, self.problem.time), z, method="RK45",
                              t_eval=[self.problem.time], rtol=relative, atol=relative / 1000)
            self.evaluations += found.nfev
            ends.append(found.y[:, -1])
        self.counts = {"evaluations": self.evaluations}
        return numpy.array(ends)

    def seconds(self, relative, threads):
        with threadpoolctl.threadpool_limits(threads):
            begin = time.perf_counter()
            self.solve(relative)
            return (time.perf_counter() - begin) * len(self.problem.starts) / ALONE


def find_tolerance(program, truth):
    """The relative tolerance at which the error is ERROR, within a twentieth; and the errors and
    counts there."""
    seen, answers = [], []
    guess = ERROR
    for _ in range(8):
        spread = errors(program.solve(guess), truth)
        answers.append((spread, program.counts))
        seen.append((math.log(guess), math.log(root_mean_square(spread))))
        if abs(seen[-1][1] - math.log(ERROR)) < 0.05:
            break
        near = sorted(seen, key=lambda pair: abs(pair[1] - math.log(ERROR)))[:2]
        slope = 1.0
        if len(near) == 2 and near[0][0] != near[1][0]:
            slope = (near[0][1] - near[1][1]) / (near[0][0] - near[1][0])
        slope = min(max(slope, 0.5), 2.0)
        guess = math.exp(near[0][0] + (math.log(ERROR) - near[0][1]) / slope)
    best = min(range(len(seen)), key=lambda i: abs(seen[i][1] - math.log(ERROR)))
    return math.exp(seen[best][0]), *answers[best]


def measure(binary, problem, threads, rounds):
    """Rows of one problem, for each number of threads."""
    ours = Ours(binary, problem)
    truth = ours.truth
    programs = [ours, Torchdiffeq(problem), ScipyBatch(problem)]
    if problem.alone_field is not None:
        programs.append(ScipyAlone(problem))
    labels, tolerances, details = [], [], {}
    for program in programs:
        label = f"{program.name}, {program.of}" if hasattr(program, "of") else program.name
        relative, spread, counts = find_tolerance(program, truth)
        details[label] = {"relative": relative, "rms_error": root_mean_square(spread),
                          "median_error": float(numpy.median(spread)),
                          "max_error": float(spread.max()), **counts}
        labels.append(label)
        tolerances.append(relative)
        print(f"{problem.label}: {label}: {details[label]}", flush=True)
    rows = []
    for count in threads:
        seconds = {label: [] for label in labels}
        for _ in range(rounds):
            for program, label, relative in zip(programs, labels, tolerances):
                seconds[label].append(program.seconds(relative, count))
        medians = {label: statistics.median(values) for label, values in seconds.items()}
        context = ours.context
        for peer in ("torchdiffeq", "scipy"):
            label = min((name for name in labels if name.startswith(peer)), key=medians.get)
            version = torchdiffeq.__version__ if peer == "torchdiffeq" else scipy.__version__
            rows.append({
                "name": f"flow/dopri5/{peer}/{problem.label}"
                        + (f"/threads={count}" if count > 1 else ""),
                "ours_s": medians["basin"], "peer_s": medians[label],
                "peer": f"{label}, {version}", "ratio": medians[label] / medians["basin"],
                "threads": count,
                "detail": {"time": problem.time, "starts": len(problem.starts), "error": ERROR, "alone": ALONE,
                           "seconds": seconds, **details, "rounds": rounds,
                           "torch": torch.__version__, "numpy": numpy.__version__,
                           **{key: context.get(key) for key in ("compiler", "flags", "simd")}}})
            print(f"{rows[-1]['name']} on {count} thread(s): ours {medians['basin']:.4g} s, "
                  f"{label} {medians[label]:.4g} s, ratio {rows[-1]['ratio']:.2f}", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--binary", type=pathlib.Path,
                        default="build/bench/benchmarks/benchmark_flow")
    parser.add_argument("--data", type=pathlib.Path,
                        default=os.environ.get("BASIN_DATA"), help="BASIN_DATA")
    parser.add_argument("--folder", type=pathlib.Path, default="build/bench/flow")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--problems", nargs="+", default=["oscillator", "network", "model"])
    options = parser.parse_args()
    problems = [Oscillator(), Network()]
    source = options.data / "reference" / "table3_k2" if options.data is not None else None
    if source is not None and (source / "starts.npy").exists():
        problems.append(Model(source))
    else:
        print("flow: left out: BASIN_DATA does not name a folder with reference/table3_k2")
    rows = []
    for problem in problems:
        if problem.name not in options.problems:
            continue
        problem.save(options.folder.resolve())
        rows += measure(options.binary.resolve(), problem, options.threads, options.rounds)
        options.rows.parent.mkdir(parents=True, exist_ok=True)
        options.rows.write_text(json.dumps(rows, indent=1) + "\n")


main()
