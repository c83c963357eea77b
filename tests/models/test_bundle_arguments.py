from __future__ import annotations

import argparse
from typing import Any

import pytest

from models.bundle import About
from models.bundle_arguments import about_of, add_arguments, parse_override
from models.records import UsageError


def parsed(*given: str, **defaults: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser, **defaults)
    return parser.parse_args(["--output", "bundles/mine", *given])


def test_a_bundle_is_called_as_its_folder_unless_told_otherwise() -> None:
    assert about_of(parsed()) == About("mine")
    assert about_of(parsed(source="a shop")) == About("mine", source="a shop")
    given = ["--name=x", "--license=MIT", "--languages", "en", "de", "--trained_on", "a", "--source=here"]
    about = About("x", "MIT", ("en", "de"), ("a",), "short", "here")
    assert about_of(parsed(*given, "--description=short", source="a shop")) == about


def test_values_are_set_one_by_one() -> None:
    args = parsed("--set", "detection.limit=1280", "--set", "direction.threshold=1")
    assert args.settings == [("detection.limit", 1280), ("direction.threshold", 1)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("recognition.height=32", ("recognition.height", 32)),
        ("detection.unclip_ratio=1.6", ("detection.unclip_ratio", 1.6)),
        ("detection.mean=[0.5, 0.5, 0.5]", ("detection.mean", (0.5, 0.5, 0.5))),
        ("detection.limit_side=shortest", ("detection.limit_side", "shortest")),
    ],
)
def test_override_values(text: str, expected: tuple[str, Any]) -> None:
    assert parse_override(text) == expected


@pytest.mark.parametrize("text", ["height=32", "recognition.height", ""])
def test_malformed_override_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"is not MODEL\.KEY=VALUE"):
        parse_override(text)


@pytest.mark.parametrize("value", ["64,96,128", "64 96 128", "64, 96, 128"])
def test_a_list_without_brackets_is_told_how_to_be_written(value: str) -> None:
    with pytest.raises(UsageError, match=r"recognition\.widths=\[64, 96, 128\]"):
        parse_override(f"recognition.widths={value}")
