from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.bundle import MODELS, About, Bundle, load_bundle
from models.compose import Composition, compose
from models.records import UsageError
from tests.training.tiny import CHARSET, NETWORKS, tiny_models
from training.__main__ import main
from training.bundle import Limits, make_bundle
from training.config import Choice
from training.data.labels import LabelledImage, Region, read_labels, write_labels
from training.data.lines import SyntheticSource
from training.data.split import hold_out
from training.evaluation.comparison import measure, score_model, write_report
from training.finetuning import sets as made_sets
from training.finetuning.blend import Blend, advice, blended, curve, walk_back
from training.finetuning.configure import configure, frozen
from training.finetuning.result import Candidate, ModelFile, choose_share, report_folder, require_better
from training.finetuning.run import finetune
from training.finetuning.sets import Sets, new_characters
from training.finetuning.wish import Wish, claim_work
from training.networks import build_network
from training.recover import Start
from training.specimen import specimen
from training.synthesis.fonts import built_in_face


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """An untrained bundle of small networks, put together as `ppocr-train bundle` does."""
    folder = tmp_path_factory.mktemp("tiny")
    models = tiny_models(folder, {})
    about = About("tiny", "MIT", ("en",), ("ICDAR SROIE 2019",))
    settings = {"recognition.margin": 0.05, "detection.limit": 640}
    return make_bundle(models, about, folder / "tiny", overrides=settings, limits=Limits(least_words=0))


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Four pages of three lines each, with labels of 13 known characters and one new."""
    folder = tmp_path / "my"
    folder.mkdir()
    images = []
    for number in range(4):
        sheet = np.full((120, 240, 3), 250, np.uint8)
        regions = []
        for row, text in enumerate(("abc 12", "fed 3", "Äbc")):
            y = 10 + 36 * row
            cv2.putText(
                sheet, text.replace("Ä", "A"), (12, y + 22), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2
            )
            regions.append(Region(text, ((8.0, y), (130.0, y), (130.0, y + 28.0), (8.0, y + 28.0))))
        cv2.imwrite(str(folder / f"{number}.png"), sheet)
        images.append(LabelledImage(folder / f"{number}.png", tuple(regions)))
    write_labels(images, folder / "Label.txt")
    return folder


@pytest.fixture
def few_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few made pages and lines, in the face that Pillow brings."""
    monkeypatch.setattr(made_sets, "MADE", 1)
    monkeypatch.setattr(made_sets, "MADE_HELD_OUT", 1)
    for place in ("training.finetuning.sets", "training.synthesis.command", "training.synthesis.lines"):
        monkeypatch.setattr(f"{place}.usable_faces", lambda *_: [built_in_face()])
    monkeypatch.setattr("training.tasks.recognition.SyntheticSource", partial(SyntheticSource, size=64))


def wish(bundle: Bundle, pages: Path, **changes: object) -> Wish:
    own = Wish(str(bundle.folder), pages, pages.parent / "mine", pages.parent / "work")
    return replace(own, **changes)  # type: ignore[arg-type]


def test_a_bundle_with_two_recognisers_is_refused(bundle: Bundle, pages: Path, tmp_path: Path) -> None:
    roles = dict.fromkeys((*MODELS, "second"), str(bundle.folder))
    both = compose(Composition(roles), About("both"), tmp_path / "both")
    with pytest.raises(UsageError, match="has two recognisers: tune a bundle with one, and compose it anew"):
        finetune(wish(both, pages))
    assert not (pages.parent / "mine").exists()


