"""How far a pixel of the image reaches in the maps of a network, exactly and without weights.

Columns of a strip are filled with NaN. What a map computes from any of them is NaN, too, whatever
the weights are, so that the first and the last column of the map that is not shows how far a cut
through the image is felt. No layer needs to be known: what carries NaN all over the map (global
pooling, attention, group and instance norm) is found by the first layer behind which all is NaN.
"""

from bisect import bisect_left
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from math import lcm
from typing import NamedTuple

import torch
from torch import Tensor, nn

from posinfo.networks.surgery.observed import REFUSALS, Observed

HEIGHTS = (32, 64, 128, 256)  # px of the strip; the least that a network takes
NARROWEST, WIDEST = 512, 4096  # px; a map that is NaN all over at the latter has no reach
FAR = 0.25  # share of its input that a layer covers at once: no window is as large as that
STEP, FARTHER = 64, 320  # px by which the strip is widened to see the stride of a map
WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


class Reach(NamedTuple):
    """How far the map of a layer depends on the image.

    Attributes:
        stride: pixels of the image per pixel of the map; None: the output is no map, or one of a
            fixed size.
        before: pixels of the image in front of a cut whose map depends on what lies behind the cut;
            None: all of them. The cut is at a multiple of every stride of the network.
        after: the same behind the cut.
        field: the receptive field in pixels: from the first to the last column that a pixel of the
            map depends on, the largest of all its pixels; None: it has no end.
    """

    stride: int | None
    before: int | None
    after: int | None
    field: int | None

    @property
    def margin(self) -> int | None:
        """Pixels that a tile needs beyond each of its sides for the map inside to be right."""
        if self.before is None or self.after is None:
            return None
        return max(self.before, self.after)


class Spread(NamedTuple):
    """What a probe has found.

    Attributes:
        reaches: by name of the layer, and of ``output``.
        width: of the widest strip that was needed, in pixels.
        period: a multiple of every stride, in pixels: shifts by it move all maps by whole pixels.
        layer: name of the first layer behind which all is NaN; None: there is none.
        kind: name of its class.
    """

    reaches: Mapping[str, Reach]
    width: int
    period: int
    layer: str | None = None
    kind: str = ""


def probe_reach(observed: Observed, channels: int = 3) -> Spread:
    """The reach of every map that is observed, along the columns of the image.

    Args:
        observed: a network in evaluation mode; its weights do not matter, but must be finite.
        channels: of the images.

    Raises:
        ValueError: the network takes no strips, but images of a fixed size alone.
    """
    device = next((tensor.device for tensor in observed.parameters()), torch.device("cpu"))
    # cuDNN's fast algorithms transform whole tiles of a map, and NaN with them
    with torch.backends.cudnn.flags(enabled=False):
        return _probed(_Strip(observed, channels, device))


