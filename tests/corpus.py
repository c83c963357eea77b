"""The hostile corpus: files that are broken, huge, odd or not what they are called, and what they must give.

    python -m tests.corpus FOLDER

All of it is made here from one small page; nothing is large on disk.
"""

from __future__ import annotations

import functools
import gzip
import io
import os
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont


@dataclass(frozen=True)
class Item:
    """One file and what reading it must give.

    Attributes:
        name: path below the corpus' folder.
        data: its bytes.
        pages: number of pages; None where any number will do.
        kinds: kinds of error, sorted; None where any will do, so long as there are pages or errors.
    """

    name: str
    data: bytes
    pages: int | None = 0
    kinds: tuple[str, ...] | None = ()


def page(size: tuple[int, int] = (320, 200)) -> Image.Image:
    """A page with a line of text on it, dark on grainy paper."""
    grain = np.random.default_rng(3).integers(215, 250, (min(size[1], 200), min(size[0], 320), 3), np.uint8)
    image = Image.fromarray(np.full((size[1], size[0], 3), 235, np.uint8))
    image.paste(Image.fromarray(grain))
    draw = ImageDraw.Draw(image)
    draw.text((20, 40), "HOSTILE 1234", (20, 20, 30), ImageFont.load_default(34))
    draw.rectangle((0, 0, 40, 20), (200, 30, 30))
    return image


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    (image or page()).save(buffer, kind, **options)
    return buffer.getvalue()


@functools.cache
def items() -> tuple[Item, ...]:
    """The whole corpus."""
    makers: tuple[Callable[[], Iterator[Item]], ...] = (
        *(formats, modes, orientations, truncated, impostors, bombs, shapes, animated),
        *(tiffs, pdfs, tars, zips, parquets, names),
    )
    return tuple(item for make in makers for item in make())


