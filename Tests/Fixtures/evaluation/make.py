"""evaluation.json: what scikit-learn, NumPy and SciPy say of graded answers and of repeated measurements, and a bootstrap
written apart from Fovea's.

    python make.py

Needs scikit-learn, numpy and scipy. Kappa is cohen_kappa_score with quadratic weights, partial credit is jaccard_score over samples,
intervals are numpy.quantile over replicates whose draws come from a Philox4x32-10 of this file's own.
"""

import json
import os
import warnings

import numpy as np
from scipy import stats
from sklearn.metrics import accuracy_score, cohen_kappa_score, jaccard_score

HERE = os.path.dirname(os.path.abspath(__file__))
MASK = 0xFFFFFFFF


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def integers(seed, a, b, bound):
    """The stream of bootstrap draws: purpose 4, coordinates a and b; Lemire's multiply and reject."""
    index = 0
    while True:
        r = philox((index, a, b, 4 << 24), (seed & MASK, seed >> 32))
        index += 1
        for low, high in ((r[0], r[1]), (r[2], r[3])):
            product = (low | high << 32) * bound
            if product & (2**64 - 1) >= (2**64 - bound) % bound:
                yield product >> 64


def replicates(values, seed, count):
    n = len(values)
    for replicate in range(count):
        stream = integers(seed, n, replicate, n)
        yield [values[next(stream)] for _ in range(n)]


def kappa(pairs, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = cohen_kappa_score([a for a, _ in pairs], [b for _, b in pairs], labels=labels, weights="quadratic")
    return None if np.isnan(value) else float(value)


def main():
    rng = np.random.default_rng(5)
    record = {"kappa": [], "bootstrap": [], "partial": []}
    for grades, n, spread in ((5, 60, 0.8), (5, 200, 2.0), (3, 12, 0.5), (2, 9, 1.0), (5, 6, 0.0)):
        right = rng.integers(0, grades, n)
        given = np.clip(np.rint(right + spread * rng.standard_normal(n)), 0, grades - 1).astype(int)
        pairs = [[int(a), int(b)] for a, b in zip(right, given)]
        values = [kappa(p, list(range(grades))) for p in replicates(pairs, 7, 100)]
        values = [v for v in values if v is not None]
        record["kappa"].append(
            {"grades": grades, "pairs": pairs, "value": kappa(pairs, list(range(grades))), "seed": 7, "replicates": 100,
             "low": float(np.quantile(values, 0.025)), "high": float(np.quantile(values, 0.975))}
        )
    record["kappa"].append({"grades": 5, "pairs": [[2, 2]] * 4, "value": None, "seed": 7, "replicates": 10, "low": None, "high": None})
    for seed, n, share, level in ((1, 40, 0.6, 0.95), (2**40 + 3, 17, 0.3, 0.9), (9, 1, 1.0, 0.95)):
        values = [float(v) for v in (rng.random(n) < share)]
        means = [float(np.mean(v)) for v in replicates(values, seed, 200)]
        tail = (1 - level) / 2
        record["bootstrap"].append(
            {"seed": seed, "level": level, "values": values, "mean": float(accuracy_score(values, [1.0] * n)),
             "low": float(np.quantile(means, tail)), "high": float(np.quantile(means, 1 - tail))}
        )
    for _ in range(12):
        right, given = rng.random(6) < 0.5, rng.random(6) < 0.5
        right[rng.integers(6)] = True
        given[rng.integers(6)] = True
        letters = lambda bits: ",".join("ABCDEF"[i] for i in range(6) if bits[i])
        record["partial"].append(
            {"right": letters(right), "given": letters(given), "everything": bool(given.all()),
             "exact": float(accuracy_score([right], [given])),
             "partial": float(jaccard_score([right], [given], average="samples"))}
        )
    record["student"] = [
        {"level": level, "degrees": degrees, "quantile": float(stats.t.ppf((1 + level) / 2, degrees))}
        for level in (0.5, 0.9, 0.95, 0.999) for degrees in (1, 2, 3, 4, 5, 9, 10, 99, 1000)
    ]
    record["spread"] = []
    for n in (2, 3, 5, 20):
        values = rng.normal(0.6, 0.05, n)
        low, high = stats.t.interval(0.95, n - 1, values.mean(), stats.sem(values))
        record["spread"].append(
            {"values": values.tolist(), "mean": float(values.mean()), "deviation": float(values.std(ddof=1)),
             "low": float(low), "high": float(high)}
        )
    with open(os.path.join(HERE, "evaluation.json"), "w") as file:
        json.dump(record, file, separators=(",", ":"))


main()