@pytest.mark.slow
def test_models_are_tuned_into_a_bundle(
    bundle: Bundle,
    pages: Path,
    few_pages: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # three steps make nothing better
    monkeypatch.setattr("training.finetuning.result.require_better", lambda *_, **__: None)
    output, tuned = pages.parent / "mine", ("direction", "recognition")
    command = ["finetune", "--bundle", str(bundle.folder), "--data", str(pages), "--output", str(output)]
    command += ["--model", *tuned, "--held_out", "0.25", "--trained_on", "ours"]
    command += ["--steps", "3", "validate_every=3", "threads=1", "loggers=[]", "accelerator=cpu"]
    with pytest.raises(SystemExit):
        main([*command, "--modle", "recognition"])
    assert main(command) == 0
    manifest = load_bundle(output).manifest
    assert (manifest.name, manifest.license, manifest.languages) == ("mine", "MIT", ("en",))
    assert manifest.trained_on == ("ICDAR SROIE 2019", "made lines and pages", "ours (3 images)")
    assert "".join(manifest.recognition.charset) == CHARSET[1:] + "Ä"
    assert (manifest.recognition.margin, manifest.detection.limit) == (0.05, 640)
    same = [m for m in MODELS if getattr(manifest, m).sha256 == getattr(bundle.manifest, m).sha256]
    assert same == ["detection"]
    work = pages.parent / "mine.work"
    assert not (work / "candidate").exists()
    report = json.loads((work / "report" / "mine" / "report.json").read_text("utf-8"))
    assert report["characters added"] == "Ä (4 lines)"
    assert set(report["scores"]) == {"yours, held out", "made, held out"}
    for model, decisive, kept in (
        ("recognition", "lines, 1-NED", "lines, exact"),
        ("direction", "direction", "direction"),
    ):  # the share was chosen by what the report says
        curve = report[f"{model}, share of the way: scores on yours, made"]
        for tried, side in (curve.split("; ")[0], "before"), (curve.split("; ")[-1], "after"):
            yours, made = (report["scores"][f"{part}, held out"][side] for part in ("yours", "made"))
            assert tried.partition(": ")[2] == f"{yours[decisive]:.4f}, {made[kept]:.4f}"
    assert "| yours, held out: 3 lines | lines, exact |" in capsys.readouterr().out
    text = (work / "report" / "mine" / "report.md").read_text("utf-8")
    pictures = [part.split(")")[0] for part in text.split("![](")[1:]]
    assert "page_0.png" in pictures and "line_00.png" in pictures
    assert all((work / "report" / "mine" / name).is_file() for name in pictures)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param({"overrides": ("stepss=3",)}, "unknown key stepss", id="a setting"),
        pytest.param(
            {"overrides": ("schedule.options.warmup=5",)},
            "cosine_decay has no option 'warmup'",
            id="a schedule",
        ),
        pytest.param({"overrides": ("network.options.mixer=3",)}, "line_net: .*mixer", id="a network"),
        pytest.param({"overrides": ("data.augment=[bad]",)}, "no 'bad'; there are bda", id="an augmentation"),
        pytest.param({"freeze": ("nowhere",)}, "--freeze nowhere: no such layer", id="a layer"),
    ],
)
def test_what_is_misspelt_is_told_before_anything_is_made(
    bundle: Bundle, pages: Path, asked: dict[str, tuple[str, ...]], said: str
) -> None:
    own = wish(bundle, pages, **asked)
    with pytest.raises(UsageError, match=said):
        finetune(own)
    assert not own.work.exists()


