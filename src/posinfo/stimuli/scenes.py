"""Street scenes with exact labels, in which layout and not texture tells classes apart.

A road runs to a vanishing point between pavements, buildings and vegetation, under a sky; cars
drive on it, people walk beside it, signs stand at its edge. Each region is filled with a real
texture. Some textures are shared by all classes, so that only its place and shape tell what such a
region is.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from pydantic import Field

from posinfo.choices import Section, Seed, one_of
from posinfo.stimuli.scene_textures import TexturePool, seen_textures, unseen_textures

CLASSES = ("sky", "building", "vegetation", "road", "pavement", "car", "person", "sign")
LEFT, RIGHT = -1, 1
BOTH = (LEFT, RIGHT)
NEAREST, FARTHEST = 1.0, 0.25  # depth of what stands on the ground, as share of the way down

Layout = Literal["symmetric", "one_sided", "shifted"]
SceneSplit = Annotated[str, one_of("split", lambda: SPLITS)]


class ScenesConfig(Section):
    """Which scenes are drawn.

    Attributes:
        height: in pixels.
        width: in pixels.
        ambiguous: share of regions that have a texture which all classes share, 0 to 1.
        layout: ``symmetric``; ``one_sided``: cars on the right, people and signs on the left alone;
            or ``shifted``: symmetric, and each scene shifted circularly by a random offset on both
            axes, so that no place is special.
        seed: of the scenes; each scene of a split has a seed of its own.
    """

    height: int = Field(ge=32)
    width: int = Field(ge=32)
    ambiguous: float = Field(ge=0, le=1)
    layout: Layout
    seed: Seed


class Scenes(NamedTuple):
    """Images and the class of each of their pixels.

    Attributes:
        pixels: (n, 3, h, w), RGB values 0..255.
        labels: (n, h, w), indices of ``CLASSES``.
    """

    pixels: UInt8[np.ndarray, "n 3 h w"]
    labels: UInt8[np.ndarray, "n h w"]


class Region(NamedTuple):
    """A part of a scene, which hides those before it.

    Attributes:
        kind: one of ``CLASSES``.
        shape: method of ``ImageDraw`` that draws it.
        points: corners of the polygon, or of the box around it; x and y, in shares of width and
            height.
    """

    kind: str
    shape: Literal["polygon", "rectangle", "ellipse"]
    points: list[tuple[float, float]]


class Street(NamedTuple):
    """Where the road runs, in shares of width and height.

    Attributes:
        horizon: from the top.
        vanishing: x of the point at which the road ends, on the horizon.
        road: half of the road's width at the bottom.
        pavement: width of each pavement at the bottom.
    """

    horizon: float
    vanishing: float
    road: float
    pavement: float

    def ground(self, across: float, depth: float) -> tuple[float, float]:
        """A point on the ground.

        Args:
            across: from the middle of the road, in half widths of it; positive to the right.
            depth: share of the way from the horizon to the bottom.
        """
        x = self.vanishing + across * self.road * depth
        return x, self.horizon + (1 - self.horizon) * depth


def draw_scenes(config: ScenesConfig, split: str, count: int) -> Scenes:
    """The first scenes of a split.

    Args:
        config: what they are like.
        split: a key of ``SPLITS``; the textures of ``unseen`` stand in no other.
        count: of scenes; the first ones are the same whatever it is.
    """
    number, textures = list(SPLITS).index(split), SPLITS[split]()
    size = config.height, config.width
    pixels = np.empty((count, 3, *size), np.uint8)
    labels = np.empty((count, *size), np.uint8)
    for index in range(count):
        random = np.random.default_rng([config.seed, number, index])
        image, label = _paint(list(_regions(config, random)), config, textures, random)
        if config.layout == "shifted":
            offset = random.integers(size).tolist()
            image, label = np.roll(image, offset, (0, 1)), np.roll(label, offset, (0, 1))
        pixels[index], labels[index] = image.transpose(2, 0, 1), label
    return Scenes(pixels, labels)


def _regions(config: ScenesConfig, random: np.random.Generator) -> Iterator[Region]:
    """From the back to the front."""
    street = Street(
        horizon=random.uniform(0.35, 0.5),
        vanishing=random.uniform(0.42, 0.58),
        road=random.uniform(0.25, 0.4),
        pavement=random.uniform(0.12, 0.25),
    )
    yield Region("sky", "rectangle", [(0, 0), (1, 1)])
    for side in BOTH:
        yield from _buildings(street, side, random)
    yield from _ground(street)
    for side in BOTH:
        yield from _trees(street, side, random)
    one_sided = config.layout == "one_sided"
    on_the_road, beside_it = ((RIGHT,), (LEFT,)) if one_sided else (BOTH, BOTH)
    standing = [_sign(street, beside_it, random) for _ in range(random.integers(1, 3))]
    standing += [_person(street, beside_it, random) for _ in range(random.integers(1, 4))]
    standing += [_car(street, on_the_road, random) for _ in range(random.integers(1, 4))]
    yield from (region for _, region in sorted(standing, key=lambda each: each[0]))


def _buildings(street: Street, side: int, random: np.random.Generator) -> Iterator[Region]:
    """A row of houses, the farther the lower."""
    edge = 0.5 + side / 2
    walls = np.linspace(edge, street.vanishing, random.integers(3, 5))
    for near, far in pairwise(walls):
        height = abs(near - street.vanishing) * random.uniform(0.5, 0.9)
        left, right = sorted((near, far))
        yield Region(
            "building", "rectangle", [(left, street.horizon - height), (right, street.horizon)]
        )


def _ground(street: Street) -> Iterator[Region]:
    """Lawns, the pavements on them, and the road."""
    yield Region("vegetation", "rectangle", [(0, street.horizon), (1, 1)])
    farther = 1 + street.pavement / street.road
    for kind, half in (("pavement", farther), ("road", 1.0)):
        corners = [street.ground(-half, 1.0), street.ground(0.0, 0.0), street.ground(half, 1.0)]
        yield Region(kind, "polygon", corners)


def _trees(street: Street, side: int, random: np.random.Generator) -> Iterator[Region]:
    for _ in range(random.integers(0, 3)):
        x, y = street.ground(side * random.uniform(1.8, 2.6), random.uniform(FARTHEST, 0.6))
        radius = random.uniform(0.05, 0.1)
        yield Region("vegetation", "ellipse", [(x - radius, y - 4 * radius), (x + radius, y)])


def _car(
    street: Street, sides: tuple[int, ...], random: np.random.Generator
) -> tuple[float, Region]:
    depth = random.uniform(FARTHEST, NEAREST)
    x, y = street.ground(random.choice(sides) * random.uniform(0.4, 0.6), depth)
    width, height = 0.1 * depth, 0.3 * depth
    return depth, Region("car", "rectangle", [(x - width, y - height), (x + width, y)])


def _person(
    street: Street, sides: tuple[int, ...], random: np.random.Generator
) -> tuple[float, Region]:
    depth = random.uniform(FARTHEST, NEAREST)
    middle = 1 + street.pavement / street.road / 2
    x, y = street.ground(random.choice(sides) * middle, depth)
    width, height = 0.035 * depth, 0.45 * depth
    return depth, Region("person", "ellipse", [(x - width, y - height), (x + width, y)])


def _sign(
    street: Street, sides: tuple[int, ...], random: np.random.Generator
) -> tuple[float, Region]:
    depth = random.uniform(FARTHEST, NEAREST)
    x, y = street.ground(random.choice(sides) * 1.1, depth)
    side, high = 0.05 * depth, 0.55 * depth
    return depth, Region(
        "sign", "rectangle", [(x - side, y - high - 2 * side), (x + side, y - high + 2 * side)]
    )


def _paint(
    regions: list[Region], config: ScenesConfig, textures: TexturePool, random: np.random.Generator
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """The image and the label of each pixel."""
    canvas = Image.new("L", (config.width, config.height))
    draw = ImageDraw.Draw(canvas)
    for number, region in enumerate(regions):
        points = [(x * config.width, y * config.height) for x, y in region.points]
        getattr(draw, region.shape)(points, fill=number)
    numbers = np.asarray(canvas)
    classes = np.array([CLASSES.index(region.kind) for region in regions], np.uint8)
    image = np.empty((config.height, config.width, 3), np.uint8)
    for number, kind in enumerate(classes):
        inside = numbers == number
        shared = random.random() < config.ambiguous
        filled = textures.crop(None if shared else int(kind), image.shape[:2], random)
        image[inside] = filled[inside]
    return image, classes[numbers]


SPLITS: dict[str, Callable[[], TexturePool]] = {
    "train": seen_textures,
    "validation": seen_textures,
    "ranking": seen_textures,
    "test": seen_textures,
    "unseen": unseen_textures,
}
