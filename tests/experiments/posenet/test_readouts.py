import numpy as np
import pytest
import torch

from posinfo.experiments.posenet.readouts import open_blocks, targets_of
from posinfo.networks.readouts.convolutional import initial_seed, train_readouts
from posinfo.stimuli.patterns import make_pattern
from posinfo.work import Work

HEADS = (("horizontal", 4), ("gaussian", 4))


@pytest.mark.parametrize("heads", [HEADS, (("control_3", 4), ("control_3", 5))])
def test_readouts_are_those_of_the_library(small, heads):
    """Readouts of a control are trained on a draw of their own for each seed."""
    experiment = small(heads)
    result = experiment.fit()
    features = open_blocks(experiment.train["features"], experiment.cell)
    targets = torch.stack([make_pattern(name, (24, 24), draw=seed) for name, seed in heads])
    seeds = [initial_seed(*head) for head in heads]
    trained, history = train_readouts(features, targets, seeds, experiment.cell.readout, Work())
    for name, tensor in trained.state_dict().items():
        assert torch.equal(result.tensors[name], tensor), name
    assert result.history == {
        f"loss_{pattern}_seed_{seed}": history[:, i].tolist()
        for i, (pattern, seed) in enumerate(heads)
    }
    assert all(len(losses) == 8 for losses in result.history.values())  # epochs of one batch


def test_targets_have_the_stripes_of_the_settings(small):
    cell = small((("vertical_stripes", 4), ("gaussian", 4))).cell
    for stripes in ("unit", "signed"):
        expected = [make_pattern(name, (24, 24), stripes) for name, _ in cell.heads]
        targets = targets_of(cell.model_copy(update={"stripes": stripes}))
        assert torch.equal(targets, torch.stack(expected))


def test_blocks_that_are_not_read_change_nothing(small):
    experiment = small(HEADS, blocks=("f2",))
    before = experiment.fit()
    experiment.train["features"].arrays["features"][..., :2] = 7
    after = experiment.fit()
    assert open_blocks(experiment.train["features"], experiment.cell).shape == (6, 8, 8, 3)
    for name, tensor in before.tensors.items():
        assert torch.equal(after.tensors[name], tensor), name


@pytest.mark.parametrize("changes", [{}, {"head": "ridge", "kernel_size": 1}])
def test_held_out_photographs_are_not_trained_on(small, changes):
    """Their features may be anything; every other image counts."""
    experiment = small(HEADS, held_out=0.1, **changes)
    assert experiment.train["images"].table.photograph.tolist() == ["0", "1", "2"] * 2
    features, before = experiment.train["features"].arrays["features"], experiment.fit()
    features[[2, 5]] = 7
    after = experiment.fit()
    assert before.history == after.history
    for name, tensor in before.tensors.items():
        assert torch.equal(after.tensors[name], tensor), name
    for image in (0, 1, 3, 4):
        features[image, 2:, :5] = 7
        other = experiment.fit()
        assert any(not torch.equal(other.tensors[name], t) for name, t in after.tensors.items())
        after = other


def test_a_head_learns_what_it_would_learn_alone(small):
    both, alone = small(HEADS).fit(), small(HEADS[1:]).fit()
    name = "loss_gaussian_seed_4"
    np.testing.assert_allclose(both.history[name], alone.history[name], rtol=1e-4)


def test_ridge_is_solved_and_measured_on_held_out_photographs(small):
    result = small(HEADS, head="ridge", kernel_size=1).fit()
    assert list(result.history) == [
        "held_out_mse_horizontal_seed_4",
        "held_out_mse_gaussian_seed_4",
    ]
    assert all(len(errors) == 3 for errors in result.history.values())  # one per penalty


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": ("f9",)}, "^blocks must be among f1, f2, f3, f4, f5; got 'f9'$"),
        ({"kernel_size": 8}, "leave 1 of 8 px; at least 2 are needed"),
        ({"batch_size": 7}, "^6 train images are fewer than readout.batch_size 7"),
        (
            {"head": "ridge"},
            r"^head 'ridge' is solved, not trained from a seed: give it one seed; got \(4, 5\)$",
        ),
    ],
)
def test_what_cannot_be_is_refused(small, changes, message):
    blocks = changes.pop("blocks", ())
    cell = small(blocks=blocks, **changes).cell.model_copy(update={"image_size": 64})
    with pytest.raises(ValueError, match=message):
        cell.check()


def test_ridge_takes_fewer_images_than_a_batch(small):
    experiment = small(HEADS, head="ridge", kernel_size=1, batch_size=7)
    experiment.cell.model_copy(update={"image_size": 64}).check()
    assert experiment.fit().history
