import inspect
from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch
import yaml

from posinfo.measures.figures import predicted_maps_figure
from posinfo.pipelines.posenet import evaluation
from posinfo.pipelines.posenet.parameters import PosenetParameters
from tests.conftest import PROJECT

BASE = yaml.safe_load((PROJECT / "conf/base/parameters_posenet.yml").read_text())["posenet"]


def test_maps_of_the_first_seed_keep_their_patterns():
    posenet = PosenetParameters.model_validate({**BASE, "seeds": [4, 5]})
    maps = torch.arange(12.0)[:, None, None].expand(12, 2, 2)
    values = {
        p: m.mean().item()
        for p, m in evaluation._maps_of_first_seed(maps, posenet.cells[0]).items()
    }
    assert values == {p: 2.0 * i for i, p in enumerate(BASE["patterns"])}


def test_figure_pairs_truth_and_prediction_whatever_the_order_in_a_file(monkeypatch, cache):
    """A safetensors file returns its tensors in another order than they were given."""
    posenet = PosenetParameters.model_validate({**BASE, "only": ["posenet"], "seeds": [0]})
    shown = {}

    def capture(image, masks, predictions):
        shown.update(masks=masks, predictions=predictions)
        return predicted_maps_figure(image, masks, predictions)

    heads = len(posenet.cells[0].heads)
    maps = torch.stack([torch.full((26, 26), head / heads) for head in range(heads)])
    images = SimpleNamespace(pixels=np.zeros((1, 3, 224, 224), dtype=np.uint8))
    for name, stand_in in {
        "predicted_maps_figure": capture,
        "stored_features": lambda *_: None,
        "check_photographs": lambda *_: None,
        "open_features": lambda *_: None,
        "trained_readouts": lambda *_: (None, None),
        "predict": lambda *_: [maps],
        "decode_images": lambda *_: images,
    }.items():
        monkeypatch.setattr(evaluation, name, stand_in)
    monkeypatch.setattr(evaluation.tracking, "log_figure", lambda *_: None)
    reordered = {p: torch.full((224, 224), i / heads) for i, p in enumerate(posenet.patterns)}
    reordered = dict(reversed(reordered.items()))
    draw = inspect.unwrap(evaluation.draw_predicted_maps)
    draw(posenet, {}, {}, reordered, pd.DataFrame(), cache)
    assert list(shown["masks"]) == list(posenet.patterns)
    for pattern, mask in shown["masks"].items():
        torch.testing.assert_close(mask, shown["predictions"]["posenet"][pattern])
