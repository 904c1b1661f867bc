"""Images, and what Pillow and transformers' image processors (their Pillow and NumPy forms) make of them.

Needs numpy, pillow==11.3.0 and transformers. Run in this folder: python make.py
Pillow's version matters: 13 resizes some pictures in another order of passes, with other pixels.
Every file of decode/ has its pixels beside it as NAME.rgb (uint8 [H, W, 3], deflated by zlib); the rest is in *.json, with
arrays as base64 of their little-endian bytes. The pictures are made here from a seed; none is a photograph.
"""

import base64
import io
import json
import os
import pathlib
import struct
import zlib

import numpy as np
import PIL
from PIL import Image

assert PIL.__version__.startswith("11."), PIL.__version__
here = pathlib.Path(__file__).parent
random = np.random.default_rng(20)


def picture(width, height, noise=12):
    """A disc with a darker disc and lines on a dark ground: edges, gradients and some noise."""
    y, x = np.mgrid[0:height, 0:width]
    u, v = (x - width / 2) / max(width, height) * 2, (y - height / 2) / max(width, height) * 2
    r = np.sqrt(u * u + v * v)
    red = np.where(r < 0.9, 200 - 90 * r, 5)
    green = np.where(r < 0.9, 110 - 60 * r + 30 * np.sin(9 * u + 4 * v * v), 4)
    blue = np.where(r < 0.9, 50 + 20 * np.cos(11 * v), 3)
    spot = (u - 0.3) ** 2 + v * v < 0.03
    image = np.stack([np.where(spot, 250, red), np.where(spot, 230, green), np.where(spot, 140, blue)], -1)
    line = np.abs(np.sin(7 * u + 2 * v) - v * 2) < 0.06
    image[line] = [120, 20, 15]
    return np.clip(image + random.normal(0, noise, image.shape), 0, 255).astype(np.uint8)


