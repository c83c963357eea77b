"""Beam ships the package to workers with `--setup_file ./setup.py`; what it says stands in pyproject.toml."""

from setuptools import setup

setup()