def write(folder: Path) -> None:
    """Writes the corpus into a folder."""
    for item in items():
        path = os.path.join(os.fsencode(folder), os.fsencode(item.name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(item.data)


def formats() -> Iterator[Item]:
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "AVIF", "PPM", "TGA", "ICO"):
        suffix = {"JPEG2000": "jp2"}.get(kind, kind.lower())
        yield Item(f"formats/page.{suffix}", encoded(kind), 1)
    yield Item("formats/progressive.jpg", encoded("JPEG", progressive=True), 1)
    yield Item("formats/suffix in capitals.JPG", encoded("JPEG"), 1)
    yield Item("formats/jpeg called.png", encoded("JPEG"), 1)
    yield Item("formats/png called.jpg", encoded("PNG"), 1)
    yield Item("formats/pdf called.jpg", pdf(["Hostile"]), 1)
    yield Item("formats/image called.pdf", encoded("PNG"), 1)


def modes() -> Iterator[Item]:
    rgb = page()
    gray = np.asarray(rgb.convert("L"))
    see_through = rgb.copy()
    see_through.putalpha(Image.fromarray(gray))
    yield Item("modes/cmyk.jpg", encoded("JPEG", rgb.convert("CMYK")), 1)
    yield Item("modes/cmyk.tif", encoded("TIFF", rgb.convert("CMYK")), 1)
    yield Item("modes/ycck.jpg", ycck(rgb), 1)
    yield Item("modes/gray.jpg", encoded("JPEG", rgb.convert("L")), 1)
    yield Item("modes/16 bit.png", encoded("PNG", Image.fromarray(gray.astype(np.uint16) * 257)), 1)
    yield Item("modes/12 in 16 bit.tif", encoded("TIFF", Image.fromarray(gray.astype(np.uint16) * 16)), 1)
    yield Item("modes/32 bit.tif", encoded("TIFF", Image.fromarray(gray.astype(np.int32) * 9000)), 1)
    yield Item("modes/float.tif", encoded("TIFF", Image.fromarray(gray.astype(np.float32) / 255)), 1)
    yield Item("modes/nan.tif", encoded("TIFF", Image.fromarray(np.full((20, 20), np.nan, np.float32))), 1)
    yield Item("modes/1 bit.png", encoded("PNG", rgb.convert("1")), 1)
    yield Item("modes/1 bit.tif", encoded("TIFF", rgb.convert("1"), compression="group4"), 1)
    yield Item("modes/palette.png", encoded("PNG", rgb.convert("P")), 1)
    yield Item(
        "modes/palette, alpha.png", encoded("PNG", rgb.convert("P"), transparency=bytes(range(256))), 1
    )
    yield Item("modes/alpha.png", encoded("PNG", see_through), 1)
    yield Item("modes/gray, alpha.png", encoded("PNG", see_through.convert("LA")), 1)
    yield Item("modes/alpha.webp", encoded("WEBP", see_through), 1)
    yield Item("modes/lab.tif", encoded("TIFF", Image.merge("LAB", rgb.split())), 1)


def ycck(image: Image.Image) -> bytes:
    """A CMYK JPEG with its Adobe marker's colour transform set to YCCK."""
    data = bytearray(encoded("JPEG", image.convert("CMYK")))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def orientations() -> Iterator[Item]:
    for value in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = value
        for kind in ("jpg", "tif"):
            data = encoded({"jpg": "JPEG", "tif": "TIFF"}[kind], exif=exif)
            yield Item(f"exif/orientation {value}.{kind}", data, 1)
    for name, value in (("99", 99), ("0", 0)):
        exif = Image.Exif()
        exif[0x0112] = value
        yield Item(f"exif/orientation {name}.jpg", encoded("JPEG", exif=exif), 1)
    garbage = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + b"\xff" * 60
    yield Item("exif/garbage.jpg", encoded("JPEG", exif=garbage), 1)
    yield Item(
        "exif/cut off.jpg", encoded("JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x05\x01"), 1
    )


def truncated() -> Iterator[Item]:
    whole = {
        "jpg": encoded("JPEG", quality=90),
        "png": encoded("PNG"),
        "tif": encoded("TIFF", compression="tiff_lzw"),
        "pdf": pdf(["Hostile"]),
        "webp": encoded("WEBP"),
        "gif": encoded("GIF"),
    }
    for suffix, data in whole.items():
        for tenth in range(10):
            kinds = ("empty",) if tenth == 0 else None
            name = f"truncated/{tenth} tenths.{suffix}"
            yield Item(name, data[: len(data) * tenth // 10], 0 if tenth == 0 else None, kinds)
    yield Item("truncated/half.jpg", whole["jpg"][: len(whole["jpg"]) // 2], 1)
    yield Item("truncated/half.png", whole["png"][: len(whole["png"]) // 2], 1)
    yield Item("truncated/no end mark.jpg", whole["jpg"][:-2], 1)
    yield Item("truncated/with a tail.jpg", whole["jpg"] + b"\0" * 5000, 1)
    progressive = encoded("JPEG", progressive=True)
    yield Item("truncated/progressive.jpg", progressive[: len(progressive) // 2], 1)


def impostors() -> Iterator[Item]:
    yield Item("impostors/text.jpg", b"This is not the picture you are looking for.\n", 0, ("not_an_image",))
    yield Item("impostors/html.jpg", b"<!DOCTYPE html><html><body>404</body></html>", 0, ("not_an_image",))
    yield Item("impostors/json.png", b'{"error": "NoSuchKey"}', 0, ("not_an_image",))
    yield Item("impostors/zeros.jpg", bytes(4096), 0, ("not_an_image",))
    yield Item("impostors/noise.png", np.random.default_rng(5).bytes(4096), 0, ("not_an_image",))
    yield Item("impostors/signature only.png", b"\x89PNG\r\n\x1a\n", 0, ("corrupt",))
    yield Item("impostors/markers only.jpg", b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\xff\xd9", 0, None)
    yield Item(
        "impostors/heic.heic", b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64), 0, None
    )
    yield Item(
        "impostors/ghostscript.png",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
        0,
        ("not_an_image",),
    )
    yield Item("impostors/zip.tif", b"PK\x03\x04" + bytes(100), 0, ("not_an_image",))
    yield Item("impostors/text.tar", b"no archive at all, only some text\n" * 40, 0, ("corrupt",))
    yield Item("impostors/zip.zip", b"PK\x03\x04" + bytes(100), 0, ("truncated",))
    yield Item("impostors/empty.tar", b"", 0, ("empty",))
    yield Item("impostors/text.parquet", b"no table at all\n", 0, None)


def bombs() -> Iterator[Item]:
    side = 60_000
    yield Item("bombs/claims.png", png_header(side, side), 0, ("too_large",))
    gif = b"GIF89a" + struct.pack("<HH", side, side) + b"\x80\x00\x00\x00\x00\x00\xff\xff\xff,"
    yield Item(
        "bombs/claims.gif",
        gif + struct.pack("<4HB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\x00;",
        0,
        ("too_large",),
    )
    yield Item("bombs/claims.tif", tiff_header(side, side), 0, ("too_large",))
    jpeg = bytearray(encoded("JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", side, side)
    yield Item("bombs/claims.jpg", bytes(jpeg), 0, ("too_large",))
    inside = png_header(side, side)
    ico = struct.pack("<3H4B2H2I", 0, 1, 1, 32, 32, 0, 0, 1, 32, len(inside), 22) + inside
    yield Item("bombs/png in it.ico", ico, 0, ("too_large",))
    progressive = encoded("JPEG", progressive=True)
    last = progressive.rindex(b"\xff\xda")
    yield Item(
        "bombs/scans.jpg", progressive[:last] + progressive[last:-2] * 1000 + b"\xff\xd9", 0, ("too_large",)
    )
    text = zlib.compress(bytes(64 << 20), 1)
    yield Item("bombs/text chunk.png", png_with_chunk(b"zTXt", b"Comment\x00\x00" + text), None, None)


def png_header(width: int, height: int) -> bytes:
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(999))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with_chunk(kind: bytes, data: bytes) -> bytes:
    whole = encoded("PNG")
    return whole[:33] + png_chunk(kind, data) + whole[33:]


def tiff_header(width: int, height: int) -> bytes:
    tags = [
        (256, width),
        (257, height),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, height),
        (279, 100),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(tags)) + entries + bytes(4)


def shapes() -> Iterator[Item]:
    for width, height in ((30_000, 40), (40, 30_000), (320, 1), (1, 320), (1, 1), (2, 2)):
        yield Item(f"shapes/{width} x {height}.png", encoded("PNG", page((width, height))), 1)
    yield Item("shapes/30000 x 40.jpg", encoded("JPEG", page((30_000, 40))), 1)
    yield Item("shapes/0 x 0.png", png_header(0, 0), 0, None)
    yield Item("shapes/blank.png", encoded("PNG", Image.new("L", (300, 400), 255)), 1)
    yield Item("shapes/blank.jpg", encoded("JPEG", Image.new("L", (300, 400), 255)), 1)


def animated() -> Iterator[Item]:
    frames = [Image.new("RGB", (320, 200), color) for color in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        yield Item(f"animated/page.{kind.lower()}", encoded(kind, save_all=True, append_images=frames), 1)


def tiffs() -> Iterator[Item]:
    whole = encoded("TIFF", save_all=True, append_images=[page(), page()], compression="tiff_lzw")
    yield Item("tiff/3 pages.tif", whole, 3)
    with Image.open(io.BytesIO(whole)) as image:
        image.seek(1)
        at = image.tag_v2[273][0]  # type: ignore[attr-defined]
    broken = bytearray(whole)
    broken[at : at + 3000] = bytes(3000)
    yield Item("tiff/second of 3 broken.tif", bytes(broken), 2, ("truncated",))
    single = bytearray(tiff_header(4, 4))
    single[-4:] = struct.pack("<I", 8)
    yield Item("tiff/chain in a circle.tif", bytes(single), None, None)


def pdf(texts: list[str], box: str = "0 0 300 200", trailer: str = "", missing: int | None = None) -> bytes:
    """A PDF with a page for each text; page `missing` is referred to and not there."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(texts)))
    objects = {
        1: "<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(texts)} >>",
        3: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    }
    for i, text in enumerate(texts):
        stream = f"BT /F1 24 Tf 40 100 Td ({text}) Tj ET"
        if i != missing:
            objects[4 + 2 * i] = (
                f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] /Resources << /Font << /F1 3 0 R >> >>"
                f" /Contents {5 + 2 * i} 0 R >>"
            )
        objects[5 + 2 * i] = f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream"
    return pdf_of(objects, trailer)


def pdf_of(objects: dict[int, str], trailer: str = "") -> bytes:
    """A PDF of objects by number, of which the first is the catalogue."""
    out, offsets = b"%PDF-1.4\n", {}
    for number, body in objects.items():
        offsets[number] = len(out)
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    size = max(objects) + 1
    rows = "".join(
        f"{offsets[n]:010d} 00000 n \n" if n in offsets else "0000000000 65535 f \n" for n in range(1, size)
    )
    end = f"xref\n0 {size}\n0000000000 65535 f \n{rows}trailer\n<< /Size {size} /Root 1 0 R {trailer}>>\n"
    return out + (end + f"startxref\n{len(out)}\n%%EOF\n").encode()


def pdfs() -> Iterator[Item]:
    yield Item("pdf/3 pages.pdf", pdf(["one", "two", "three"]), 3)
    yield Item("pdf/no pages.pdf", pdf([]), 0, None)
    yield Item("pdf/second of 3 missing.pdf", pdf(["one", "two", "three"], missing=1), None, None)
    yield Item("pdf/huge page.pdf", pdf(["large"], box="0 0 40000 4000"), 1)
    yield Item("pdf/endless page.pdf", pdf(["long"], box="0 0 1000000000 1"), None, None)
    yield Item("pdf/flat page.pdf", pdf(["flat"], box="0 0 300 0"), None, None)
    key = "<" + "5a" * 32 + ">"
    lock = f"/Encrypt << /Filter /Standard /V 1 /R 2 /O {key} /U {key} /P -4 >> /ID [<00> <00>] "
    yield Item("pdf/encrypted.pdf", pdf(["secret"], trailer=lock), 0, ("encrypted",))


def tar(members: Sequence[tuple[str, bytes | tarfile.TarInfo]], mode: Literal["w", "w:gz"] = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(None, mode, buffer) as archive:
        for name, member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                header = tarfile.TarInfo(name)
                header.size = len(member)
                archive.addfile(header, io.BytesIO(member))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "/etc/passwd") -> tuple[str, tarfile.TarInfo]:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return name, header


def tars() -> Iterator[Item]:
    jpeg = encoded("JPEG")
    good = [(f"{i}.jpg", jpeg) for i in range(4)]
    plain, zipped = tar(good), tar(good, "w:gz")
    yield Item("tar/plain.tar", plain, 4)
    yield Item("tar/zipped.tar.gz", zipped, 4)
    yield Item("tar/zipped.tgz", zipped, 4)
    yield Item("tar/gz called.tar", zipped, 4)
    hostile = [("../outside.jpg", jpeg), ("/tmp/absolute.jpg", jpeg), ("a/../../b.jpg", jpeg)]
    links = [
        special("sym.jpg", tarfile.SYMTYPE),
        special("hard.jpg", tarfile.LNKTYPE),
        special("dev.jpg", tarfile.CHRTYPE),
    ]
    yield Item("tar/names and links.tar", tar([*hostile, *links, ("x.json", b"{}")]), 3, ("not_a_file",) * 3)
    yield Item(
        "tar/one broken.tar",
        tar([("a.jpg", jpeg), ("b.jpg", b"text"), ("c.jpg", jpeg)]),
        2,
        ("not_an_image",),
    )
    yield Item("tar/no images.tar", tar([("readme.txt", b"text")]), 0, ("no_images",))
    yield Item("tar/empty.tar", tar([]), 0, ("no_images",))
    yield Item("tar/cut in a member.tar", plain[: len(jpeg) // 2 + 512], 0, ("truncated",))
    yield Item("tar/cut at a member.tar", plain[: len(plain) // 2 // 512 * 512], None, None)
    yield Item("tar/cut.tar.gz", zipped[: len(zipped) // 2], None, None)
    corrupt = bytearray(plain)
    second = corrupt.index(b"1.jpg")
    corrupt[second : second + 100] = b"\xaa" * 100
    yield Item("tar/second header broken.tar", bytes(corrupt), 1, ("corrupt",))
    giant = tarfile.TarInfo("giant.jpg")
    giant.size = 40 << 30
    zeros = gzip.compress(bytes(8 << 20), 1)
    yield Item("tar/bomb.tar.gz", gzip.compress(giant.tobuf()) + zeros * 4, 0, ("too_large",))
    longname = tarfile.TarInfo("././@LongLink")
    longname.type, longname.size = tarfile.GNUTYPE_LONGNAME, 4 << 30
    yield Item("tar/name of 4 GB.tar.gz", gzip.compress(longname.tobuf()) + zeros * 4, 0, ("corrupt",))


def zips() -> Iterator[Item]:
    jpeg = encoded("JPEG")
    for name, method in (("stored", zipfile.ZIP_STORED), ("deflated", zipfile.ZIP_DEFLATED)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for member in ("a.jpg", "../b.jpg", "/c.jpg", "readme", "inner.zip"):
                archive.writestr(member, jpeg)
        whole = buffer.getvalue()
        yield Item(f"zip/{name}.zip", whole, 3)
        yield Item(f"zip/{name}, cut.zip", whole[: len(whole) // 2], 0, ("truncated",))


def parquet(columns: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, row_group_size=2)
    return buffer.getvalue()


def parquets() -> Iterator[Item]:
    jpeg = encoded("JPEG")
    whole = parquet({"bytes": [jpeg] * 5})
    yield Item("parquet/bytes.parquet", whole, 5)
    yield Item("parquet/named.parquet", parquet({"bytes": [jpeg], "uri": ["by uri"]}), 1)
    yield Item("parquet/unnamed.parquet", parquet({"bytes": [jpeg], "path": [None]}), 1)
    yield Item("parquet/nested.parquet", parquet({"image": [{"bytes": jpeg, "path": "a.jpg"}] * 3}), 3)
    yield Item(
        "parquet/nulls.parquet",
        parquet({"bytes": [jpeg, None, b"", b"text"]}),
        1,
        ("empty", "no_images", "not_an_image"),
    )
    yield Item("parquet/no such column.parquet", parquet({"x": [1, 2]}), 0, ("no_images",))
    yield Item("parquet/text column.parquet", parquet({"bytes": ["text"]}), 0, ("no_images",))
    yield Item("parquet/no rows.parquet", parquet({"bytes": pa.array([], pa.binary())}), 0, ("no_images",))
    yield Item("parquet/cut.parquet", whole[: len(whole) // 2], 0, ("corrupt",))
    of_no_rows = whole.replace(b"\x16\x0a\x19", b"\x16\x00\x19")  # in the footer: 5, zigzag
    assert of_no_rows != whole
    yield Item("parquet/footer without rows.parquet", of_no_rows, 5)
    broken = bytearray(whole)
    broken[4:400] = b"\xaa" * 396
    yield Item("parquet/first group broken.parquet", bytes(broken), None, None)


def names() -> Iterator[Item]:
    data = encoded("PNG")
    odd = (
        *(
            "with space",
            'quote\'s "two"',
            "new\nline",
            "ünï çødé 日本語 🧾",
            "#hash",
            "100%25",
            "star*",
            "[1]",
        ),
        *("ques?tion", "semi;colon&amp", "back\\slash", "-dash", "dots..", "x" * 240, "bytes \udcff\udcfe"),
    )
    for name in odd:
        yield Item(f"names/{name}.png", data, 1)
    yield Item("names/folder.jpg/deep/er/page.png", data, 1)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
