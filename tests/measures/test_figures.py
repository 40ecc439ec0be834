import io

import numpy as np
from PIL import Image

from posinfo.measures import figures
from posinfo.stimuli.patterns import make_pattern

MASKS = {name: make_pattern(name, (20, 20)) for name in ("horizontal", "control")}
PHOTO = np.full((3, 20, 20), 200, dtype=np.uint8)


def drawn(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("RGB"))


def test_masks_figure_has_a_panel_per_pattern():
    figure = figures.masks_figure(MASKS)
    assert [axis.get_title() for axis in figure.axes] == ["horizontal", "control"]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), MASKS["horizontal"])


def test_predicted_maps_figure_has_a_row_per_backbone():
    figure = figures.predicted_maps_figure(PHOTO, MASKS, {"net_a": MASKS, "net_b": MASKS})
    labels = [axis.get_ylabel() for axis in figure.axes if axis.get_ylabel()]
    assert labels == ["ground truth", "net a", "net b"]
    assert drawn(figure).std() > 10


def test_images_figure_takes_rows_of_different_lengths():
    figure = figures.images_figure({"train": np.stack([PHOTO] * 3), "test": PHOTO[None]})
    assert len([axis for axis in figure.axes if axis.images]) == 4


def test_every_map_is_drawn_on_the_same_scale():
    faint = {name: mask / 10 for name, mask in MASKS.items()}
    figure = figures.predicted_maps_figure(PHOTO, MASKS, {"a": faint})
    maps = [
        axis.images[0]
        for axis in figure.axes
        if axis.images and axis.images[0].get_array().ndim == 2
    ]
    assert len(maps) == 2 * len(MASKS)
    assert {image.get_clim() for image in maps} == {(0, 1)}
