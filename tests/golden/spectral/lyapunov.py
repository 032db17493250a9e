#!/usr/bin/env python3
"""Prints the leading Lyapunov exponents of Kaneko's lattice of coupled quadratic maps by NumPy's
QR, with standard errors over 20 batches, for tests/spectral/lyapunov_exponents.cpp.

f(x)_i = (1 - e) g(x_i) + e / 2 (g(x_{i-1}) + g(x_{i+1})), g(x) = 1 - a x^2, a ring of k sites.
"""
import numpy as np


def exponents(k, m, steps, transient, seed, a=1.9, e=0.4):
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, k)
    Q = np.linalg.qr(random.standard_normal((k, m)))[0]
    sums = np.zeros((20, m))

    def couple(y):
        return (1 - e) * y + e / 2 * (np.roll(y, 1, 0) + np.roll(y, -1, 0))

    for t in range(transient + steps):
        W = couple((-2 * a * x)[:, None] * Q)
        x = couple(1 - a * x * x)
        Q, R = np.linalg.qr(W)
        if t >= transient:
            sums[(t - transient) * 20 // steps] += np.log(np.abs(np.diag(R)))
    means = sums / (steps // 20)
    return means.mean(0), means.std(0, ddof=1) / np.sqrt(20)


if __name__ == "__main__":
    for seed in range(4):
        print(seed, *exponents(512, 3, 4000, 1000, seed))
