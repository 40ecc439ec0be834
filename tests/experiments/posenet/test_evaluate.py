from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch.nn.functional import interpolate

from posinfo.experiments.posenet.evaluate import image_scores
from posinfo.experiments.posenet.readouts import targets_of
from posinfo.networks.readouts.convolutional import Readouts
from posinfo.stimuli.patterns import make_pattern

SIZE = 24
PATTERNS = ("horizontal", "gaussian")


def drawn_by_hand(experiment, trained, name):
    """What every head says of every image, by head."""
    features = torch.from_numpy(experiment.test[name].arrays["features"]).float()
    heads = Readouts(5, [0] * len(experiment.cell.heads), experiment.cell.readout)
    heads.load_state_dict(dict(trained.tensors))
    with torch.no_grad():
        maps = heads.eval()(features.permute(0, 3, 1, 2))
    maps = interpolate(maps, (SIZE, SIZE), mode="bilinear")
    return dict(zip(experiment.cell.heads, maps.unbind(1), strict=True))


def test_maps_and_errors_are_those_of_the_first_seed_and_of_photographs(small):
    experiment = small()
    maps = drawn_by_hand(experiment, experiment.fit(), "photos")
    result = experiment.evaluate()
    for pattern in PATTERNS:
        truth = make_pattern(pattern, (SIZE, SIZE))
        torch.testing.assert_close(result.tensors[f"truth.{pattern}"], truth)
        torch.testing.assert_close(result.tensors[f"map.{pattern}"], maps[pattern, 4][0])
        error = (maps[pattern, 4] - truth).abs().mean(0)
        torch.testing.assert_close(result.tensors[f"error.{pattern}"], error)
    np.testing.assert_array_equal(
        result.tensors["image"].numpy(), experiment.test["images"].arrays["pixels"][0]
    )


def test_scores_of_each_image_are_its_rank_correlation_and_error(small):
    experiment = small()
    trained = experiment.fit()
    maps = {
        "photos": drawn_by_hand(experiment, trained, "photos"),
        "synthetic": drawn_by_hand(experiment, trained, "synthetic"),
    }
    scores = image_scores(experiment.evaluate())
    assert len(scores) == 5 * 4
    assert scores.photograph[::4].tolist() == ["a", "b", "c", "black", "noise"]
    assert scores.stimulus[::4].tolist() == ["photos"] * 3 + ["black", "noise"]
    for index, row in enumerate(scores.itertuples()):
        image = index // 4
        of_set = maps["photos"] if image < 3 else maps["synthetic"]
        predicted = of_set[row.pattern, row.seed][image if image < 3 else image - 3]
        truth = make_pattern(row.pattern, (SIZE, SIZE))
        expected = spearmanr(predicted.flatten(), truth.flatten()).statistic
        assert row.spc == pytest.approx(expected, abs=1e-3)
        assert row.mae == pytest.approx((predicted - truth).abs().mean().item(), abs=1e-5)


def test_held_out_train_photographs_are_measured_as_if_they_were_test_photographs(small):
    experiment = small(held_out=0.1)
    trained, measured = experiment.fit(), [2, 5]  # both crops of one of three photographs
    result = experiment.evaluate(readouts=trained)
    photos, images = experiment.test["photos"], experiment.test["images"]
    assert images.table.photograph[measured].tolist() == ["2", "2"]
    as_test = replace(experiment, cell=experiment.cell.model_copy(update={"held_out": None}))
    features = photos.arrays["features"][measured]
    alone = as_test.evaluate(
        readouts=trained,
        photos=replace(photos, arrays={"features": features}),
        images=replace(
            images,
            arrays={"pixels": images.arrays["pixels"][measured]},
            rows=images.table.iloc[measured].reset_index(drop=True),
        ),
    )
    pd.testing.assert_frame_equal(result.table, alone.table)
    assert set(result.table.query("stimulus == 'photos'").n) == {2}
    assert result.facts == alone.facts and result.facts["images"][:2] == [("photos", "2")] * 2
    for name, tensor in alone.tensors.items():
        assert torch.equal(result.tensors[name], tensor), name


def test_photographs_that_were_trained_on_are_not_measured(small):
    experiment = small(held_out=0.1)
    trained = experiment.fit()
    before = experiment.evaluate(readouts=trained).tensors
    experiment.train["features"].arrays["features"][[0, 1, 3, 4]] = 7
    after = experiment.evaluate(readouts=trained).tensors
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    experiment.train["features"].arrays["features"][5, :4] = 7
    assert not torch.equal(experiment.evaluate(readouts=trained).tensors["mae"], after["mae"])


def test_a_control_is_drawn_for_each_seed(small):
    """Each readout is trained on a draw and meets it again; figures show that of the first seed."""
    experiment = small((("control_3", 4), ("control_3", 5)))
    draws = [make_pattern("control_3", (SIZE, SIZE), draw=seed) for seed in (4, 5)]
    torch.testing.assert_close(targets_of(experiment.cell), torch.stack(draws))
    maps = drawn_by_hand(experiment, experiment.fit(), "photos")
    result = experiment.evaluate()
    assert torch.equal(result.tensors["truth.control_3"], draws[0])
    for index, seed in enumerate((4, 5)):
        errors = (maps["control_3", seed] - draws[index]).abs().mean((1, 2))
        torch.testing.assert_close(result.tensors["mae"][:3, index].float(), errors)
    assert result.table.floor.nunique() == 1


def test_rows_are_means_over_the_images_of_a_stimulus(small):
    result = small().evaluate()
    rows, scores = result.table, image_scores(result)
    assert list(rows.columns) == [
        "pattern", "stimulus", "seed", "spc", "mae", "floor", "skill", "n", "n_constant", "stuck",
    ]  # fmt: skip
    assert len(rows) == 2 * 3 * 2
    means = scores.groupby(["pattern", "stimulus", "seed"])[["spc", "mae"]].mean()
    for row in rows.itertuples():
        expected = means.loc[row.pattern, row.stimulus, row.seed]
        assert (row.spc, row.mae) == pytest.approx((expected.spc, expected.mae), rel=1e-6)
        assert row.n == (3 if row.stimulus == "photos" else 1)
        assert row.skill == pytest.approx(1 - row.mae / row.floor)


@pytest.mark.parametrize("loss", ["mse", "half_mse"])
def test_readouts_at_the_constant_map_are_stuck(small, loss):
    """Those of the second seed, by their last loss; a ridge readout has none, and never is."""
    experiment = small(loss=loss)
    trained = experiment.fit()
    scale = 0.5 if loss == "half_mse" else 1
    variances = targets_of(experiment.cell).var((1, 2), correction=0) * scale
    left = [0.5, 0.5, 0.99, 0.99]
    losses = [
        [1.0, variance.item() * share] for variance, share in zip(variances, left, strict=True)
    ]
    history = dict(zip(trained.history, losses, strict=True))
    rows = experiment.evaluate(readouts=replace(trained, history=history)).table
    assert set(zip(rows.seed, rows.stuck, strict=True)) == {(4, False), (5, True)}


def test_a_solved_readout_is_never_stuck(small):
    experiment = small((("horizontal", 4), ("control", 4)), head="ridge", kernel_size=1)
    assert not experiment.evaluate().table.stuck.any()


def test_the_losses_of_the_training_go_on_to_the_tracker(small):
    experiment = small()
    assert experiment.evaluate().history == experiment.fit().history


def test_weights_of_other_readouts_are_refused(small):
    other = small((("horizontal", 4),)).fit()
    with pytest.raises(RuntimeError, match="size mismatch"):
        small().evaluate(readouts=other)
