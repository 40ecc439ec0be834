import pytest
import torch
from torch import nn

from posinfo.measures.answers import (
    Answers,
    answers_by_offset,
    changes,
    padded_batch,
    probabilities,
    relative_error,
    shifted_errors,
)
from posinfo.measures.consistency import exact_consistency
from posinfo.networks.surgery.observed import Observed
from posinfo.networks.surgery.padding import repad

OFFSETS = [0, 1, 2, 3, 4]
SIDE = 12


@pytest.fixture
def images(generator):
    return torch.randn(6, 3, 16, 16, generator=generator)


def classifier(padding):
    torch.manual_seed(3)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 5, 3, padding=1)]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    return Observed(repad(network, padding))


def test_circular_network_answers_turned_images_alike(images):
    found = answers_by_offset(classifier("circular"), images, OFFSETS, SIDE, circular=True)
    assert exact_consistency(found.classes) == 1
    assert (found.wobble < 1e-5).all()
    plain = answers_by_offset(classifier("zero"), images, OFFSETS, SIDE, circular=True)
    assert (plain.wobble > 1e-3).all()


def test_offsets_are_rows_and_columns_of_the_window():
    class Brightest(nn.Module):
        """Logits of the rows and columns, 0 to 11, in which the pixel of 1 lies."""

        def forward(self, images):
            return 3 * images[:, 0].flatten(1)

    images = torch.zeros(1, 3, 16, 16)
    images[0, :, 7, 9] = 1
    found = answers_by_offset(Observed(Brightest()), images, OFFSETS, SIDE)
    assert found.classes[0, 0, 0] == 7 * SIDE + 9
    assert found.classes[0, 1, 3] == 6 * SIDE + 6  # one row, three columns later
    turned = answers_by_offset(Observed(Brightest()), images, OFFSETS, SIDE, circular=True)
    assert turned.classes.equal(found.classes)  # nothing crosses a border here
    logits = torch.zeros(1, SIDE * SIDE)
    logits[0, 5 * SIDE + 7] = 3
    expected = logits.softmax(1)
    assert found.confidence[0, 2, 2] == expected.max()
    assert found.confidence[0, 0, 0] == expected.min()


def test_wobble_by_hand():
    confidence = torch.tensor([[[0.5, 0.9], [0.7, 0.2]]])
    answers = Answers(torch.zeros(1, 2, 2, dtype=torch.int64), confidence)
    torch.testing.assert_close(answers.wobble, torch.tensor([0.7]))


def test_unpadded_network_moves_with_its_window_and_a_padded_one_does_not(images):
    torch.manual_seed(0)
    unpadded = Observed(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)))
    assert (shifted_errors(unpadded, images, OFFSETS, SIDE, 1) == 0).all()
    padded = Observed(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 2, 3, padding=1)))
    assert (shifted_errors(padded, images, OFFSETS, SIDE, 1) > 1e-2).all()
    strided = Observed(nn.Sequential(nn.Conv2d(3, 4, 2, 2)))
    assert (shifted_errors(strided, images, [0, 2, 4], SIDE, 2) == 0).all()


def test_changes_of_classes_and_of_maps():
    first = torch.tensor([[1.0, 2.0], [3.0, 1.0]])
    assert changes(first, first.flip(1)).tolist() == [1, 1]
    assert changes(first, 2 * first).tolist() == [0, 0]
    maps = torch.ones(2, 1, 2, 2)
    torch.testing.assert_close(changes(maps, 1.5 * maps), torch.tensor([0.5, 0.5]))
    with pytest.raises(ValueError) as refusal:
        changes(maps, torch.ones(2, 1, 3, 3))
    assert str(refusal.value) == (
        "the output is (2, 1, 3, 3) in place of (2, 1, 2, 2): the two cannot be compared"
    )


def test_probabilities_are_left_as_they_are_and_no_number_is_no_error():
    logits = torch.tensor([[2.0, 1.0, -1.0]])
    once = probabilities(logits)
    assert once.equal(logits.softmax(1))
    assert probabilities(once).equal(once)
    maps = torch.ones(1, 1, 2, 2)
    broken = maps.clone()
    broken[..., 0, 0] = torch.nan
    assert relative_error(broken, maps).isnan().all() and relative_error(maps, broken).isnan().all()


def test_zeros_in_a_batch_are_zero_padding_and_matter_to_others(images):
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)).eval()

    def change(observed, stride):
        with torch.inference_mode():
            return padded_batch(observed, images, observed(images)["output"], 8, stride)

    assert (change(Observed(plain), 1) < 1e-6).all()
    assert (change(Observed(repad(plain, "reflect")), 1) > 1e-2).all()
    images[:] = 0
    images[:, 0, :8] = 3
    assert change(classifier("zero"), None).shape == (6,)
