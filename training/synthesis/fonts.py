"""Which fonts of this machine can draw which characters.

A font file that claims a character may still draw nothing for it, draw capitals for small letters, or be a
copy of another file. Each file is therefore looked at once (its cmap by fontTools, its glyphs by Pillow) and
what was seen is kept in the user's cache folder, keyed by path, size and time of change.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from random import Random

from fontTools.ttLib import TTFont
from PIL import ImageFont

from models.records import UsageError

FONT_PACKAGES = (
    "fonts-dejavu fonts-liberation fonts-lato fonts-roboto fonts-noto-core fonts-urw-base35 fonts-texgyre"
)
"""Debian packages named where no usable font is found; docs/training.md lists all that `latin` uses."""

BUILT_IN = ""
"""The path that stands for the font inside Pillow (Aileron), the last resort of a machine without fonts."""

_INDEX_VERSION = 3
_PROBE_SIZE = 16
_BASIC = "".join(map(chr, range(0x21, 0x7F)))
_ACCENTS = "ÀÂÇÉÈÊËÎÔÙÛàâçéèêëîïôùûÄÖÜäöüß"
# The planes that a Latin charset draws from; other scripts of a font are of no use here.
_RANGES = (
    (0x21, 0x7E),
    (0xA1, 0xAC),
    (0xAE, 0x17F),
    (0x2010, 0x2027),
    (0x2030, 0x205E),
    (0x20A0, 0x20BF),
    (0x2116, 0x2122),
    (0x2190, 0x2193),
    (0x2212, 0x2212),
    (0x2248, 0x2265),
    (0x25A0, 0x25CF),
    (0x2610, 0x2612),
    (0x2713, 0x2717),
)
# Names of faces that are not meant for running text, or not legible as the characters they claim.
_UNREADABLE = re.compile(
    r"math|symbol|dingbat|emoji|braille|music|euterpe|asana|redact|dseg|lignes|lines|sketch|barcode|outline|"
    r"gothicumas|icon|awesome|small ?caps|\bSC\b|initials|fraktur|blackletter|swash|3270.*condensed|"
    r"keyboard|d050000|ellhnikh|^\W|flipped|alternate|dunhill|funny|fibonacci",
    re.IGNORECASE,
)
_SCRIPT = re.compile(
    r"lobster|femke|breip|hand|script|chancery|pecita|comic|tomson|ecolier|rufscript|dustin|kristi|"
    r"italic.*chorus|chorus|okolaks|beteckna|penguin|balker|flaw|winks|wilhelm|domestic|parent|junk|"
    r"mary|isabella",
    re.IGNORECASE,
)
_COMMON = re.compile(
    r"^(arimo|liberation|nimbus|freesans|freeserif|freemono|tinos|cousine|dejavu|roboto|open sans|carlito|"
    r"caladea|tex gyre|noto sans$|noto serif$|lato|courier prime$|lm |cmu serif$|dosis)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Face:
    """One usable font file.

    Attributes:
        path: the file, or `BUILT_IN`.
        family: the family's name, the unit in which faces are drawn and held out.
        style: the style's name, as in "Bold Italic".
        glyphs: the characters that it really draws.
        mono: whether its characters are all of one width.
        cased: whether small letters differ in shape from capitals.
        digest: of its drawing of a specimen; equal digests are copies of one design.
    """

    path: str
    family: str
    style: str
    glyphs: str
    mono: bool
    cased: bool
    digest: str

    @cached_property
    def glyph_set(self) -> frozenset[str]:
        """The characters that it draws, and the space."""
        return frozenset(self.glyphs) | {" "}

    @property
    def bold(self) -> bool:
        """Whether the style is heavier than regular."""
        return bool(re.search(r"bold|black|heavy|semi|demi|medium", self.style, re.IGNORECASE))

    @property
    def upright(self) -> bool:
        """Whether it is neither italic nor heavy nor hairline: the style of most print."""
        return not re.search(
            r"ital|obli|slant|black|heavy|thin|hair|light", f"{self.style} {self.family}", re.IGNORECASE
        )

    @property
    def script(self) -> bool:
        """Whether it looks written by hand, or is a display face of that kind."""
        return bool(_SCRIPT.search(self.family))

    @property
    def common(self) -> bool:
        """Whether it is of the designs that offices and receipts use most, or their free twins."""
        return bool(_COMMON.match(self.family))

    @property
    def held_out(self) -> bool:
        """Whether the family is kept from training, for made development sets (one family in ten)."""
        return hashlib.sha256(f"v{self.family.lower()}".encode()).digest()[0] % 10 == 0

    def draws(self, text: str) -> bool:
        """Whether each character of `text` has a glyph, and small letters look small."""
        return self.glyph_set.issuperset(text) and (self.cased or text == text.upper())


@lru_cache(maxsize=400)
def load_font(path: str, size: int, shaped: bool = True) -> ImageFont.FreeTypeFont:
    """The font at `size` pixels an em, kept open; unshaped ones draw single characters faster."""
    if path == BUILT_IN:
        font = ImageFont.load_default(size)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise UsageError("Pillow was built without FreeType: install pillow's own wheel.")
        return font
    if shaped:
        return ImageFont.truetype(path, size)
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def font_folders() -> list[Path]:
    """The folders where the common systems keep fonts."""
    home = Path.home()
    folders = [
        "/usr/share/fonts",
        "/usr/share/texmf/fonts/opentype",
        "/usr/local/share/fonts",
        "/Library/Fonts",
        "/System/Library/Fonts",
        "C:/Windows/Fonts",
    ]
    return [Path(folder) for folder in folders] + [
        home / ".fonts",
        home / ".local/share/fonts",
        home / "Library/Fonts",
    ]


def inspect(path: str) -> Face | None:
    """Looks at one font file.

    Returns:
        The face, or None where it cannot be opened or lacks printable ASCII.
    """
    try:
        source = io.BytesIO(_built_in_bytes()) if path == BUILT_IN else path
        with TTFont(source, lazy=True) as font:
            cmap, names = font.getBestCmap() or {}, font["name"]
            family = names.getDebugName(16) or names.getDebugName(1) or Path(path).stem
            style = names.getDebugName(17) or names.getDebugName(2) or ""
        if not all(ord(char) in cmap for char in _BASIC):
            return None
        return _look(path, family, style, cmap)
    except (
        Exception
    ):  # fontTools and FreeType raise a dozen kinds; a file they refuse is simply no font of ours.
        return None


def _look(path: str, family: str, style: str, cmap: Iterable[int]) -> Face | None:
    pen = load_font.__wrapped__(path, _PROBE_SIZE, shaped=False)
    claimed = (chr(code) for code in sorted(cmap) if any(low <= code <= high for low, high in _RANGES))
    glyphs = "".join(char for char in claimed if can_draw(pen, char))
    if not set(_BASIC) <= set(glyphs):
        return None
    heights = {char: _ink_height(pen, char) for char in "abdxX"}
    cased = heights["b"] > 1.1 * heights["x"] and bytes(pen.getmask("a")) != bytes(pen.getmask("A"))
    specimen = bytes(pen.getmask("Hamburgefonstiv 0123789 RQ&@"))
    return Face(
        path=path,
        family=family,
        style=style,
        glyphs=glyphs,
        cased=cased,
        mono=pen.getlength("iiii") == pen.getlength("MWMW"),
        digest=hashlib.sha256(specimen).hexdigest()[:16],
    )


def can_draw(font: ImageFont.FreeTypeFont, char: str) -> bool:
    """Whether a font has ink for a character that it claims."""
    try:
        return font.getmask(char).getbbox() is not None
    except (OSError, ValueError):  # an outline that FreeType refuses
        return False


def _ink_height(font: ImageFont.FreeTypeFont, char: str) -> float:
    _, top, _, bottom = font.getbbox(char)
    return bottom - top


def _built_in_bytes() -> bytes:
    stream = load_font(BUILT_IN, _PROBE_SIZE).path
    if isinstance(stream, io.BytesIO):
        return stream.getvalue()
    raise OSError("Pillow's built-in font is not held in memory")


def built_in_face() -> Face:
    """The face inside Pillow: enough for a test, not for training.

    Raises:
        UsageError: where this Pillow has none.
    """
    face = inspect(BUILT_IN)
    if face is None:
        raise UsageError(f"No font found. Install some, such as: apt-get install {FONT_PACKAGES}")
    return face


def index_faces(folders: Sequence[Path] | None = None) -> list[Face]:
    """All legible faces under `folders`, one of each design, in an order that any machine would give."""
    files = sorted(font_files(font_folders() if folders is None else folders))
    cache = _read_cache()
    stamps = {path: _stamp(path) for path in files}
    missing = [path for path in files if stamps[path] not in cache]
    if missing:
        cache.update({stamps[path]: face for path, face in zip(missing, _inspect_all(missing), strict=True)})
        _write_cache(cache)
    faces = [face for face in (cache[stamps[path]] for path in files) if face is not None]
    designs = {face.digest: face for face in reversed(faces) if _legible(face)}
    return sorted(designs.values(), key=lambda face: (face.family, face.style, face.path))


def usable_faces(
    charset: Sequence[str], held_out: bool = False, folders: Sequence[Path] | None = None
) -> list[Face]:
    """The faces for a charset: those that draw ASCII and those of the French and German letters that it has.

    Args:
        charset: the characters to be learnt.
        held_out: the families kept from training, in place of the others.
        folders: where to look; the system's font folders by default.

    Raises:
        UsageError: where there is none.
    """
    wanted = {char for char in _ACCENTS if char in set(charset)}
    faces = [face for face in index_faces(folders) if face.held_out == held_out and wanted <= face.glyph_set]
    if not faces:
        kept = " among the families held out for development sets" if held_out else ""
        raise UsageError(
            f"No usable font found{kept}. Install some, such as: apt-get install {FONT_PACKAGES}"
        )
    return faces


def _legible(face: Face) -> bool:
    return not _UNREADABLE.search(f"{face.family} {face.style} {Path(face.path).stem}")


def font_files(folders: Sequence[Path], suffixes: Sequence[str] = (".ttf", ".otf")) -> Iterator[str]:
    """The TrueType and OpenType files under `folders`."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.suffix.lower() in suffixes:
                yield str(path)


