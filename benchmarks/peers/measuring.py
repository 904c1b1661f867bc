"""What the measurements share: shapes, random tokens, the clock, and the line that reports a figure.

A measurement is a process of its own. It prints a JSON line for each figure; compare.py reads them.
"""

import ctypes
import json
import os
import re
import time

THREADS = int(os.environ.get("BENCH_THREADS", "2"))
# A step of GRPO: prompts, tokens of a prompt, samples of each, tokens of a sample.
STEP = (4, 64, 8, 64)


def random_tokens(count, stream, vocabulary):
    """Tokens of one sequence; what they are does not matter to the time."""
    import numpy as np

    return np.random.default_rng([7, stream]).integers(3, vocabulary, count).tolist()


def seconds_of(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def report(what, who, tokens, seconds, settings):
    """`what` names the row of the table; `tokens` are counted as `fovea bench engine` counts them."""
    line = {"what": what, "who": who, "tokens": tokens, "seconds": seconds, "settings": settings}
    print("FIGURE " + json.dumps(line), flush=True)


def openblas():
    """The kernels that every OpenBLAS in this process has chosen, or "" when there is none."""
    with open("/proc/self/maps") as maps:
        paths = sorted(set(re.findall(r"/\S*openblas\S*\.so\S*", maps.read())))
    names = []
    for path in paths:
        library = ctypes.CDLL(path)
        for symbol in ("openblas_get_corename", "scipy_openblas_get_corename64_", "openblas_get_corename64_"):
            if hasattr(library, symbol):
                function = getattr(library, symbol)
                function.restype = ctypes.c_char_p
                names.append(f"{os.path.basename(path)}: {function().decode()}")
                break
    return ", ".join(names)
