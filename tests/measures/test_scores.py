import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from posinfo.measures.metrics import constant_floor, mean_absolute_error, spearman
from posinfo.measures.scores import (
    image_rows,
    predict,
    score_images,
    stuck,
    summarise_images,
)
from posinfo.networks.readouts.feature_array import FeatureArray
from posinfo.networks.readouts.upsampled_loss import upsample
from posinfo.stimuli.patterns import make_pattern

HEADS = [("horizontal", 0), ("horizontal", 1), ("vertical", 0), ("vertical", 1)]
NAMES = [("photos", "china"), ("photos", "coffee"), ("black", "black")]


@pytest.fixture
def masks():
    return {name: make_pattern(name, (24, 24)) for name in ("horizontal", "vertical")}


@pytest.fixture
def maps(generator):
    values = torch.rand(3, 4, 6, 6, generator=generator)
    values[2, :2] = 0.5
    return values


@pytest.fixture
def images(maps, masks):
    targets = torch.stack([masks[pattern] for pattern, _ in HEADS])
    return image_rows(NAMES, HEADS, *score_images(maps, targets)).assign(cell="net")


def test_each_head_meets_its_own_mask(images, maps, masks):
    assert len(images) == 12
    for row in images.itertuples():
        number = NAMES.index((row.stimulus, row.photograph))
        full = upsample(maps[number, HEADS.index((row.pattern, row.seed))], (24, 24))
        assert row.mae == pytest.approx((full - masks[row.pattern]).abs().mean().item(), abs=1e-6)


def test_constant_predictions_count_as_zero_and_are_counted(images, masks):
    scores = summarise_images(images, masks).set_index(["pattern", "stimulus", "seed"])
    flat = scores.loc[("horizontal", "black", 0)]
    assert (flat.spc, flat.n_constant, flat.n) == (0, 1, 1)
    assert flat.mae == pytest.approx(flat.floor)
    assert scores.loc[("vertical", "black", 0)].n_constant == 0
    photos = scores.loc[("vertical", "photos", 1)]
    assert (photos.n_constant, photos.n) == (0, 2)


def test_means_and_skill(images, masks):
    scores = summarise_images(images, masks)
    cell = scores[
        (scores.pattern == "vertical") & (scores.seed == 1) & (scores.stimulus == "photos")
    ]
    rows = images[
        (images.pattern == "vertical") & (images.seed == 1) & (images.stimulus == "photos")
    ]
    floor = constant_floor(masks["vertical"])
    assert cell.spc.item() == pytest.approx(rows.spc.mean())
    assert cell.mae.item() == pytest.approx(rows.mae.mean())
    assert cell.floor.item() == floor
    assert cell.skill.item() == pytest.approx(1 - rows.mae.mean() / floor)


def test_constant_among_others_lowers_the_mean(masks):
    images = pd.DataFrame(
        {
            "cell": "net", "pattern": "vertical", "stimulus": "photos", "seed": 0,
            "photograph": ["a", "b"], "spc": [0.8, np.nan], "mae": [0.1, 0.3],
        }
    )  # fmt: skip
    scores = summarise_images(images, masks)
    assert (scores.spc.item(), scores.n_constant.item()) == (0.4, 1)


@pytest.mark.parametrize("count", [1, 16, 35])
def test_scores_are_those_of_each_image_by_itself(count, generator):
    maps, masks = torch.rand(count, 2, 6, 6, generator=generator), torch.rand(2, 9, 9)
    done = []
    spc, mae = score_images(maps, masks, done.append)
    full = upsample(maps, (9, 9))
    for head, mask in enumerate(masks):
        torch.testing.assert_close(spc[:, head], spearman(full[:, head], mask))
        torch.testing.assert_close(mae[:, head], mean_absolute_error(full[:, head], mask))
    assert sum(done) == count


@pytest.mark.parametrize("count", [1, 16, 17])
def test_predictions_do_not_depend_on_the_batch(count):
    features = np.random.default_rng(0).random((count, 5, 5, 3)).astype(np.float16)
    head = nn.Conv2d(3, 2, 3).eval()
    maps = torch.stack(list(predict(head, FeatureArray(features), torch.device("cpu"))))
    expected = torch.stack(
        [head(torch.from_numpy(f).float().permute(2, 0, 1)[None])[0] for f in features]
    )
    torch.testing.assert_close(maps, expected.detach())


def test_a_readout_that_errs_as_the_best_constant_is_stuck(masks):
    targets = torch.stack([*masks.values(), 2 * masks["vertical"] - 1])
    means = targets.mean((1, 2), keepdim=True)
    for contrast, expected in ((0, True), (0.02, True), (0.03, False), (1, False)):
        predictions = means + contrast * (targets - means)  # leave (1 - contrast)^2 of the variance
        errors = (targets - predictions).square().mean((1, 2))
        assert stuck(errors, targets).tolist() == [expected] * 3
