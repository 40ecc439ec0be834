import gc
import importlib
import os
from pathlib import Path

import beartype
import matplotlib.figure
import numpy as np
import pandas as pd
import pydantic
import pytest
import torch
from PIL import Image

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from posinfo.networks.readouts.config import ReadoutConfig
from posinfo.work import Work
from tests.integration.forked import LIBRARIES

PROJECT = Path(__file__).parents[1]
# While jaxtyping's hook runs a module of ours, all that this one imports is compiled anew, 3,000
# modules in all: libraries are imported before, here those of every test.
BEFORE_OURS = (beartype, matplotlib.figure, pd, pydantic, torch)


def pytest_configure(config: pytest.Config) -> None:
    """Import more libraries before modules of ours do, see ``BEFORE_OURS``."""
    if hasattr(config, "workerinput"):  # it runs a part of all tests; a single file may need less
        for library in LIBRARIES:
            importlib.import_module(library)
        gc.freeze()  # collections pass by what stays to the end, and forks share it


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """On the CPU in float32; its arrays lie in a folder of their own."""
    folder = tmp_path / "arrays"
    folder.mkdir()
    return Work(folder=folder)


@pytest.fixture
def protocol() -> ReadoutConfig:
    return ReadoutConfig(
        head="code", loss="mse",
        kernel_size=3, layers=1, hidden_width=4, padding=0, steps=8, epochs=None,
        lr=0.1, momentum=0.9, weight_decay=1e-4, batch_size=4,
        ridge={"penalties": [1e-4, 1e-2, 1], "held_out": 0.2, "positions": 64, "memory_gib": 6},
    )  # fmt: skip


@pytest.fixture
def save_photo(tmp_path: Path):
    """Writes random images; returns their paths."""
    values = np.random.default_rng(0)

    def save(name: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", **options) -> Path:
        channels = len(Image.new(mode, (1, 1)).getbands())
        pixels = values.integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.squeeze(), mode=None if mode != "CMYK" else "CMYK").save(
            path, **options
        )
        return path

    return save
