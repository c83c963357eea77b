"""Bundles: a folder with `manifest.json` and ONNX files, everything that a reader needs to know as data.

Where generations of PP-OCR differ (height, normalisation, charset, thresholds) the difference is a value in
the manifest; no code asks for a version. A file whose SHA-256 differs from the manifest's is refused by name.
The format is described in docs/bundles.md.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar, get_args, get_origin, get_type_hints

from models.onnx_file import has_external_data
from models.records import UsageError

FORMAT = 1
MANIFEST = "manifest.json"
MODELS = ("detection", "direction", "recognition")
"""A manifest's models by name."""
SECOND = "second"
"""The name of one that a manifest may have besides."""
SECOND_BELOW = 0.65
"""Below this confidence a second recogniser is asked, unless its bundle or the job says otherwise."""
WHICH_FILE = ("file", "sha256", "bundle", "bundle_id")
"""Values that say which file a model is; the others say how it is used."""
_BUILT_IN = Path(__file__).parent / "bundles"

Color = Literal["bgr", "rgb", "gray"]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One ONNX file of a bundle and how pixels enter it.

    A pixel value v of 0 to 255 enters channel c as `(v / 255 - mean[c]) / std[c]`, channels in `color`'s
    order.

    Attributes:
        file: where the file lies in the bundle's folder.
        sha256: of the file, lower-case hexadecimal.
        color: the order of the channels.
        mean: of each channel.
        std: likewise.
        bundle: the built-in bundle whose file it is; empty: this bundle's own.
        bundle_id: the id that the other bundle must have; empty: any.
    """

    file: str
    sha256: str
    color: Color
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bundle: str = field(default="", kw_only=True)
    bundle_id: str = field(default="", kw_only=True)


@dataclass(frozen=True, slots=True)
class DetectionSpec(ModelFile):
    """The DB detector: (N, C, H, W) in, probability map (N, 1, H, W) out (PP-OCR section 2.1).

    Attributes:
        limit_side: `longest` bounds the longest side by `limit` (shrinks only; of a page longer than three
            widths, these three), `shortest` raises the shortest side to `limit` (enlarges only). So large is
            the first look at a page; see `models.scales` for others.
        limit: that bound in pixels.
        multiple: sides are rounded to a multiple of it.
        threshold: probability from which a pixel is text.
        box_threshold: mean probability from which a region is kept.
        unclip_ratio: how far a region is grown: distance = area x ratio / perimeter.
        max_candidates: most regions looked at on an ordinary page; as many more as a page has more tiles.
        min_side: regions with a shorter side than this, in pixels of the map, are dropped.
    """

    limit_side: Literal["longest", "shortest"] = "longest"
    limit: int = 960
    multiple: int = 32
    threshold: float = 0.3
    box_threshold: float = 0.6
    unclip_ratio: float = 1.5
    max_candidates: int = 1000
    min_side: float = 3.0


@dataclass(frozen=True, slots=True)
class DirectionSpec(ModelFile):
    """The direction classifier: (N, C, height, width) in, probabilities (N, 2) of 0 and 180 degrees out.

    Attributes:
        threshold: a line is turned where the probability of 180 degrees exceeds it.
    """

    height: int = 48
    width: int = 192
    threshold: float = 0.9


@dataclass(frozen=True, slots=True)
class RecognitionSpec(ModelFile):
    """The CTC recogniser: (N, C, height, W) in.

    Class 0 is CTC's blank, class i is `charset[i - 1]`.

    Attributes:
        output: `probabilities`: one output (N, T, classes); `candidates`: two outputs, the best classes
            (N, T, K) int64 of each step, the best one first, and their probabilities (N, T, K) float32;
            `decision`: the same of the best one alone, (N, T).
        widths: the fixed widths that crops are padded to, ascending; a wider crop is read in parts of the
            last one.
        charset: the characters, in the order of the classes.
        margin: part of a polygon's height by which its crop reaches beyond it on every side; recognisers read
            better with some air around the letters than polygons that fit tightly leave.
        squeeze: part of its width that a crop loses at most to fit into a narrower one of `widths`; 0: none.
        least_height: lines lower than this are enlarged to it while they are cut out, see
            `models.geometry.crop_quad`; 0: never, as the references do.
        min_confidence: lines whose characters have a lower mean probability are dropped; by default half, as
            the references do. Networks differ in how sure they are of what is no text.
        confidence_scale: of two values that make of a line's certainty the chance that it is right, see
            `models.ctc.chance`; 1 with a shift of 0: the bundle is not calibrated. `ppocr-train calibrate`
            finds them, on labelled pages.
        confidence_shift: likewise.
        review_threshold: a line needs review where the chance that it is right is less, or, of a bundle that
            is not calibrated, the probability of one of its characters; or where `models.doubt` has a
            reason. 0: never.
        cell_gap: lines are cut between words that stand unusually far apart, this many heights of the line at
            least, see `models.cells.cells`; 0: never.
        language_weight: of the language model in the recogniser's file, beside the recogniser's own
            probabilities, see `models.beam`; 0: it is not asked.
        language_bonus: added for each character, since every one makes a text less likely.
    """

    height: int = 48
    output: Literal["probabilities", "candidates", "decision"] = "probabilities"
    widths: tuple[int, ...] = ()
    charset: tuple[str, ...] = ()
    margin: float = 0.0
    squeeze: float = 0.0
    least_height: int = 0
    min_confidence: float = 0.5
    confidence_scale: float = 1.0
    confidence_shift: float = 0.0
    review_threshold: float = 0.6
    cell_gap: float = 0.0
    language_weight: float = 0.0
    language_bonus: float = 0.0

    @property
    def calibrated(self) -> bool:
        """Whether a line's confidence is the chance that it is right."""
        return (self.confidence_scale, self.confidence_shift) != (1.0, 0.0)


