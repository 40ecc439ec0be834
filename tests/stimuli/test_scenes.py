import numpy as np
import pytest
from pydantic import ValidationError

from posinfo.stimuli.scene_textures import TexturePool, layout_free_images
from posinfo.stimuli.scenes import CLASSES, SPLITS, ScenesConfig, draw_scenes

SKY, BUILDING, VEGETATION, ROAD, PAVEMENT, CAR, PERSON, SIGN = range(len(CLASSES))


def config(**changes):
    usual = {"height": 48, "width": 96, "ambiguous": 0.5, "layout": "symmetric", "seed": 0}
    return ScenesConfig.model_validate({**usual, **changes})


@pytest.fixture(scope="module")
def scenes():
    return draw_scenes(config(), "train", 80)


def test_every_class_is_drawn(scenes):
    shares = np.bincount(scenes.labels.ravel(), minlength=len(CLASSES)) / scenes.labels.size
    assert len(shares) == len(CLASSES)
    assert shares.min() > 0.005
    assert scenes.pixels.shape == (80, 3, 48, 96)
    assert scenes.pixels.dtype == scenes.labels.dtype == np.uint8


def test_scenes_are_laid_out_as_streets(scenes):
    labels = scenes.labels
    assert (labels[:, 0] == SKY).mean() > 0.5, "the top is sky"
    assert (labels[:, -1, 40:56] == ROAD).mean() + (labels[:, -1, 40:56] == CAR).mean() > 0.9
    assert not (labels[:, : 48 // 3] == ROAD).any(), "the road is below the horizon"


def test_the_first_scenes_do_not_depend_on_their_number(scenes):
    fewer = draw_scenes(config(), "train", 3)
    assert np.array_equal(fewer.pixels, scenes.pixels[:3])
    assert np.array_equal(fewer.labels, scenes.labels[:3])


def test_splits_and_seeds_share_no_scene(scenes):
    others = [draw_scenes(config(), split, 80).labels for split in SPLITS if split != "train"]
    others.append(draw_scenes(config(seed=1), "train", 80).labels)
    known = {label.tobytes() for label in scenes.labels}
    assert not known & {label.tobytes() for labels in others for label in labels}


def test_symmetric_scenes_have_no_side_and_one_sided_ones_do():
    for layout, cars, people in (
        ("symmetric", (0.3, 0.7), (0.3, 0.7)),
        ("one_sided", (0.9, 1), (0, 0.1)),
    ):
        labels = draw_scenes(config(layout=layout), "test", 200).labels
        for kind, (low, high) in ((CAR, cars), (PERSON, people), (SIGN, people)):
            right = (labels[..., 48:] == kind).sum() / (labels == kind).sum()
            assert low <= right <= high, (layout, CLASSES[kind])


def test_shifted_scenes_have_no_special_place():
    """Each is a symmetric scene, rolled; the sky is as often at the bottom as at the top."""
    still, shifted = (
        draw_scenes(config(layout=each), "test", 300) for each in ("symmetric", "shifted")
    )
    for before, after, labels, rolled in zip(
        still.pixels[:5], shifted.pixels[:5], still.labels, shifted.labels, strict=False
    ):
        offset = next(
            (y, x)
            for y in range(48)
            for x in range(96)
            if np.array_equal(np.roll(labels, (y, x), (0, 1)), rolled)
        )
        assert np.array_equal(np.roll(before, offset, (1, 2)), after)
    sky = (shifted.labels == SKY).mean((0, 2))
    assert sky.max() - sky.min() < 0.12
    assert (still.labels == SKY).mean((0, 2)).max() > 0.5


def test_textures_tell_classes_apart_only_where_they_are_their_own():
    """Each class has its own photograph with no ambiguity, and any of them with nothing else."""
    colours = []
    for ambiguous in (0.0, 1.0):
        drawn = draw_scenes(config(ambiguous=ambiguous), "train", 150)
        pixels = drawn.pixels.transpose(0, 2, 3, 1)
        colours.append([pixels[drawn.labels == kind].mean(0) for kind in (SKY, VEGETATION, ROAD)])
    spread = [np.std(each, axis=0).mean() for each in colours]
    assert spread[1] < 0.35 * spread[0]


def test_unseen_textures_are_of_no_seen_photograph():
    unseen = SPLITS["unseen"]()
    assert not unseen.own
    for split in SPLITS.keys() - {"unseen"}:
        known = {photograph.tobytes() for photograph in SPLITS[split]().shared}
        assert not known & {photograph.tobytes() for photograph in unseen.shared}
    plain = TexturePool((np.full((200, 200, 3), 100, np.uint8),))
    random = np.random.default_rng(0)
    pieces = [plain.crop(3, (48, 96), random) for _ in range(50)]
    assert all(piece.shape == (48, 96, 3) for piece in pieces)
    assert 69 <= min(p.min() for p in pieces) < 80 and 120 < max(p.max() for p in pieces) <= 130


def test_small_photographs_are_continued_mirrored():
    tiny = TexturePool((np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20,))
    assert tiny.crop(None, (5, 7), np.random.default_rng(0)).shape == (5, 7, 3)


def test_layout_free_images_come_with_all_their_mirrors():
    images = layout_free_images(8, (48, 96))
    assert images.shape == (8, 3, 48, 96)
    for start in (0, 4):
        whole, mirrored, upside_down, both = images[start : start + 4]
        assert np.array_equal(mirrored, whole[..., ::-1])
        assert np.array_equal(upside_down, whole[:, ::-1])
        assert np.array_equal(both, whole[:, ::-1, ::-1])
    assert not np.array_equal(images[0], images[4])


def test_large_layout_free_images_are_not_folded_at_the_same_places():
    images = layout_free_images(8, (600, 1100)).astype(float)
    assert len({image.tobytes() for image in images}) == 8
    # where a crop continues mirrored, its columns on both sides are the same
    folds = [
        {column for column in range(8, 1092) if np.array_equal(
            image[..., column - 8 : column], image[..., column : column + 8][..., ::-1])}
        for image in images
    ]  # fmt: skip
    assert all(folds) and not set.intersection(*folds)


@pytest.mark.parametrize("changes", [{"height": 16}, {"ambiguous": 1.5}, {"layout": "left"}])
def test_impossible_scenes_are_refused(changes):
    with pytest.raises(ValidationError, match=next(iter(changes))):
        config(**changes)
