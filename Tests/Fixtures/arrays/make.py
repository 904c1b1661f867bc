"""npz files by numpy and what is in them, and a RetinaMNIST of eight tiny pictures.

Needs numpy. Run in this folder: python make.py
"""

import io
import json
import pathlib
import zipfile

import numpy as np
from numpy.lib import format

here = pathlib.Path(__file__).parent
random = np.random.default_rng(7)
arrays = {
    "u1": random.integers(0, 256, (3, 4, 2), dtype=np.uint8),
    "f4": random.normal(size=(5,)).astype(np.float32),
    "f8": random.normal(size=(2, 3)),
    "i4": random.integers(-(2**31), 2**31, (4, 1), dtype=np.int32),
    "i8": random.integers(-(2**53), 2**53, (1, 2, 3), dtype=np.int64),
    "scalar": np.array(2.5),
    "empty": np.zeros((0, 3), dtype=np.float32),
}
np.savez(here / "stored.npz", **arrays)
np.savez_compressed(here / "deflated.npz", **arrays)
(here / "arrays.json").write_text(json.dumps(
    {name: {"shape": list(a.shape), "type": a.dtype.str, "values": [float(v) for v in a.ravel()]}
     for name, a in arrays.items()}))

with zipfile.ZipFile(here / "version2.npz", "w", zipfile.ZIP_DEFLATED) as archive:
    out = io.BytesIO()
    format.write_array(out, arrays["f8"], version=(2, 0))
    archive.writestr("f8.npy", out.getvalue())
    for name, array in {
        "fortran": np.asfortranarray(arrays["f8"]), "big": arrays["f8"].astype(">f8"),
        "complex": arrays["f8"].astype(complex), "half": arrays["f8"].astype(np.float16)}.items():
        out = io.BytesIO()
        format.write_array(out, array)
        archive.writestr(name + ".npy", out.getvalue())

mnist = {}
for split, count in [("train", 6), ("val", 1), ("test", 5)]:
    labels = np.arange(count, dtype=np.uint8).reshape(-1, 1) % 5
    mnist[f"{split}_images"] = random.integers(0, 256, (count, 6, 5, 3), dtype=np.uint8)
    mnist[f"{split}_labels"] = labels
np.savez_compressed(here / "retinamnist.npz", **mnist)
