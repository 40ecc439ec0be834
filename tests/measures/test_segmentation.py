import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, jaccard_score
from torchmetrics.functional.classification import multiclass_jaccard_index

from posinfo.measures.segmentation import PixelCounter, border_rings, class_iou, mean_iou

CLASSES = 5


@pytest.fixture(scope="module")
def drawn():
    """Predictions and labels: class 3 is never right, class 4 neither right nor predicted."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(3, (4, 6, 9), generator=generator, dtype=torch.uint8)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = 255
    return torch.randint(4, (4, 6, 9), generator=generator), labels


def test_counts_are_those_of_scikit_learn(drawn):
    predictions, labels = drawn
    counts = PixelCounter(labels, CLASSES).count(predictions)
    assert counts.shape == (4, 1, CLASSES, CLASSES)
    for image in range(4):
        counted = labels[image] != 255
        theirs = confusion_matrix(
            labels[image][counted], predictions[image][counted], labels=range(CLASSES)
        )
        np.testing.assert_array_equal(counts[image, 0], theirs)


def test_mean_iou_is_that_of_scikit_learn(drawn):
    predictions, labels = drawn
    counts = PixelCounter(labels, CLASSES).count(predictions).sum((0, 1))
    counted = labels != 255
    theirs = jaccard_score(labels[counted], predictions[counted], average=None)
    np.testing.assert_allclose(class_iou(counts)[:4], theirs)
    assert class_iou(counts)[3] == 0, "predicted, but nowhere right: it counts"
    assert class_iou(counts)[4].isnan(), "neither there nor predicted: it does not"
    assert mean_iou(counts).item() == pytest.approx(theirs.mean())


def test_mean_iou_is_that_of_torchmetrics(drawn):
    predictions, labels = drawn
    counts = PixelCounter(labels, CLASSES).count(predictions).sum((0, 1))
    theirs = multiclass_jaccard_index(predictions, labels.long(), CLASSES, ignore_index=255)
    assert mean_iou(counts).item() == pytest.approx(theirs.item())


def test_parts_are_counted_apart(drawn):
    predictions, labels = drawn
    parts = torch.zeros(6, 9, dtype=torch.long)
    parts[:, 4:] = 1
    counts = PixelCounter(labels, CLASSES, parts).count(predictions)
    for part, columns in enumerate((slice(0, 4), slice(4, 9))):
        alone = PixelCounter(labels[..., columns], CLASSES).count(predictions[..., columns])
        assert torch.equal(counts[:, part], alone[:, 0])


def test_rings_are_distances_from_the_nearest_border():
    assert border_rings((6, 8), [1, 2]).tolist() == [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 1, 1, 1, 1, 1, 0],
        [0, 1, 2, 2, 2, 2, 1, 0],
        [0, 1, 2, 2, 2, 2, 1, 0],
        [0, 1, 1, 1, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert border_rings((6, 8), []).unique().tolist() == [0]
    with pytest.raises(ValueError, match=r"rings at \[1, 3\] px: one has no pixel .* 6 x 8 px"):
        border_rings((6, 8), [1, 3])


def test_a_counter_counts_again(drawn):
    predictions, labels = drawn
    counter = PixelCounter(labels, CLASSES)
    first = counter.count(predictions)
    counter.count(predictions.flip(1))
    assert torch.equal(counter.count(predictions), first)


def test_labels_beyond_the_classes_are_refused():
    labels = torch.tensor([[[0, 255, 7]]], dtype=torch.uint8)
    with pytest.raises(ValueError, match="labels must be 0 to 4, or 255; got \\[7\\]"):
        PixelCounter(labels, CLASSES)


def test_images_of_ignored_pixels_have_no_score():
    labels = torch.full((1, 2, 2), 255, dtype=torch.uint8)
    counts = PixelCounter(labels, CLASSES).count(torch.zeros(1, 2, 2, dtype=torch.long))
    assert counts.sum() == 0
    assert mean_iou(counts[0, 0]).isnan()
