"""Makes the fixtures of this folder. Needs numpy and safetensors; run it in this folder.

Every array is np.arange(n) put through a formula that tests/numpy.rs repeats, so that the tests know the values
without reading them from anywhere.
"""

import io
import struct
import zipfile

import numpy as np
from safetensors.numpy import save

SHAPES = {"scalar": (), "vector": (5,), "matrix": (2, 3), "cube": (2, 3, 4), "empty": (2, 0, 3)}


def values(dtype, shape):
    """3 i - 2, or whether i is odd, or the lower bits of it for unsigned types."""
    i = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.int64).reshape(shape)
    if dtype == np.bool_:
        return np.asarray(i % 2 == 1)
    if np.dtype(dtype).kind == "u":
        return np.asarray(3 * i + 1).astype(dtype)
    if np.dtype(dtype).kind == "c":
        return np.asarray((3 * i - 2) / 4 + 1j * i).astype(dtype)
    if np.dtype(dtype).kind == "f":
        return np.asarray((3 * i - 2) / 4).astype(dtype)
    return np.asarray(3 * i - 2).astype(dtype)


def npy(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def pack(path, files):
    """One small file that holds many: name length, name, length, bytes."""
    with open(path, "wb") as out:
        for name, data in files.items():
            out.write(struct.pack("<I", len(name)) + name.encode())
            out.write(struct.pack("<I", len(data)) + data)


REAL = [np.bool_, np.uint8, np.uint32, np.int32, np.int64, np.float32, np.float64]
OURS = REAL + [np.complex64, np.complex128]
files = {}
for dtype in OURS:
    for name, shape in SHAPES.items():
        files[f"{np.dtype(dtype).name} {name}"] = npy(values(dtype, shape))
pack("native.pack", files)

files = {}
cube = SHAPES["cube"]
for dtype in OURS + [np.int8, np.int16, np.uint16, np.uint64, np.float16]:
    name = np.dtype(dtype).name
    array = values(dtype, cube)
    files[f"{name} little"] = npy(array.astype(array.dtype.newbyteorder("<")))
    files[f"{name} big"] = npy(array.astype(array.dtype.newbyteorder(">")))
    files[f"{name} fortran"] = npy(np.asfortranarray(array))
for version in [(1, 0), (2, 0), (3, 0)]:
    files[f"float64 version{version[0]}"] = npy(values(np.float64, cube), version)
pack("foreign.pack", files)

files = {
    "clongdouble": npy(np.zeros(2, np.clongdouble)),
    "str": npy(np.array(["one", "two"])),
    "bytes": npy(np.array([b"one"])),
    "object": npy(np.array([{}, None], dtype=object)),
    "record": npy(np.zeros(2, [("a", "<f8"), ("b", "<i4")])),
    "datetime64": npy(np.zeros(2, "datetime64[s]")),
    "longdouble": npy(np.zeros(2, np.longdouble)),
    "uint64": npy(np.array([2**63], np.uint64)),
}
pack("refused.pack", files)

named = {f"{np.dtype(dtype).name}": values(dtype, cube) for dtype in OURS}
named["größe"] = values(np.float32, ())
np.savez("stored.npz", **named)
np.savez_compressed("deflated.npz", **named)

named = {name: array for name, array in named.items() if array.dtype.kind != "c"}
for dtype in [np.int8, np.int16, np.uint16, np.uint64, np.float16]:
    named[np.dtype(dtype).name] = values(dtype, cube)
with open("tensors.safetensors", "wb") as out:
    out.write(save(named, metadata={"made by": "the Python package", "größe": '"7"'}))

# One value each of binary16: all exponents with a few fractions, both signs.
bits = np.array([s << 15 | e << 10 | f for s in (0, 1) for e in range(32) for f in (0, 1, 511, 1023)], np.uint16)
halves = bits.view(np.float16)
with open("halves.npz", "wb") as out:
    np.savez(out, halves=halves, floats=halves.astype(np.float32))