def b64(array):
    array = np.ascontiguousarray(array)
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, kind, rows, extra=b""):
    """A PNG file by hand, for kinds that Pillow does not write. `rows` are packed, without filter bytes."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    data = b"".join(b"\0" + row for row in rows)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(data, 9))
            + chunk(b"IEND", b""))


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def decode_fixtures():
    folder = here / "decode"
    folder.mkdir(exist_ok=True)
    rgb = Image.fromarray(picture(67, 45))
    gray = rgb.convert("L")
    alpha = rgb.copy()
    alpha.putalpha(Image.fromarray(random.integers(0, 256, (45, 67), dtype=np.uint8)))
    cmyk = Image.fromarray(random.integers(0, 256, (9, 7, 4), dtype=np.uint8).repeat(4, 0).repeat(4, 1), "CMYK")
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated, which nobody is to apply
    wide = random.integers(0, 65536, (6, 10, 4), dtype=np.uint16)
    files = {
        "rgb.jpg": saved(rgb, "JPEG", quality=90),
        "rgb444.jpg": saved(rgb, "JPEG", quality=95, subsampling=0),
        "progressive.jpg": saved(rgb, "JPEG", quality=80, progressive=True),
        "restart.jpg": saved(rgb, "JPEG", quality=70, restart_marker_blocks=3),
        "rotated.jpg": saved(rgb, "JPEG", quality=85, exif=exif),
        "gray.jpg": saved(gray, "JPEG", quality=85),
        "cmyk.jpg": saved(cmyk, "JPEG", quality=85),
        "stored_rgb.jpg": saved(rgb, "JPEG", quality=85, keep_rgb=True),
        "rgb.png": saved(rgb, "PNG"),
        "gray.png": saved(gray, "PNG"),
        "gray_alpha.png": saved(alpha.convert("LA"), "PNG"),
        "alpha.png": saved(alpha, "PNG"),
        "palette.png": saved(rgb.quantize(50), "PNG"),
        "palette4.png": saved(rgb.quantize(11), "PNG", bits=4),
        "palette_alpha.png": saved(rgb.quantize(20), "PNG", transparency=bytes(range(0, 200, 10))),
        "bilevel.png": saved(gray.convert("1"), "PNG"),
        "gray2.png": png(9, 5, 2, 0, [bytes(random.integers(0, 256, 3, dtype=np.uint8)) for _ in range(5)]),
        "gray4.png": png(9, 5, 4, 0, [bytes(random.integers(0, 256, 5, dtype=np.uint8)) for _ in range(5)]),
        "rgb16.png": png(10, 6, 16, 2, [r[:, :3].astype(">u2").tobytes() for r in wide]),
        "alpha16.png": png(10, 6, 16, 6, [r.astype(">u2").tobytes() for r in wide]),
        "gray_alpha16.png": png(10, 6, 16, 4, [r[:, :2].astype(">u2").tobytes() for r in wide]),
        "rgb_key.png": png(
            10, 6, 8, 2, [(r[:, :3] >> 8).astype(np.uint8).tobytes() for r in wide],
            chunk(b"tRNS", struct.pack(">HHH", *(wide[0, 0, :3] >> 8)))),
        "gray_key.png": png(
            10, 6, 8, 0, [(r[:, 0] >> 8).astype(np.uint8).tobytes() for r in wide],
            chunk(b"tRNS", struct.pack(">H", wide[0, 0, 0] >> 8))),
        "gamma.png": png(
            10, 6, 8, 2, [(r[:, :3] >> 8).astype(np.uint8).tobytes() for r in wide],
            chunk(b"gAMA", struct.pack(">I", 100000))),
        "interlaced.png": interlaced(picture(13, 11)),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
        pixels = np.array(Image.open(io.BytesIO(data)).convert("RGB"))
        (folder / (name + ".rgb")).write_bytes(
            struct.pack("<II", pixels.shape[1], pixels.shape[0]) + pixels.tobytes())
    # The one kind that differs on purpose: Pillow clips 16-bit gray to its low byte's range; here it keeps the high byte.
    gray16 = wide[:, :, 0]
    (folder / "gray16.png").write_bytes(png(10, 6, 16, 0, [r.astype(">u2").tobytes() for r in gray16]))
    pixels = np.repeat((gray16 >> 8).astype(np.uint8)[:, :, None], 3, 2)
    (folder / "gray16.png.rgb").write_bytes(struct.pack("<II", 10, 6) + pixels.tobytes())


def interlaced(pixels):
    """Adam7, which Pillow reads and does not write."""
    height, width, _ = pixels.shape
    data = b""
    for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        part = pixels[y0::dy, x0::dx]
        if part.size:
            data += b"".join(b"\0" + row.tobytes() for row in part)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def resize_fixtures():
    filters = {1: Image.Resampling.LANCZOS, 2: Image.Resampling.BILINEAR, 3: Image.Resampling.BICUBIC, 4: Image.Resampling.BOX}
    cases = []
    shapes = [((61, 43), (28, 28)), ((61, 43), (14, 60)), ((20, 30), (64, 47)), ((97, 5), (30, 5)), ((5, 97), (5, 40)),
              ((3, 3), (50, 1)), ((1, 1), (7, 9)), ((120, 90), (1, 1)), ((33, 33), (33, 32)), ((2, 100), (9, 3))]
    for (width, height), (to_width, to_height) in shapes:
        source = picture(width, height, noise=40)
        for number, kind in filters.items():
            resized = Image.fromarray(source).resize((to_width, to_height), kind)
            cases.append({
                "filter": number, "width": width, "height": height, "pixels": b64(source), "toWidth": to_width,
                "toHeight": to_height, "resized": b64(np.array(resized))})
    (here / "resize.json").write_text(json.dumps(cases, separators=(",", ":")))


def processor_fixtures():
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    imagenet = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    cases = []

    def case(name, processor, config, sizes, call={}):
        for width, height in sizes:
            source = picture(width, height)
            out = processor(Image.fromarray(source), return_tensors="np", **call)
            values = np.asarray(out["pixel_values"], dtype=np.float32)
            grid = [int(n) for n in out["image_grid_thw"][0]] if "image_grid_thw" in out else []
            cases.append({
                "name": name, "config": config, "width": width, "height": height, "pixels": b64(source),
                "shape": list(values.shape), "values": b64(values), "grid": grid})

    small = {"size": {"shortest_edge": 20}, "crop_size": {"height": 20, "width": 20}}
    case("CLIP", CLIPImageProcessorPil(**small), {"image_processor_type": "CLIPImageProcessor", **small},
         [(41, 30), (30, 57), (20, 20), (7, 9)])
    odd = {"size": {"shortest_edge": 13}, "crop_size": {"height": 18, "width": 15}}
    case("CLIP, cropped beyond the picture", CLIPImageProcessorPil(**odd),
         {"image_processor_type": "CLIPImageProcessorFast", **odd}, [(31, 30), (20, 37)])
    square = {"size": {"height": 18, "width": 24}, "resample": 2, **imagenet}
    case("SigLIP, bilinear", SiglipImageProcessorPil(**square), {"image_processor_type": "SiglipImageProcessor", **square},
         [(41, 30)])
    plain = {"do_normalize": False, "do_center_crop": False, "size": {"shortest_edge": 9}}
    case("CLIP, neither normalised nor cropped", CLIPImageProcessorPil(**plain),
         {"image_processor_type": "CLIPImageProcessor", **plain}, [(23, 40)])
    qwen = {"min_pixels": 8 * 8 * 4, "max_pixels": 8 * 8 * 30, "patch_size": 4, "merge_size": 2, "temporal_patch_size": 2}
    case("Qwen2-VL", Qwen2VLImageProcessorPil(**qwen), {"image_processor_type": "Qwen2VLImageProcessor", **qwen},
         [(41, 30), (36, 20), (5, 9), (90, 61), (100, 3)])
    intern = {"size": {"height": 12, "width": 12}, "min_patches": 1, "max_patches": 6, **imagenet}
    case("InternVL3", GotOcr2ImageProcessorPil(**intern),
         {"image_processor_type": "GotOcr2ImageProcessorFast", "processor_class": "InternVLProcessor",
          "crop_to_patches": False, **intern},
         [(41, 30), (12, 12), (24, 24), (70, 20), (19, 90), (200, 100)], {"crop_to_patches": True})
    (here / "processors.json").write_text(json.dumps(cases, separators=(",", ":")))


def arrangement_fixtures():
    """Sizes alone, many of them: no pixels."""
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import get_optimal_tiled_canvas
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

    grids, sizes = [], []
    for _ in range(200):
        width, height = (int(n) for n in np.exp(random.uniform(np.log(20), np.log(4000), 2)))
        columns, rows = get_optimal_tiled_canvas((height, width), (448, 448), 1, 12)
        grids.append([width, height, columns, rows])
        if max(width, height) / min(width, height) <= 200:
            h, w = smart_resize(height, width, 28, 56 * 56, 28 * 28 * 1280)
            sizes.append([width, height, w, h])
    (here / "arrangements.json").write_text(json.dumps({"tiles": grids, "patches": sizes}, separators=(",", ":")))


def photograph_fixtures():
    """FNV-1a of what Pillow makes of the photographs of $FOVEA_DATA, which are no part of the repository."""
    data = os.environ.get("FOVEA_DATA")
    if not data:
        print("FOVEA_DATA is not set: photographs.json stays as it is")
        return

    def fnv(array):
        value = 0xCBF29CE484222325
        for byte in array.tobytes():
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
        return f"{value:016x}"

    cases = {}
    for name in ["retina.jpg", "microaneurysms.png"]:
        image = Image.open(pathlib.Path(data) / name).convert("RGB")
        cases[name] = {
            "width": image.width, "height": image.height, "pixels": fnv(np.array(image)),
            "bicubic448": fnv(np.array(image.resize((448, 448), Image.Resampling.BICUBIC))),
            "bicubic301x620": fnv(np.array(image.resize((301, 620), Image.Resampling.BICUBIC))),
            "lanczos100": fnv(np.array(image.resize((100, 100), Image.Resampling.LANCZOS)))}
    (here / "photographs.json").write_text(json.dumps(cases, indent=1))


decode_fixtures()
resize_fixtures()
processor_fixtures()
arrangement_fixtures()
photograph_fixtures()
