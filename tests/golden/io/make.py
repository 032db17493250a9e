#!/usr/bin/env python3
"""Makes the files of this folder with the packages that write them elsewhere.

Needs numpy, torch, safetensors and Pillow. The values are formulas that tests/io/golden.cpp
repeats. Run it here again only to add a file: compressed bytes differ between versions of zlib.
"""
import gzip
import pathlib
import struct

import numpy
import torch
from PIL import Image
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent


def squeeze(name, data):
    # No time and no name within, so that the bytes are the same again.
    (here / name).write_bytes(gzip.compress(data, mtime=0))


# Safetensors: tensor i, number j is (j - 2) / 4 + i, where the type has such numbers.
def values(i, count):
    return (torch.arange(count, dtype=torch.float64) - 2) / 4 + i


save_file(
    {
        "f64": values(0, 6).reshape(2, 3),
        "f32": values(1, 6).float().reshape(3, 2),
        "f16": values(2, 5).half(),
        "bf16": values(3, 4).bfloat16().reshape(1, 2, 2),
        "i64": torch.tensor(1 << 40),
        "i32": torch.tensor([-1, 2], dtype=torch.int32),
        "u8": torch.tensor([0, 7, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "a \"name\", with ü\n": values(9, 1).float(),
    },
    here / "types.safetensors",
    {"format": "pt"},
)
# What write_safetensors must write byte for byte.
save_file(
    {
        "b": torch.tensor([1.0, 2.0]),
        "a": torch.tensor([[3.0], [4.0]]),
        "wide": torch.tensor([0.5], dtype=torch.float64),
        "steps": torch.tensor([7]),
        "bytes\t\x7f\\é": torch.tensor([1, 2, 3], dtype=torch.uint8),
    },
    here / "writer.safetensors",
    {"by": "make.py \"quoted\""},
)

# IDX: pixel p of image i is (7 i + p) mod 256, label i is i mod 10.
def idx(array):
    return struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape) + array.tobytes()


images = numpy.fromfunction(lambda i, y, x: 7 * i + 4 * y + x, (3, 5, 4), dtype=int).astype("u1")
(here / "images.idx").write_bytes(idx(images))
squeeze("images.idx.gz", idx(images))
squeeze("labels.idx.gz", idx(numpy.arange(3, dtype="u1")))

# CIFAR: pixel p of row i is (11 i + p) mod 251, label i is 9 - i.
rows = numpy.fromfunction(lambda i, p: (11 * i + p) % 251, (2, 3072), dtype=int).astype("u1")
rows = numpy.hstack([numpy.array([[9], [8]], dtype="u1"), rows])
squeeze("cifar.bin.gz", rows.tobytes())

# Images of 3 x 4: red is 10 y + x, green 100 more, blue 200 - red; grey is red.
red = numpy.fromfunction(lambda y, x: 10 * y + x, (3, 4), dtype=int)
colors = numpy.stack([red, red + 100, 200 - red], axis=2).astype("u1")
for name, array in (("grey", colors[:, :, 0]), ("rgb", colors)):
    image = Image.fromarray(numpy.ascontiguousarray(array))
    image.save(here / f"{name}.png")
    image.save(here / (f"{name}.ppm" if name == "rgb" else f"{name}.pgm"))
# What is refused: transparency, palettes, other depths.
Image.fromarray(numpy.dstack([colors, red.astype("u1")])).save(here / "alpha.png")
Image.fromarray(colors).quantize(4).save(here / "palette.png")
Image.fromarray((red * 256).astype("u2")).save(here / "deep.png")
Image.fromarray(colors).save(here / "transparent.png", transparency=(0, 100, 200))


# Pillow does not write interlaced files: Adam7 by hand, with a gamma that must not be applied.
def chunk(kind, data):
    import zlib
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def interlaced(array):
    import zlib
    data = b""
    for y, x, dy, dx in ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2),
                         (0, 1, 2, 2), (1, 0, 2, 1)):
        part = array[y::dy, x::dx]
        if part.size:
            data += b"".join(b"\0" + row.tobytes() for row in part)
    h, w = array.shape[:2]
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 1)) +
            chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"tEXt", b"Comment\0text") +
            chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


(here / "interlaced.png").write_bytes(interlaced(colors))

# Arrays: number (r, c) is r - c / 2.
array = numpy.fromfunction(lambda r, c: r - c / 2, (3, 4))
numpy.save(here / "rows.npy", array)
numpy.save(here / "columns.npy", numpy.asfortranarray(array.astype("f4")))
numpy.save(here / "truth.npy", numpy.array([True, False, True]))
numpy.lib.format.write_array(open(here / "version2.npy", "wb"), array, version=(2, 0))
