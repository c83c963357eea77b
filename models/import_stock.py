"""Makes a bundle from stock PP-OCR ONNX files, of v2 to v6, or from another bundle with fewer characters.

What a generation's files leave unsaid (heights, normalisation, thresholds) comes from `GENERATIONS` and can
be overridden; what they can be asked (classes, characters, shapes) is asked of them, by running each once.
"""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from models.bundle import (
    MODELS,
    WHICH_FILE,
    About,
    Bundle,
    DetectionSpec,
    DirectionSpec,
    Manifest,
    ModelFile,
    RecognitionSpec,
    file_sha256,
    list_bundles,
    load_bundle,
    new_part,
    parse_manifest,
    write_bundle,
)
from models.head import keep_characters
from models.records import UsageError
from models.session import Session

_IMAGENET: dict[str, Any] = {
    # PP-OCR applies ImageNet's values, which are listed red first, to channels that are blue first; its
    # weights were trained that way.
    "color": "bgr",
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
_HALF: dict[str, Any] = {"color": "bgr", "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
_WIDTHS = (320, 480, 640, 960, 1280, 1920)


def _defaults(recognition_height: int) -> dict[str, dict[str, Any]]:
    return {
        "detection": _IMAGENET,
        "direction": _HALF,  # the one classifier, of v2.0, goes with every generation
        "recognition": {**_HALF, "height": recognition_height, "widths": _WIDTHS},
    }


GENERATIONS: dict[str, dict[str, dict[str, Any]]] = {
    "v2": _defaults(recognition_height=32),
    "v3": _defaults(recognition_height=48),
    "v4": _defaults(recognition_height=48),
    "v5": _defaults(recognition_height=48),
    "v6": _defaults(recognition_height=48),
}
"""Manifest values by generation and model, where they differ from the defaults of models/bundle.py."""
CLASSIFIER_OF = "latin"
"""The bundle whose direction classifier goes with stock models that come without one, in any script."""


@dataclass(frozen=True, slots=True)
class StockModels:
    """What to make a bundle of.

    Attributes:
        generation: a key of `GENERATIONS`.
        detection: the detector's ONNX file.
        direction: the direction classifier's; None: that of the built-in bundle `CLASSIFIER_OF`.
        recognition: the recogniser's.
        dictionary: a text file, one character a line; None takes them from the recogniser's metadata.
        characters: those to keep, see `keep_characters`; None keeps all, and the file as it is.
        overrides: manifest values that differ from the generation's, by dotted name: `recognition.height`.
    """

    generation: str
    detection: Path
    direction: Path | None
    recognition: Path
    dictionary: Path | None = None
    characters: tuple[str, ...] | None = None
    overrides: dict[str, Any] = field(default_factory=dict)


def import_stock(stock: StockModels, about: About, output: Path) -> Bundle:
    """Writes a bundle: the three files, the recogniser cut down if asked for, and their manifest.

    Args:
        stock: the files, and how they differ from their generation's defaults.
        about: what the manifest says of the whole.
        output: the bundle's folder; must not exist yet, or be empty.

    Raises:
        UsageError: a file is missing or not the model that it is given as, the characters do not fit the
            recogniser's classes or cannot be cut down, an override names nothing or has a value that cannot
            be, or `output` is in use.
        OSError: a file cannot be read, or `output` cannot be written.
    """
    files = {
        "detection": stock.detection,
        "direction": _classifier(stock)[0],
        "recognition": stock.recognition,
    }
    return _write(describe(stock, about), files, stock.characters, output)


def cut_bundle(bundle: Bundle, characters: Collection[str], name: str, output: Path) -> Bundle:
    """Writes a copy of a bundle whose recogniser knows fewer characters; all other values stay.

    Args:
        bundle: whose recogniser gives probabilities.
        characters: those to keep, see `keep_characters`.
        name: of the new bundle.
        output: the new bundle's folder; must not exist yet, or be empty.

    Raises:
        UsageError: the recogniser cannot be cut down, or `output` is in use.
        OSError: a file cannot be read, or `output` cannot be written.
    """
    manifest = bundle.manifest
    if manifest.recognition.output != "probabilities":
        raise UsageError(
            f"bundle {manifest.name!r} tells decisions only; what gives probabilities can be cut"
        )
    if bundle.taken:
        raise UsageError(
            f"bundle {manifest.name!r} is put together of others: cut one of those, and compose it anew"
        )
    specs = {role: replace(getattr(manifest, role), file=f"{role}.onnx") for role in MODELS}
    files = {role: bundle.model_path(getattr(manifest, role)) for role in MODELS}
    return _write(replace(manifest, name=name, package="", **specs), files, characters, output)


def _write(
    manifest: Manifest, files: Mapping[str, Path], characters: Collection[str] | None, output: Path
) -> Bundle:
    """Copies model files and writes their manifest, the recogniser cut to `characters` unless None."""
    aside = new_part(output)
    try:
        for role, path in files.items():
            shutil.copyfile(path, aside / getattr(manifest, role).file)
        if characters is not None:
            recognizer = aside / manifest.recognition.file
            cut = keep_characters(recognizer, manifest.recognition, characters)
            manifest = replace(manifest, recognition=cut)
        write_bundle(manifest, aside)
        aside.replace(output)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return load_bundle(output)


def describe(stock: StockModels, about: About) -> Manifest:
    """The manifest of stock files as they are, after a look at each.

    Raises:
        UsageError: as `import_stock`.
    """
    if stock.generation not in GENERATIONS:
        raise UsageError(f"generation {stock.generation!r} is none of {', '.join(GENERATIONS)}")
    classifier, its_values = _classifier(stock)
    values = _merged({**GENERATIONS[stock.generation], "direction": its_values}, stock.overrides)
    detection = _spec(DetectionSpec, "detection", stock.detection, values)
    direction = _spec(DirectionSpec, "direction", classifier, values)
    recognition = _spec(RecognitionSpec, "recognition", stock.recognition, values)
    manifest = Manifest(**asdict(about), detection=detection, direction=direction, recognition=recognition)
    _check_values(manifest)
    _check_detector(stock.detection, detection)
    _check_classifier(classifier, direction)
    charset = _charset(stock.recognition, stock.dictionary, _count_classes(stock.recognition, recognition))
    return replace(manifest, recognition=replace(recognition, charset=charset))


def _classifier(stock: StockModels) -> tuple[Path, dict[str, Any]]:
    """The direction classifier's file, and the manifest's values for it."""
    if stock.direction is not None:
        return stock.direction, GENERATIONS[stock.generation]["direction"]
    bundle = load_bundle(CLASSIFIER_OF)
    spec = bundle.manifest.direction
    values = {key: value for key, value in asdict(spec).items() if key not in WHICH_FILE}
    return bundle.model_path(spec), values


def _merged(defaults: dict[str, dict[str, Any]], overrides: dict[str, Any]) -> dict[str, dict[str, Any]]:
    values = {model: dict(settings) for model, settings in defaults.items()}
    for name, value in overrides.items():
        model, _, key = name.partition(".")
        if model not in values:
            raise UsageError(f"{name}: there is no model {model!r}, only {', '.join(values)}")
        values[model][key] = value
    return values


_Spec = TypeVar("_Spec", bound=ModelFile)


def _spec(kind: type[_Spec], role: str, path: Path, values: dict[str, dict[str, Any]]) -> _Spec:
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    known = [key.name for key in fields(kind) if key.name not in (*WHICH_FILE, "charset")]
    if unknown := [key for key in values[role] if key not in known]:
        raise UsageError(f"{role}.{unknown[0]}: there is no such value, only {', '.join(known)}")
    return kind(file=f"{role}.onnx", sha256=file_sha256(path), **values[role])


def _check_values(manifest: Manifest) -> None:
    """Checks all values but the charset, before models are run with them."""
    whole = replace(manifest, recognition=replace(manifest.recognition, charset=(" ",)))
    parse_manifest(json.dumps(asdict(whole)).encode(), "--set")


def _run(path: Path, spec: ModelFile, height: int, width: int) -> npt.NDArray[np.float32]:
    """What a model answers to one picture without contrast, its first output."""
    session = Session(path)
    try:
        output: npt.NDArray[np.float32] = session.run(
            np.zeros((1, len(spec.mean), height, width), np.float32)
        )[0]
    except Exception as error:  # ONNX Runtime's own exceptions share no public base
        problem = str(error).splitlines()[0]
        raise UsageError(f"{path} does not take {width} x {height} pixels: {problem}") from None
    return output


def _check_detector(path: Path, spec: DetectionSpec) -> None:
    side = 2 * spec.multiple
    shape = _run(path, spec, side, side).shape
    if shape != (1, 1, side, side):
        raise UsageError(
            f"{path} is not a detector: it answers with an array {shape}, not (1, 1, {side}, {side})"
        )


def _check_classifier(path: Path, spec: DirectionSpec) -> None:
    shape = _run(path, spec, spec.height, spec.width).shape
    if shape != (1, 2):
        raise UsageError(
            f"{path} is not a direction classifier: it answers with an array {shape}, not (1, 2)"
        )


def _count_classes(path: Path, spec: RecognitionSpec) -> int:
    output = _run(path, spec, spec.height, spec.widths[0])
    if output.ndim != 3:
        raise UsageError(
            f"{path} is not a recogniser: it answers with an array {output.shape}, not (1, T, classes)"
        )
    if not np.allclose(output.sum(axis=2), 1, atol=1e-3):
        raise UsageError(f"{path} answers with logits; export the recogniser with its softmax")
    return int(output.shape[2])


def _charset(recognizer: Path, dictionary: Path | None, classes: int) -> tuple[str, ...]:
    """The characters in the order of the classes; PP-OCR puts a space last that no dictionary lists."""
    listed = _read_dictionary(dictionary) if dictionary else _read_metadata(recognizer)
    if classes == len(listed) + 1:
        return listed
    if classes == len(listed) + 2:
        return (*listed, " ")
    raise UsageError(
        f"{dictionary or recognizer} lists {len(listed)} characters, but {recognizer.name} has {classes} "
        f"classes: {classes - 1} characters and the blank, or {classes - 2}, a space and the blank, would fit"
    )


def read_characters(bundle_or_file: str) -> tuple[str, ...]:
    """The characters of a built-in bundle's recogniser, or of a text file that has one a line.

    Raises:
        UsageError: there is neither.
    """
    if bundle_or_file in list_bundles():
        return load_bundle(bundle_or_file, check=False).manifest.recognition.charset
    if not Path(bundle_or_file).exists():
        close = difflib.get_close_matches(bundle_or_file, list_bundles(), n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(list_bundles())}"
        raise UsageError(f"there is no file {bundle_or_file} and no bundle of this name: {hint}")
    return _read_dictionary(Path(bundle_or_file))


def _read_dictionary(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a dictionary in UTF-8, one character a line") from None
    return _split(text)


def _read_metadata(recognizer: Path) -> tuple[str, ...]:
    import onnxruntime as ort

    metadata = ort.InferenceSession(str(recognizer)).get_modelmeta().custom_metadata_map
    if "character" not in metadata:
        raise UsageError(f"{recognizer} does not list its characters; give them with --dictionary FILE")
    return _split(metadata["character"])


def _split(text: str) -> tuple[str, ...]:
    """Lines of text; not `splitlines`, which would also split at characters that a dictionary may list."""
    return tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