@dataclass(frozen=True, slots=True)
class About:
    """What a manifest says of the whole, for people.

    Attributes:
        name: of the bundle.
        license: of the models; SPDX.
        languages: that it reads; codes such as en.
        trained_on: names of data sets.
        description: one sentence.
        source: where the models came from.
    """

    name: str
    license: str = "Apache-2.0"
    languages: tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    description: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `manifest.json` says; what is not described here is described by `About`.

    Attributes:
        package: name of an installed package whose data files the models are (one that is in no other), or
            empty where they lie beside the manifest. It is found, not imported.
        second: the recogniser that reads the lines again of which the first is not sure; None: none does.
        second_below: a line is read again where the first recogniser's confidence is less.
    """

    name: str
    license: str
    languages: tuple[str, ...]
    trained_on: tuple[str, ...]
    detection: DetectionSpec
    direction: DirectionSpec
    recognition: RecognitionSpec
    description: str = ""
    source: str = ""
    package: str = ""
    second: RecognitionSpec | None = None
    second_below: float = SECOND_BELOW
    format: int = FORMAT

    @property
    def models(self) -> tuple[ModelFile, ...]:
        """Its models, in the order of `MODELS`, and the second recogniser where there is one."""
        first = (self.detection, self.direction, self.recognition)
        return first if self.second is None else (*first, self.second)

    @property
    def one_channel(self) -> bool:
        """Whether all models take grey, so that pages need no colour."""
        return all(model.color == "gray" for model in self.models)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A loaded bundle.

    Attributes:
        manifest: what it says, with the values of models that are taken from other bundles filled in.
        folder: of its own files.
        id: the SHA-256 of the manifest's bytes, or, where models are taken from other bundles, of those bytes
            and the other bundles' ids.
        taken: files of models that have a `bundle`, by digest.
    """

    manifest: Manifest
    folder: Path
    id: str
    taken: Mapping[str, Path] = field(default_factory=dict)

    def model_path(self, model: ModelFile) -> Path:
        """Path of one of the bundle's model files."""
        return self.taken[model.sha256] if model.bundle else self.folder / model.file


def list_bundles() -> dict[str, Path]:
    """Names of the bundles inside the package and the folders of their manifests, sorted by name."""
    return {path.parent.name: path.parent for path in sorted(_BUILT_IN.glob(f"*/{MANIFEST}"))}