def _inspect_all(paths: Sequence[str]) -> list[Face | None]:
    if len(paths) < 100:
        return [inspect(path) for path in paths]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(inspect, paths, chunksize=16))


def _stamp(path: str) -> str:
    status = os.stat(path)
    return f"{path}|{status.st_size}|{status.st_mtime_ns}"


def _cache_file() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or (Path.home() / ".cache")
    return Path(base) / "ppocr-beam" / f"fonts-{_INDEX_VERSION}.json"


def _read_cache() -> dict[str, Face | None]:
    try:
        stored = json.loads(_cache_file().read_text(encoding="utf-8"))
        return {stamp: Face(**record) if record else None for stamp, record in stored.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write_cache(cache: dict[str, Face | None]) -> None:
    """Keeps what was seen; a cache folder that cannot be written only costs the next run some seconds."""
    path = _cache_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            json.dump({stamp: asdict(face) if face else None for stamp, face in cache.items()}, file)
        os.replace(file.name, path)
    except OSError as error:
        print(f"The font index could not be kept in {path}: {error}", file=sys.stderr)


class FontBook:
    """Draws faces for texts: each family is as likely as any other, however many styles it has.

    Italics and extreme weights make two files in three but one line in ten of what is printed, so four draws
    in five are among the upright styles alone.
    """

    def __init__(self, faces: Sequence[Face]) -> None:
        kinds: dict[str, Callable[[Face], bool]] = {
            "any": lambda face: True,
            "mono": lambda face: face.mono,
            "plain": lambda face: not face.script,
            "common": lambda face: face.common,
            "bold": lambda face: face.bold,
            "script": lambda face: face.script,
        }
        self._all = list(faces)
        self._families = {
            kind: _by_family([face for face in faces if test(face)]) for kind, test in kinds.items()
        }
        self._upright = {
            kind: _by_family([face for face in faces if test(face) and face.upright])
            for kind, test in kinds.items()
        }

    def pick(self, rng: Random, text: str, kind: str = "any") -> tuple[Face, str]:
        """Chooses a face and drops from a text what even the best face cannot draw.

        Args:
            rng: makes the choice.
            text: what the face must be able to draw.
            kind: any, mono, plain, common, bold or script; any where the machine has none of the kind.
        """
        styles = self._upright if rng.random() < 0.8 else self._families
        families = styles[kind] or self._families[kind] or self._families["any"]
        for _ in range(12):
            face = rng.choice(rng.choice(families))
            if face.draws(text):
                return face, text
        able = [face for face in self._all if face.draws(text)]
        if able:
            return rng.choice(able), text
        face = max(self._all, key=lambda each: (each.cased, len(each.glyph_set.intersection(text))))
        return face, "".join(char for char in text if char in face.glyph_set)


def _by_family(faces: Sequence[Face]) -> list[list[Face]]:
    families: dict[str, list[Face]] = {}
    for face in faces:
        families.setdefault(face.family, []).append(face)
    return list(families.values())