def test_the_same_command_goes_on_and_another_is_refused(
    bundle: Bundle, pages: Path, few_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("steps=4", "validate_every=2", "threads=1", "loggers=[]", "accelerator=cpu", "data.block=1")
    own = wish(bundle, pages, overrides=settings, regularization=0.0, max_minutes=1e-6)
    monkeypatch.setattr("training.tasks.loop.Keeper.on_train_batch_start", _stand_still)
    assert finetune(own) is None
    assert finetune(replace(own, max_loss=0.5)) is None  # another bound is the same run
    first = (own.work / "recognition" / "start.safetensors").stat().st_mtime_ns
    with pytest.raises(UsageError, match="was begun with other held_out, freeze"):
        finetune(replace(own, freeze=("stages.0",), held_out=0.5))
    with pytest.raises(UsageError, match=r"no better on your held-out images \(lines, 1-NED .* before"):
        finetune(replace(own, max_minutes=0.0))
    assert not own.output.exists()
    assert (own.work / "recognition" / "start.safetensors").stat().st_mtime_ns == first
    assert not (own.work / "made").exists() and (own.work / "report" / "mine" / "report.md").is_file()


def test_a_model_is_left_out_and_the_others_are_not_trained_again(
    bundle: Bundle, pages: Path, few_pages: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("steps=1", "validate_every=1", "threads=1", "loggers=[]", "accelerator=cpu")
    first = bundle.folder.parent / "direction.safetensors"
    own = wish(bundle, pages, models=("direction", "recognition"), overrides=settings, regularization=0.0)
    monkeypatch.setattr("training.finetuning.run.conclude", lambda *given: sorted(given[3]))
    assert finetune(replace(own, starts=(first,))) == ["direction", "recognition"]
    trained = (own.work / "recognition" / "last.safetensors").stat().st_mtime_ns
    alone = replace(own, models=("recognition",))
    assert finetune(alone) == ["recognition"]
    assert (own.work / "recognition" / "last.safetensors").stat().st_mtime_ns == trained
    with pytest.raises(UsageError, match="direction was begun with other start"):
        finetune(own)


def _stand_still(_self: object, trainer: object, *_: object) -> None:
    for group in trainer.optimizers[0].param_groups:  # type: ignore[attr-defined]
        group["lr"] = 0.0


def start() -> Start:
    name, options, _ = NETWORKS["recognition"]
    return Start(Choice(name, options), build_network(name, options).state_dict(), tuple(CHARSET[1:]))


def test_configuration_says_what_the_bundle_says(bundle: Bundle, pages: Path) -> None:
    images = read_labels(pages).images
    sets = Sets(pages.parent, images, images, True, images)
    own = wish(bundle, pages, regularization=0.25, freeze=("stages.0",), overrides=("steps=7",))
    config = configure(own, bundle, "recognition", start(), sets)
    spec = bundle.manifest.recognition
    assert (config.steps, config.freeze, config.fixed_norms) == (7, ("stages.0", "stages.0.*"), True)
    assert (config.data.charset, config.data.shape.widths) == (CHARSET, spec.widths)
    assert [source.weight for source in config.data.sources] == [0.75, 0.125, 0.125]
    assert [source.keep for source in config.data.sources] == [False, True, True]
    assert config.data.before == str(own.work.resolve() / "recognition" / "before.safetensors")
    assert [dev.name for dev in config.data.dev] == ["yours", "made"]
    alone = configure(replace(own, regularization=0.0), bundle, "recognition", start(), sets)
    assert [source.weight for source in alone.data.sources] == [1.0] and not alone.data.before
    detector = configure(replace(own, freeze=()), bundle, "detection", start(), sets).data
    assert (detector.warp.limit, detector.post.limit, detector.sources[1].weight) == (640, 640, 0.25)
    grey = replace(bundle.manifest.detection, color="gray", mean=(0.5,), std=(0.25,))
    grey_bundle = replace(bundle, manifest=replace(bundle.manifest, detection=grey))
    pixels = configure(replace(own, freeze=()), grey_bundle, "detection", start(), sets).data.pixels
    assert (pixels.color, pixels.mean, pixels.std) == ("gray", (0.5,), (0.25,))
    direction = configure(replace(own, freeze=()), bundle, "direction", start(), sets).data
    assert (direction.height, direction.color, direction.threshold) == (32, "gray", 0.9)


def test_layers_are_frozen_by_name() -> None:
    assert frozen(["neck.0"], start()) == ["neck.0", "neck.0.*"]
    with pytest.raises(UsageError, match="--freeze neck.9: no such layer; there are stages.0, .*classifier"):
        frozen(["neck.9"], start())


def test_characters_come_from_labels_or_a_file(bundle: Bundle, pages: Path, tmp_path: Path) -> None:
    images = read_labels(pages).images
    own = wish(bundle, pages)
    assert new_characters(own, CHARSET[1:], images) == Counter({"Ä": 4})
    (tmp_path / "more.txt").write_text("a\nÖ\nÄ\n", "utf-8")
    assert list(new_characters(replace(own, charset=str(tmp_path / "more.txt")), CHARSET[1:], images)) == [
        "Ö",
        "Ä",
    ]
    (tmp_path / "none.txt").write_text("a\n", "utf-8")
    assert not new_characters(replace(own, charset=str(tmp_path / "none.txt")), CHARSET[1:], images)


def test_what_cannot_be_done_is_said_before_anything_is_written(
    bundle: Bundle, pages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = wish(bundle, pages)
    lines = pages.parent / "lines"
    lines.mkdir()
    for number in range(3):
        cv2.imwrite(str(lines / f"{number}.png"), np.full((32, 90), 200, np.uint8))
    (lines / "rec_gt.txt").write_text("".join(f"{number}.png\tabc\n" for number in range(3)))
    with pytest.raises(UsageError, match="holds lines, not pages: a detector"):
        finetune(replace(own, labels=lines, models=("detection",)))
    (lines / "1.png").write_bytes(b"no image")
    (lines / "2.png").unlink()
    with pytest.raises(UsageError, match="has 1 usable images"):
        finetune(replace(own, labels=lines))
    with pytest.raises(
        UsageError, match="--start holds a recognition checkpoint, but --model asks for direction"
    ):
        path = bundle.folder.parent / "recognition.safetensors"
        finetune(replace(own, starts=(path,), models=("direction",)))
    (first, *_) = read_labels(pages).images
    (pages / "more").mkdir()
    again = replace(first, path=pages / "more" / first.path.name)
    again.path.write_bytes(first.path.read_bytes())
    write_labels([first, again], pages / "twice.txt")
    with pytest.raises(UsageError, match="another image of the set has that name too"):
        finetune(replace(own, labels=pages / "twice.txt"))
    own.output.mkdir()
    (own.output / "mine").touch()
    with pytest.raises(UsageError, match="exists already"):
        finetune(own)
    assert not own.work.exists()

    def none(*_: object) -> None:
        raise UsageError("No usable font found")

    monkeypatch.setattr(made_sets, "usable_faces", none)
    with pytest.raises(
        UsageError, match=r"needs fonts, and this machine has none: install some \(docs/fonts.txt"
    ):
        finetune(replace(own, output=own.output / "new"))


def test_blend_is_part_of_the_way_to_the_tuned_weights() -> None:
    old = {"a": torch.tensor([1.0, 2.0]), "seen": torch.tensor(3)}
    new = {"a": torch.tensor([2.0, 6.0]), "seen": torch.tensor(5)}
    half = blended(old, new, 0.25)
    assert half["a"].tolist() == [1.25, 3.0] and half["seen"] == 5
    assert torch.equal(blended(old, new, 1.0)["a"], new["a"])


def test_the_way_back_ends_where_made_text_is_kept() -> None:
    def ask(share: float) -> Blend:
        return Blend(share, 0.4 + share / 2, 0.8 - share**2 / 10)

    assert [each.share for each in walk_back(ask, 0.05)] == [0.0, 1.0, 0.9, 0.8, 0.7]
    assert [each.share for each in walk_back(ask, 1.0)] == [0.0, 1.0]
    assert walk_back(ask, -1.0)[-1].share == 0.1  # nothing keeps it: the shortest way
    assert curve(walk_back(ask, 0.1)) == "0: 0.4000, 0.8000; 1: 0.9000, 0.7000"


def test_advice_says_what_more_would_give_and_how_to_get_it() -> None:
    scores = {
        0.0: (0.65, 0.607),
        1.0: (0.983, 0.594),
        0.9: (0.97, 0.593),
        0.8: (0.9, 0.599),
        0.7: (0.779, 0.603),
    }
    tried = [Blend(share, *of_both) for share, of_both in scores.items()]
    said = advice("recognition", tried, 0.005, Path("mine.work"))
    assert "went 0.7 of the way" in said and "--max_loss 0.005 allows" in said
    rows = [row for row in said.splitlines() if row.startswith("| 0") or row.startswith("| 1")]
    assert rows == [
        "| 1 | 0.9830 | 1.3 | --max_loss 0.0131 |",
        "| 0.9 | 0.9700 | 1.4 | - |",
        "| 0.8 | 0.9000 | 0.8 | --max_loss 0.0081 |",
        "| 0.7 | 0.7790 | 0.4 | taken |",
    ]
    assert "--work mine.work and another --output trains nothing again" in said
    by_share = {each.share: each for each in tried}
    for bound, share in ((0.0131, 1.0), (0.0081, 0.8)):  # what is advised does what it says
        assert walk_back(by_share.__getitem__, bound)[-1].share == share
    whole = advice("recognition", tried[:2], 0.02, Path("mine.work"))
    assert (
        "all the way" in whole and "lost 1.3 points of made text" in whole and "smaller --max_loss" in whole
    )


def test_each_output_of_a_work_folder_has_its_report(bundle: Bundle, pages: Path) -> None:
    own = wish(bundle, pages)
    other = replace(own, output=own.output.with_name("other"))
    assert report_folder(own) != report_folder(other)


def test_changed_labels_are_another_run(bundle: Bundle, pages: Path) -> None:
    own = wish(bundle, pages)
    claim_work(own, bundle, read_labels(pages).images, {})
    claim_work(own, bundle, read_labels(pages).images, {})
    with pytest.raises(UsageError, match="other labels: remove it, or give another --work"):
        claim_work(own, bundle, read_labels(pages).images[1:], {})


def test_only_a_better_model_is_kept(bundle: Bundle, pages: Path, tmp_path: Path) -> None:
    before = measure(bundle.folder, read_labels(pages).images)
    assert before.scores.keys() == {
        "lines, exact",
        "lines, 1-NED",
        "direction",
        "detection H-mean",
        "word F1",
    }
    better = replace(before, scores={name: value + 0.1 for name, value in before.scores.items()})
    for model in MODELS:
        require_better(model, before, better, 0.4, report=tmp_path)
        with pytest.raises(UsageError, match=rf"the tuned {model} model is no better .* Leave it out"):
            require_better(model, better, before, 1.0, report=tmp_path)
        with pytest.raises(UsageError, match=r"Only 0.4 of the way was gone: give a larger --max_loss"):
            require_better(model, better, before, 0.4, report=tmp_path)


def test_a_model_goes_as_far_as_made_text_is_kept(
    bundle: Bundle, pages: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    images = read_labels(pages).images
    put, made = [], dict[float, float]()

    def put_together(candidate: Candidate, tuned: dict[str, Path]) -> Path:
        (put_in,) = tuned.values()
        put.append(float(put_in.name))
        return put_in

    def score(folder: str | Path, model: str, shown: tuple[LabelledImage, ...]) -> dict[str, float]:
        share = 0.0 if str(folder) == str(bundle.folder) else float(Path(folder).name)
        assert model == "recognition" and shown in (images[:1], images[1:])
        return {"lines, 1-NED": 0.5 + share / 10, "lines, exact": made[share]}

    monkeypatch.setattr(Candidate, "put_together", put_together)
    monkeypatch.setattr("training.finetuning.result.score_model", score)
    monkeypatch.setattr(
        "training.finetuning.result.exported", lambda _, share: ModelFile(Path(str(share)), "int8")
    )
    own = wish(bundle, pages, max_loss=0.005)
    candidate = Candidate(own, bundle, About("tiny", "MIT", ("en",), ("ours",)))
    sets = Sets(pages, images, images[:1], True, images[1:])
    made.update({0.0: 0.8, 1.0: 0.78, 0.9: 0.79, 0.8: 0.796, 0.7: 0.8})
    with caplog.at_level("INFO", "training.finetuning.result"):
        assert choose_share(candidate, sets, "recognition", pages)[-1] == Blend(0.8, 0.58, 0.796)
    first, *others = caplog.messages
    assert first == f"recognition: how far to go is chosen by reading {len(images)} images up to 11 times"
    assert len(others) == 4 and all(f"({i} of at most 11, " in text for i, text in enumerate(others, 1))
    assert put == [1.0, 0.9, 0.8] and "even" not in caplog.text
    made.update({share / 10: 0.7 for share in range(1, 11)})
    assert choose_share(candidate, sets, "recognition", pages)[-1].share == 0.1
    assert "even 0.1 of the way the recognition model loses 0.1000 on made text" in caplog.text
    put.clear()
    alone = replace(sets, made_held_out=())
    assert choose_share(candidate, alone, "recognition", pages)[-1].share == 1.0 and put == [1.0]


def test_a_detector_is_scored_by_what_it_finds_whoever_reads_it(tmp_path: Path) -> None:
    latin = load_bundle("latin")
    models = {name: latin.model_path(getattr(latin.manifest, name)) for name in MODELS}
    specs = {name: getattr(latin.manifest, name) for name in MODELS}
    picky = make_bundle(
        models,
        About("picky", "MIT", ("en",), ("ours",)),
        tmp_path / "picky",
        specs=specs,
        overrides={"recognition.min_confidence": 0.9999},
        limits=Limits(least_words=0),
    )
    sheet = np.full((200, 640, 3), 250, np.uint8)
    regions = []
    for y in (20, 110):
        cv2.putText(sheet, "Total 12.50", (20, y + 50), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 0, 0), 3)
        regions.append(Region("Total 12.50", ((15.0, y), (395.0, y), (395.0, y + 60.0), (15.0, y + 60.0))))
    cv2.imwrite(str(tmp_path / "page.png"), sheet)
    images = (LabelledImage(tmp_path / "page.png", tuple(regions)),)
    read, unread = measure("latin", images), measure(picky.folder, images)
    assert read.scores["word F1"] > unread.scores["word F1"] == 0.0
    assert read.scores["detection H-mean"] == unread.scores["detection H-mean"] > 0.5
    assert score_model("latin", "detection", images) == {"detection H-mean": read.scores["detection H-mean"]}


@pytest.mark.parametrize(
    ("asked", "regularization", "allowed"), [(None, 0.5, 0.02), (None, 0.0, 1.0), (0.02, 0.0, 0.02)]
)
def test_who_learns_no_made_text_may_forget_it(
    bundle: Bundle, pages: Path, asked: float | None, regularization: float, allowed: float
) -> None:
    own = replace(wish(bundle, pages), max_loss=asked, regularization=regularization)
    assert own.allowed_loss == allowed


def test_report_shows_labels_and_both_readings(bundle: Bundle, pages: Path, tmp_path: Path) -> None:
    own = measure(bundle.folder, read_labels(pages).images)
    before = replace(own, pairs=[("abc", "a`c")] * len(own.pairs))
    after = replace(own, pairs=[("abc", "abc"), ("abc", "a|b"), *[("abc", "abc")] * (len(own.pairs) - 2)])
    write_report(tmp_path / "report", "old", "new", {"yours": (before, after)}, {"steps": 3})
    text = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert "# new, from old" in text and "- steps: 3" in text
    assert "| ![](line_00.png) | `abc` | `a´c` | `a¦b` |" in text
    assert not (tmp_path / "report" / "line_01.png").exists()


def test_images_are_held_out_by_name_and_never_all() -> None:
    images = [LabelledImage(Path(f"{number}.png"), (Region("a"),)) for number in range(50)]
    yours, held_out = hold_out(images, 0.2)
    assert (len(yours), len(held_out)) == (40, 10)
    assert {*yours, *held_out} == {*images}
    assert hold_out(images[::-1], 0.2)[1] == held_out[::-1]
    assert [len(part) for part in hold_out(images[:2], 0.01)] == [
        len(part) for part in hold_out(images[:2], 0.9)
    ]
    with pytest.raises(UsageError, match="label some more"):
        hold_out(images[:1], 0.2)


def test_written_labels_read_as_they_were(pages: Path, tmp_path: Path) -> None:
    images = read_labels(pages).images
    hard = replace(images[0], regions=(replace(images[0].regions[0], ignored=True),))
    write_labels([hard, *images[1:]], tmp_path / "elsewhere.txt")
    assert read_labels(tmp_path / "elsewhere.txt").images == (hard, *images[1:])
    lines = [LabelledImage(image.path, (Region("one [line]"),)) for image in images]
    write_labels(lines, pages / "rec_gt.txt")
    assert read_labels(pages / "rec_gt.txt").images == tuple(lines)
    assert (pages / "rec_gt.txt").read_text().startswith("0.png\t")


@pytest.mark.slow
def test_latin_learns_letters_that_it_lacks(tmp_path: Path) -> None:
    """Twelve specimen pages whose letters stand for others: error on those held out falls by half."""
    images = []
    swap = str.maketrans({"e": "ě", "E": "Ě", "a": "ą", "o": "ő"})
    for seed in range(12):
        page = specimen(seed)
        cv2.imwrite(str(tmp_path / f"{seed}.png"), page.image)
        regions = (
            Region(line.text.translate(swap), tuple((float(x), float(y)) for x, y in line.polygon))
            for line in page.lines
        )
        images.append(LabelledImage(tmp_path / f"{seed}.png", tuple(regions)))
    write_labels(images, tmp_path / "Label.txt")
    own = Wish("latin", tmp_path / "Label.txt", tmp_path / "mine", tmp_path / "work", regularization=0.0)
    assert finetune(replace(own, max_loss=1.0, overrides=("steps=150", "validate_every=50", "loggers=[]")))
    scores = json.loads((own.work / "report" / "mine" / "report.json").read_text("utf-8"))["scores"][
        "yours, held out"
    ]
    assert 1 - scores["after"]["lines, 1-NED"] < 0.5 * (1 - scores["before"]["lines, 1-NED"])