def load_bundle(name_or_folder: str | Path, *, check: bool = True) -> Bundle:
    """Loads a bundle's manifest and, unless told otherwise, checks its files' digests.

    Args:
        name_or_folder: the name of a built-in bundle, or a local folder that holds a manifest.
        check: read every model file and compare its SHA-256. Workers, which get a bundle that the driver has
            checked, may skip it.

    Raises:
        UsageError: there is no such bundle, its manifest is not one, its models' package is not installed,
            or a file is missing or differs from the manifest's digest.
    """
    folder = list_bundles().get(str(name_or_folder), Path(name_or_folder))
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError:
        known = ", ".join(list_bundles()) or "none"
        raise UsageError(
            f"bundle {str(name_or_folder)!r}: no {MANIFEST} there; give a folder that holds one, "
            f"or one of: {known}"
        ) from None
    manifest = parse_manifest(data, str(folder / MANIFEST))
    others = {model.bundle: _part(model.bundle) for model in manifest.models if model.bundle}
    taken = {
        model.sha256: others[model.bundle].folder / model.file for model in manifest.models if model.bundle
    }
    identity = _digest_of(data, *(other.id.encode() for other in others.values()))
    bundle = Bundle(manifest, _files_folder(manifest, folder), identity, taken)
    if check:
        for problem in verify(bundle):
            raise UsageError(f"bundle {manifest.name!r}: {problem}")
    return bundle


def _part(name: str) -> Bundle:
    """A bundle from which another one takes models.

    Raises:
        UsageError: there is no built-in bundle of this name, it is put together itself, or its models'
            package is not installed.
    """
    folder = list_bundles().get(name)
    if folder is None:
        raise UsageError(f"there is no built-in bundle {_shown(name)}: a model is taken from one of those")
    data = (folder / MANIFEST).read_bytes()
    manifest = _kept_manifest(data, str(folder / MANIFEST))
    if any(model.bundle for model in manifest.models):
        raise UsageError(f"{name} is put together itself: name the bundle that it takes the model from")
    return Bundle(manifest, _files_folder(manifest, folder), _digest_of(data))


def with_second(bundle: Bundle, other: Bundle) -> Bundle:
    """A bundle with the recogniser of another one as its second; its id covers both."""
    theirs = other.manifest.recognition
    second = replace(theirs, bundle=other.manifest.name, bundle_id=other.id)
    taken = {**bundle.taken, second.sha256: other.model_path(theirs)}
    identity = _digest_of(bundle.id.encode(), other.id.encode())
    name = f"{bundle.manifest.name} + {other.manifest.name}"
    return Bundle(replace(bundle.manifest, name=name, second=second), bundle.folder, identity, taken)


