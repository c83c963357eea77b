"""Beam ships the package to workers with `--setup_file ./setup.py`; what it says stands in pyproject.toml."""

import tempfile

from setuptools import setup

with tempfile.TemporaryDirectory() as folder:  # `pip install .` would leave a folder build/ here
    setup(options={"build": {"build_base": folder}})
