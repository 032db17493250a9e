#!/usr/bin/env python3
"""Which of the sixty problems of tests/solver/problems.hpp other solvers solve, and we.

problems.py ROWS.json runs every peer on exactly the maps of the C++ tests, which a library
(benchmarks/problems.cpp) lends by ctypes, and writes the row solvers/robustness, with a table in
its detail. A peer has solved a problem as soon as it has asked for the value of any state whose
residual ||f(z) - z||, computed here, is at most the tolerance, whatever it says itself, unless
there is no fixed point and rounding alone makes z + b equal to z; it may spend as many evaluations as ours (differences of a Jacobian count), and SECONDS of time.

--golden HEADER writes the list of problems that any peer solves, which the test
tests/solver/robustness.cpp must solve too; --table FILE writes the table in Markdown.
"""
import argparse
import ctypes
import importlib.metadata
import json
import logging
import os
import pathlib
import time
import warnings

os.environ.setdefault("JAX_PLATFORMS", "cpu")
import jax  # noqa: E402
import jaxopt
import numpy
import scipy.optimize
import torch
from torchdeq.solver import get_solver

jax.config.update("jax_enable_x64", True)
torch.set_num_threads(1)
logging.getLogger("jax").setLevel(logging.CRITICAL)  # of the exceptions that end its loops
SECONDS = 30.0


class Ended(Exception):
    """A peer need not, or must not, go on."""


class Problem:
    """A problem of the library, with what has been asked of it."""

    def __init__(self, library, index):
        self.library, self.index = library, index
        self.name = library.problem_name(index).decode()
        self.family = library.problem_family(index).decode()
        self.k = library.problem_size(index)
        self.start = numpy.empty(self.k)
        library.problem_start(index, self.start)
        self.tolerance, self.budget = library.problem_tolerance(), library.problem_budget()

    def begin(self):
        self.evaluations, self.deadline = 0, time.monotonic() + SECONDS
        self.solved = False

    def value(self, z):
        """f(z) for a state of any shape; ends the solver where it need not go on."""
        z = numpy.ascontiguousarray(z, dtype=numpy.float64)
        if self.solved or self.evaluations >= self.budget or time.monotonic() > self.deadline:
            raise Ended
        f = numpy.empty(self.k)
        self.evaluations += 1
        residual = self.library.problem_value(self.index, z.reshape(-1), f)
        if residual <= self.tolerance and self.library.problem_solvable(self.index):
            self.solved = True
            raise Ended
        return f.reshape(z.shape)


def scipy_root(method, **options):
    # Tolerances that no state meets: `value` says when it is enough.
    tight = {"hybr": {"xtol": 1e-15, "maxfev": 10**6}, "df-sane": {"fatol": 1e-14, "ftol": 0,
                                                                   "maxfev": 10**6}}
    options = {**tight.get(method, {"fatol": 1e-14, "maxiter": 10**6}), **options}
    return lambda p: scipy.optimize.root(lambda z: p.value(z) - z, p.start, method=method,
                                         options=options)


def scipy_fixed_point(method):
    return lambda p: scipy.optimize.fixed_point(p.value, p.start, xtol=1e-15, maxiter=10**6,
                                                method=method)


def with_torchdeq(name):
    solver = get_solver(name)

    def run(p):
        start = torch.from_numpy(p.start.copy())[None]
        return solver(lambda z: torch.from_numpy(p.value(z.detach().numpy())), start,
                      max_iter=p.budget, tol=1e-15)
    return run


def with_jaxopt(kind, **settings):
    def run(p):
        shape = jax.ShapeDtypeStruct((p.k,), numpy.float64)

        def value(z):
            return jax.pure_callback(lambda x: p.value(numpy.asarray(x)), shape, z)

        function = (lambda z: value(z) - z) if kind is jaxopt.Broyden else value
        solver = kind(function, maxiter=p.budget, tol=1e-15, implicit_diff=False, **settings)
        jax.block_until_ready(solver.run(jax.numpy.asarray(p.start)))
    return run


PEERS = {
    "scipy hybr": scipy_root("hybr"),
    "scipy broyden1": scipy_root("broyden1"),
    "scipy broyden2": scipy_root("broyden2"),
    "scipy anderson": scipy_root("anderson"),
    "scipy krylov": scipy_root("krylov"),
    "scipy df-sane": scipy_root("df-sane"),
    "scipy fixed_point del2": scipy_fixed_point("del2"),
    "scipy fixed_point iteration": scipy_fixed_point("iteration"),
    "torchdeq anderson": with_torchdeq("anderson"),
    "torchdeq broyden": with_torchdeq("broyden"),
    "jaxopt AndersonAcceleration": with_jaxopt(jaxopt.AndersonAcceleration),
    "jaxopt FixedPointIteration": with_jaxopt(jaxopt.FixedPointIteration),
    # Its line search would need the map's gradient.
    # It begins with gamma times the identity for the inverse of the Jacobian of f(z) - z.
    "jaxopt Broyden": with_jaxopt(jaxopt.Broyden, stepsize=1.0, gamma=-1.0, history_size=50),
}
KINSOL = {"KINSOL Anderson(5)": 5, "KINSOL Anderson(10)": 10}