def _digest_of(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def verify(bundle: Bundle) -> list[str]:
    """What is wrong with a bundle's files: a sentence for each that is missing or differs from its digest."""
    problems = []
    for model in bundle.manifest.models:
        path = bundle.model_path(model)
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif (digest := file_sha256(path)) != model.sha256:
            problems.append(
                f"{path} is not the file that the manifest names "
                f"(SHA-256 {digest[:12]}…, not {model.sha256[:12]}…)"
            )
        elif has_external_data(path.read_bytes()):
            problems.append(
                f"{path} keeps weights in other files, of which there is no digest: store them in it"
            )
    return problems


def new_part(output: Path) -> Path:
    """The empty folder beside a new bundle's in which it is made, to get its name when it is whole.

    Raises:
        UsageError: `output` is in use.
    """
    # `.` has no name that a folder beside it could get, even where it is empty.
    if not output.name or output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output} exists already; name a new folder for the bundle")
    part = output.with_name(f"{output.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def write_bundle(manifest: Manifest, folder: Path) -> Bundle:
    """Writes `manifest.json` beside model files that are in `folder`, and loads the result with all checks.

    Raises:
        UsageError: a model file is missing or differs from the manifest's digest.
    """
    return write_manifest(asdict(manifest), folder)


def write_manifest(values: Mapping[str, Any], folder: Path) -> Bundle:
    """Writes `manifest.json` of these values, and loads the result with all checks.

    Raises:
        UsageError: a value cannot be, or a model file is missing or differs from its digest.
    """
    text = json.dumps(values, ensure_ascii=False, indent=1)
    aside = folder / f"{MANIFEST}.part"
    aside.write_text(text + "\n", encoding="utf-8")
    aside.replace(folder / MANIFEST)
    return load_bundle(folder)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, lower-case hexadecimal."""
    with path.open("rb") as file:
        return (
            hashlib.file_digest(file, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else _digest(file)
        )


def _digest(file: BinaryIO) -> str:
    """What `hashlib.file_digest` does, for Python 3.10."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def parse_manifest(data: bytes, origin: str) -> Manifest:
    """Reads a manifest and checks each value's type and range.

    Args:
        data: the bytes of `manifest.json`.
        origin: where they came from, for messages.

    Raises:
        UsageError: names `origin` and what is wrong.
    """
    try:
        raw = json.loads(data)
        if raw.get("format") != FORMAT:
            raise UsageError(
                f"format is {raw.get('format')!r}, this version reads {FORMAT}: upgrade one of the two"
            )
        specs = {
            name: _record(spec, _completed(raw[name], name), f"{name}.")
            for name, spec in _SPECS.items()
            if name in MODELS or raw.get(name) is not None
        }
        manifest = _record(Manifest, {**raw, **specs})
        _check(manifest)
    except UsageError as error:
        raise UsageError(f"{origin}: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{origin} is not a bundle's manifest: {type(error).__name__}: {error}") from None
    return manifest


_kept_manifest = functools.lru_cache(maxsize=4)(parse_manifest)
"""The same, once for each content: several models may be of one bundle, whose charset may be long."""


def _completed(values: dict[str, Any], name: str) -> dict[str, Any]:
    """A model's values, with those of the bundle that it is taken from in the place of what is not said.

    Raises:
        UsageError: it cannot be taken from there.
    """
    if not values.get("bundle"):
        return values
    try:
        other = _part(values["bundle"])
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    if (wanted := values.get("bundle_id")) and wanted != other.id:
        raise UsageError(
            f"{name} is of the bundle {values['bundle']} with the id {_shown(wanted)}, and the one installed "
            f"has {other.id[:12]}…: compose the bundle again, or install the version that it was made with"
        )
    return {**asdict(getattr(other.manifest, counterpart(name))), **values}


def counterpart(name: str) -> str:
    """The model of another bundle that a model is taken from: a second recogniser is the other's first."""
    return "recognition" if name == SECOND else name


_LARGEST = 1e9
"""No number in a manifest is larger, either way; nor is one infinite or NaN, which Python's JSON may hold."""
_LEAST_STD = 1e-6
_SHOWN = 60
"""Characters of a wrong value that a message shows."""
_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which cannot be written to any file."""
_SIDE = (1, 10_000)
"""Pixels."""
_PART = (0, 1)
_RECOGNITION: dict[str, tuple[float, float]] = {
    "height": _SIDE,
    "widths": (1, 100_000),
    "margin": (0, 10),
    "squeeze": _PART,
    "least_height": (0, 10_000),
    "min_confidence": _PART,
    "review_threshold": _PART,
    "cell_gap": (0, 10_000),
    "language_weight": (0, 10),
    "language_bonus": (0, 10),
}
_BOUNDS: dict[str, dict[str, tuple[float, float]]] = {
    "detection": {
        "limit": _SIDE,
        "multiple": (1, 1024),
        "threshold": _PART,
        "box_threshold": _PART,
        "unclip_ratio": (0, 100),
        "max_candidates": (1, 1_000_000),
        "min_side": (0, 10_000),
    },
    "direction": {"height": _SIDE, "width": _SIDE, "threshold": _PART},
    "recognition": _RECOGNITION,
    SECOND: _RECOGNITION,
}
"""The least and the most that the numbers of models may be."""
_SPECS: dict[str, type[ModelFile]] = {
    "detection": DetectionSpec,
    "direction": DirectionSpec,
    "recognition": RecognitionSpec,
    SECOND: RecognitionSpec,
}
_Record = TypeVar("_Record")


def _record(kind: type[_Record], values: dict[str, Any], section: str = "") -> _Record:
    """Builds a dataclass from JSON values: unknown keys are refused, lists become tuples."""
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - known):
        raise UsageError(f"unknown key {unknown[0]!r}")
    wanted = get_type_hints(kind)
    typed = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    for key, value in typed.items():
        if not _fits(value, wanted[key]):
            raise UsageError(f"{section}{key} is {_shown(value)}, which is not of the kind {wanted[key]}")
    return kind(**typed)


def _shown(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _fits(value: object, wanted: Any) -> bool:
    """Whether a JSON value is of an annotated type; whole numbers are fine where a float is wanted."""
    if get_origin(wanted) is tuple:
        return isinstance(value, tuple) and all(_fits(item, get_args(wanted)[0]) for item in value)
    if get_origin(wanted) is Literal:
        return isinstance(value, str) and value in get_args(wanted)
    if wanted in (int, float):
        return isinstance(value, (int, wanted)) and not isinstance(value, bool) and abs(value) <= _LARGEST
    return isinstance(value, wanted) and not (isinstance(value, str) and _SURROGATE.search(value))


def _check(manifest: Manifest) -> None:
    for model in manifest.models:
        channels = 1 if model.color == "gray" else 3
        if len(model.mean) != channels or len(model.std) != channels:
            raise UsageError(
                f"{model.file}: color {model.color!r} needs {channels} values of mean and of std"
            )
        if min(model.std) < _LEAST_STD:
            raise UsageError(f"{model.file}: std must not be below {_LEAST_STD}")
        if Path(model.file).is_absolute() or ".." in Path(model.file).parts:
            raise UsageError(f"{model.file}: a model file must lie inside the bundle")
    if not manifest.name.isprintable():
        raise UsageError(f"name is {_shown(manifest.name)}, which cannot be printed")
    for name, bounds in _BOUNDS.items():
        if spec := getattr(manifest, name):
            _check_bounds(name, spec, bounds)
    _check_recognition("recognition", manifest.recognition)
    if manifest.second is not None:
        _check_recognition(SECOND, manifest.second)
    if not 0 <= manifest.second_below <= 1:
        raise UsageError("second_below must be from 0 to 1")


def _check_bounds(name: str, spec: ModelFile, bounds: Mapping[str, tuple[float, float]]) -> None:
    for key, (least, most) in bounds.items():
        value = getattr(spec, key)
        if not all(least <= number <= most for number in (value if isinstance(value, tuple) else (value,))):
            raise UsageError(f"{name}.{key} must be from {least:g} to {most:g}")


def _check_recognition(name: str, spec: RecognitionSpec) -> None:
    if not spec.charset or any(not isinstance(char, str) or not char for char in spec.charset):
        raise UsageError(f"{name}.charset must be a list of non-empty strings")
    if not spec.widths or list(spec.widths) != sorted(set(spec.widths)):
        raise UsageError(f"{name}.widths must be a non-empty ascending list")
    if spec.confidence_scale <= 0:
        raise UsageError(f"{name}.confidence_scale must be a number above 0")
    if spec.squeeze == 1:
        raise UsageError(f"{name}.squeeze must be below 1")


def _files_folder(manifest: Manifest, folder: Path) -> Path:
    if not manifest.package:
        return folder
    found = None
    if manifest.package.isidentifier():  # of one inside another Python would run the other to find it
        with contextlib.suppress(ImportError, ValueError):
            found = importlib.util.find_spec(manifest.package)
    if found is None or found.origin is None:
        raise UsageError(
            f"bundle {manifest.name!r}: its models are in the Python package {manifest.package!r}, "
            f"which is not installed; pip install 'ppocr-beam[{manifest.name.partition('-')[0]}]'"
        )
    return Path(found.origin).parent
