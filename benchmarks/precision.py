"""How much bfloat16 moves an SPC, and how much of that is the features.

The default protocol on the embedded photographs, VGG-16 with `hed-bsds500`, three seeds: float32
throughout, bfloat16 features with float32 readouts, bfloat16 throughout. Nothing is left behind.

    python benchmarks/precision.py
"""

import tempfile
from pathlib import Path

import pandas as pd
import torch

from posinfo.measures.scores import predict, score_images
from posinfo.networks.models.backbones import BackboneConfig, build_backbone
from posinfo.networks.readouts.config import ReadoutConfig, RidgeConfig
from posinfo.networks.readouts.convolutional import initial_seed, train_readouts
from posinfo.networks.readouts.feature_array import FeatureArray
from posinfo.networks.readouts.features import extract_features
from posinfo.stimuli.patterns import make_pattern
from posinfo.stimuli.photos import decode_images, embedded_crops
from posinfo.work import Work

PATTERNS = ["horizontal", "vertical", "gaussian", "horizontal_stripes", "vertical_stripes"]
HEADS = [(pattern, seed) for pattern in PATTERNS for seed in range(3)]
ROW = BackboneConfig(arch="vgg16", weights="hed-bsds500", padding="zero")
PROTOCOL = ReadoutConfig(
    head="code", loss="mse",
    kernel_size=3, layers=1, hidden_width=64, padding=0, steps=450, epochs=None,
    lr=0.1, momentum=0.9, weight_decay=1e-4, batch_size=32,
    ridge=RidgeConfig(penalties=(1.0,), held_out=0.2, positions=64, memory_gib=6),
)  # fmt: skip


def features(dtype: torch.dtype, folder: Path) -> dict[str, FeatureArray]:
    """Features of the train and the test crops in this precision, in files below a folder."""
    arrays = {}
    for split, count in (("train", 400), ("test", 120)):
        work = Work(dtype=dtype, folder=folder / f"{split}-{dtype}")
        work.folder.mkdir()
        pixels = decode_images(embedded_crops(split, count, 0), 224, work)
        backbone = build_backbone(ROW, 224, 28, "imagenet")
        arrays[split] = FeatureArray(extract_features(backbone, pixels, 1472, work))
    return arrays


def spc(arrays: dict[str, FeatureArray], dtype: torch.dtype) -> pd.Series:
    """Mean SPC over test crops and seeds by pattern, of readouts trained in this precision."""
    targets = torch.stack([make_pattern(pattern, (224, 224)) for pattern, _ in HEADS])
    seeds = [initial_seed(*head) for head in HEADS]
    work = Work(dtype=dtype)
    heads, _ = train_readouts(arrays["train"], targets, seeds, PROTOCOL, work)
    measured, _ = score_images(predict(heads, arrays["test"], work.device), targets)
    patterns = [pattern for pattern, _ in HEADS]
    return pd.Series(measured.nanmean(0).numpy(), patterns).groupby(level=0, sort=False).mean()


def main() -> None:
    """Print SPC by pattern and precision, and the largest differences to float32."""
    exact, fast = torch.float32, torch.bfloat16
    with tempfile.TemporaryDirectory() as folder:
        arrays = {dtype: features(dtype, Path(folder)) for dtype in (exact, fast)}
        table = pd.DataFrame(
            {
                "float32": spc(arrays[exact], exact),
                "bfloat16 features": spc(arrays[fast], exact),
                "bfloat16": spc(arrays[fast], fast),
            }
        )
    print(table.round(4).to_string())
    for column in table.columns[1:]:
        print(f"{column}: at most {(table[column] - table.float32).abs().max():.4f} from float32")


if __name__ == "__main__":
    main()