def load(path):
    library = ctypes.CDLL(str(path))
    vector = numpy.ctypeslib.ndpointer(dtype=numpy.float64, flags="C_CONTIGUOUS")
    signatures = {
        "problem_count": (ctypes.c_int, []),
        "problem_name": (ctypes.c_char_p, [ctypes.c_int]),
        "problem_family": (ctypes.c_char_p, [ctypes.c_int]),
        "problem_solvable": (ctypes.c_int, [ctypes.c_int]),
        "problem_size": (ctypes.c_int, [ctypes.c_int]),
        "problem_tolerance": (ctypes.c_double, []),
        "problem_budget": (ctypes.c_long, []),
        "problem_start": (None, [ctypes.c_int, vector]),
        "problem_value": (ctypes.c_double, [ctypes.c_int, vector, vector]),
        "accelerator_count": (ctypes.c_int, []),
        "accelerator_name": (ctypes.c_char_p, [ctypes.c_int]),
        "accelerator_solve": (ctypes.c_char_p, [ctypes.c_int, ctypes.c_int, vector,
                                                ctypes.POINTER(ctypes.c_long)]),
        "kinsol_solve": (ctypes.c_long, [ctypes.c_int, ctypes.c_int]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def by_peer(problem, run):
    """Evaluations to the tolerance, 0 where it is not reached."""
    problem.begin()
    try:
        with warnings.catch_warnings(), numpy.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            run(problem)
    except Exception:  # Ended, which others may wrap, or a peer's own way to say that it failed
        pass
    return problem.evaluations if problem.solved else 0


def by_ours(library, problem, accelerator):
    """The same for one of ours: its status must be `converged`."""
    z, evaluations = numpy.empty(problem.k), ctypes.c_long()
    said = library.accelerator_solve(problem.index, accelerator, z, ctypes.byref(evaluations))
    solved = said == b"converged"
    if solved and not library.problem_value(problem.index, z,
                                            numpy.empty(problem.k)) <= problem.tolerance:
        raise SystemExit(f"problems: {problem.name}: converged with a residual too large")
    return evaluations.value if solved else 0, said.decode()


def golden(path, solved):
    lines = "".join(f'    "{name}",\n' for name in solved)
    path.write_text("// The problems of problems.hpp that any peer solves.\n"
                    "// Made by benchmarks/problems.py --golden.\n#pragma once\n\n"
                    "namespace problems {\n\ninline constexpr const char* solved_by_peers[] = {\n"
                    f"{lines}}};\n\n}}  // namespace problems\n")


def table(rows, ours, peers, versions):
    """Markdown: per problem how the best of ours and of the peers fare, and the totals."""
    def best(counts, names):
        solved = [(counts[name], name) for name in names if counts[name]]
        if not solved:
            return "", "0"
        evaluations, name = min(solved)
        return f"{evaluations} ({name})", str(len(solved))

    text = [f"| problem | k | ours: solved by, of {len(ours)} | fewest evaluations "
            f"| peers: solved by, of {len(peers)} | fewest evaluations |", "|---|---|---|---|---|---|"]
    for row in rows:
        mine, how_many = best(row["evaluations"], ours)
        theirs, how_many_peers = best(row["evaluations"], peers)
        text.append(f"| {row['name']} | {row['k']} | {how_many} | {mine} | {how_many_peers} "
                    f"| {theirs} |")
    text += ["", "| solver | solved |", "|---|---|"]
    for name in (*ours, *peers):
        text.append(f"| {name} | {sum(row['evaluations'][name] > 0 for row in rows)} |")
    return "\n".join(text) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--library", type=pathlib.Path,
                        default="build/bench/benchmarks/libbenchmark_problems.so")
    parser.add_argument("--golden", type=pathlib.Path)
    parser.add_argument("--table", type=pathlib.Path)
    parser.add_argument("--only", help="problems whose name has this in it")
    options = parser.parse_args()
    library = load(options.library.resolve())
    ours = [library.accelerator_name(a).decode() for a in range(library.accelerator_count())]
    peers = list(PEERS)
    if library.kinsol_solve(0, 5) >= 0:
        peers += KINSOL
    else:
        print("problems: left out: KINSOL was not found")
    rows, begin = [], time.monotonic()
    for index in range(library.problem_count()):
        problem = Problem(library, index)
        if options.only and options.only not in problem.name:
            continue
        counts, statuses = {}, {}
        for a, name in enumerate(ours):
            counts[name], statuses[name] = by_ours(library, problem, a)
        for name in peers:
            counts[name] = (library.kinsol_solve(index, KINSOL[name]) if name in KINSOL
                            else by_peer(problem, PEERS[name]))
        rows.append({"name": problem.name, "family": problem.family, "k": problem.k,
                     "evaluations": counts, "status": statuses})
        print(f"{problem.name}: {counts} after {time.monotonic() - begin:.0f} s", flush=True)
    by_peers = [row["name"] for row in rows if any(row["evaluations"][name] for name in peers)]
    missing = [row["name"] for row in rows if row["name"] in by_peers
               and not any(row["evaluations"][name] for name in ours)]
    versions = {name: importlib.metadata.version(name)
                for name in ("scipy", "torchdeq", "jaxopt", "jax", "torch")}
    print(f"solved by a peer: {len(by_peers)}; of these not by any of ours: {missing or 'none'}")
    report = [{"name": "solvers/robustness", "ours_s": None, "peer_s": None,
               "peer": ", ".join(peers), "ratio": None, "threads": 1,
               "detail": {"problems": rows, "solved_by_a_peer": len(by_peers),
                          "of_these_not_by_ours": missing, "seconds_each": SECONDS,
                          "versions": versions}}]
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    options.rows.write_text(json.dumps(report, indent=1) + "\n")
    if options.golden:
        golden(options.golden, by_peers)
    if options.table:
        options.table.write_text(table(rows, ours, peers, versions))


main()
