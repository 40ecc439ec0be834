import numpy as np
import torch

from posinfo.measures.ablation_figures import (
    Panel,
    error_maps_figure,
    layers_and_kernels_figure,
    padding_figure,
)
from posinfo.stimuli.patterns import make_pattern

SIZE = (24, 24)
MASKS = {name: make_pattern(name, SIZE) for name in ("horizontal", "gaussian")}


def test_layers_and_kernels_has_a_row_per_pattern_and_hides_what_there_is_not():
    columns = {"vgg16\nL1 K3": MASKS, "vgg16\nL2 K3": {"gaussian": MASKS["gaussian"]}}
    axes = layers_and_kernels_figure(MASKS, columns).axes
    assert len(axes) == 2 * 3
    assert [axis.get_visible() for axis in axes] == [True, True, False, True, True, True]


def test_padding_shows_spc_and_mae_of_each_panel():
    mask = MASKS["gaussian"]
    panels = [Panel("exact", mask), Panel("constant", torch.full(SIZE, 0.5))]
    image = np.zeros((3, *SIZE), dtype=np.uint8)
    axes = padding_figure(image, mask, panels).axes
    mae = (mask - 0.5).abs().mean().item()
    assert [axis.get_xlabel() for axis in axes[2:]] == ["1.000, 0.000", f"0.000, {mae:.3f}"]


def test_error_maps_share_one_scale():
    axes = error_maps_figure({"a": torch.full(SIZE, 0.1), "b": torch.full(SIZE, 0.4)}).axes
    limits = [axis.images[0].get_clim() for axis in axes[:2]]
    assert np.allclose(limits, [(0, 0.4), (0, 0.4)])
    assert [axis.get_title() for axis in axes[:2]] == ["a\n0.100", "b\n0.400"]