def _probed(strip: "_Strip") -> Spread:
    strides = strip.strides()
    period = lcm(*(stride for stride in strides.values() if stride))
    width = NARROWEST
    while True:
        ends = strip.ends(width, width // 2 // period * period)
        covered = [name for name in strides if strides[name] and ends[name] is None]
        # attention grows with the square of the width: no strip is wider than it has to be
        if not covered or width >= WIDEST or strip.is_covered_at_once(width):
            break
        width *= 2
    reaches, own = {}, 1
    for name, stride in strides.items():
        own = lcm(own, stride or 1)  # of a layer and those before it
        if stride is None or ends[name] is None:
            reaches[name] = Reach(stride, None, None, None)
        else:
            reaches[name] = strip.reach(name, stride, width, period, own)
    culprit = strip.first_covered(width) if any(end is None for end in ends.values()) else None
    return Spread(reaches, width, period, *(culprit[:2] if culprit else (None, "")))


def _refused(width: int, error: Exception) -> ValueError:
    said = str(error) or type(error).__name__  # of timm's networks, some only assert
    return ValueError(f"the network takes no strips of {width} px: {said}")


class _Strip:
    """Runs a network on strips with NaN in them."""

    def __init__(self, observed: Observed, channels: int, device: torch.device) -> None:
        self.observed, self.channels, self.device = observed, channels, device
        self._touched: dict[tuple[int, int, int], dict[str, Tensor]] = {}
        self.height = self._least_height()

    def _least_height(self) -> int:
        errors: list[Exception] = []
        for height in HEIGHTS:
            try:
                self.run(torch.zeros(1, self.channels, height, NARROWEST))
            except REFUSALS as error:
                errors.append(error)
            else:
                return height
        raise _refused(NARROWEST, errors[-1])

    def run(self, images: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode():
            return self.observed(images.to(self.device))

    def strides(self) -> dict[str, int | None]:
        """Pixels of the image per pixel of each map; None: no whole number, or no map."""
        first, *wider = (self._blank(NARROWEST + more) for more in (0, STEP, FARTHER))
        strides: dict[str, int | None] = {}
        for name, maps in first.items():
            more = [
                each[name].shape[-1] - maps.shape[-1] if maps.ndim == 4 else 0 for each in wider
            ]
            likely = STEP / more[0] if more[0] > 0 else 0.0
            if likely.is_integer() and more[1] * likely == FARTHER:
                strides[name] = int(likely) or None
            else:
                strides[name] = self._other_stride(name, maps) if more[1] < FARTHER else None
        return strides

    def _blank(self, width: int) -> dict[str, Tensor]:
        try:
            return self.run(torch.zeros(1, self.channels, self.height, width))
        except REFUSALS as error:
            raise _refused(width, error) from error

    def _other_stride(self, name: str, maps: Tensor) -> int | None:
        """One by which the strip is widened in vain until the map is wider by as many pixels."""

        def more(pixels: int) -> int:
            images = torch.zeros(1, self.channels, self.height, NARROWEST + pixels)
            return self.run(images)[name].shape[-1] - maps.shape[-1]

        for stride in range(2, STEP):
            try:
                if all(more(times * stride) == times for times in (1, 7, 20)):
                    return stride
            except REFUSALS:
                continue
        return None

    def touched(self, width: int, start: int, stop: int) -> dict[str, Tensor]:
        """For each map, whether each column depends on columns of the image."""
        asked = width, start, stop
        if asked not in self._touched:  # layers with other strides ask for the same cuts
            self._touched[asked] = self._touch(*asked)
        return self._touched[asked]

    def _touch(self, width: int, start: int, stop: int) -> dict[str, Tensor]:
        images = torch.zeros(1, self.channels, self.height, width)
        images[..., start:stop] = torch.nan
        maps = self.run(images)
        return {
            name: each.isnan().any(2).any(1)[0] if each.ndim == 4 else each.isnan().flatten()
            for name, each in maps.items()
        }

    def ends(self, width: int, cut: int) -> dict[str, tuple[int, int] | None]:
        """Of each map, the last column that depends on what is before a cut, the first on the rest.

        None: all columns do.
        """
        before, behind = self.touched(width, 0, cut), self.touched(width, cut, width)
        ends = {}
        for name, column in before.items():
            open_ends = bool(column[-1]) or bool(behind[name][0])
            ends[name] = None if open_ends else (_last(column), _first(behind[name]))
        return ends

    def reach(self, name: str, stride: int, width: int, period: int, own: int) -> Reach:
        """Of a map that moves by whole pixels with shifts by its own period."""
        cut = width // 2 // period * period
        ends = self.ends(width, cut)[name]
        assert ends is not None
        last, first = ends
        columns, each = range(cut // stride, (cut + own) // stride), own // stride

        def touches(number: int, start: int, stop: int) -> bool:
            return bool(self.touched(width, start, stop)[name][number])

        fields = []
        for number in columns:
            # columns are alike after each period: of one, the end lies within a period of the cut
            before = cut - own * -((number - last - 1) // each)
            starts = range(before, before + own)
            left = bisect_left(starts, True, key=lambda x, n=number: touches(n, 0, x + 1))
            behind = cut + own * (-((first - number - 1) // each) - 1)
            stops = range(behind, behind + own)
            right = bisect_left(stops, True, key=lambda x, n=number: not touches(n, x, width))
            fields.append(behind + right - 1 - (before + left) + 1)
        return Reach(
            stride,
            before=max(0, cut - stride * first),
            after=max(0, stride * (last + 1) - cut),
            field=max(fields),
        )

    def is_covered_at_once(self, width: int) -> bool:
        """Whether a single layer carries NaN over the rest of the map, which no window does.

        Of what the network's own forward computes it is not known that it is a single layer.
        """
        culprit = self.first_covered(width)
        return culprit is not None and culprit[0] != "" and culprit[2] > FAR

    def first_covered(self, width: int) -> tuple[str, str, float] | None:
        """Name and class of the first layer behind which all is NaN, and what share was not yet."""
        found: list[tuple[str, str, float]] = []

        def look(name: str, module: nn.Module, inputs: tuple, output: object) -> None:
            tensors = [each for each in inputs if isinstance(each, Tensor)]
            if found or not isinstance(output, Tensor) or not output.isnan().all():
                return
            if not any(each.isnan().all() for each in tensors):
                shares = [1 - each.isnan().float().mean().item() for each in tensors]
                share = 0.0 if isinstance(module, WINDOWS) else max(shares, default=0.0)
                found.append((name, type(module).__name__, share))

        with ExitStack() as hooks:
            for name, module in self.observed.network.named_modules():
                hooks.callback(module.register_forward_hook(partial(look, name)).remove)
            self._touch(width, 0, width // 2)
        return found[0] if found else None


def _last(touched: Tensor) -> int:
    columns = touched.nonzero()
    return int(columns[-1]) if len(columns) else -1


def _first(touched: Tensor) -> int:
    columns = touched.nonzero()
    return int(columns[0]) if len(columns) else len(touched)
