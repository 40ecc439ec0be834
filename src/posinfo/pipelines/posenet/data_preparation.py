"""Stage 1 of the posenet experiment: ground truth, photographs and synthetic images."""

import logging

import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from posinfo.array_cache import ArrayCache
from posinfo.measures.figures import images_figure, masks_figure
from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.pipelines.progress import progress_bar
from posinfo.stimuli.patterns import make_pattern
from posinfo.stimuli.photos import PhotosConfig, decode_images, photo_manifests
from posinfo.stimuli.synthetic import SYNTHETIC, synthetic_image

PREVIEWED = 8  # photographs in a row of the contact sheet

log = logging.getLogger(__name__)


def make_masks(posenet: PosenetParameters) -> tuple[dict[str, Tensor], Figure]:
    """The ground truth of each pattern, and a picture of it."""
    size = (posenet.image_size, posenet.image_size)
    masks = {pattern: make_pattern(pattern, size, posenet.stripes) for pattern in posenet.patterns}
    return masks, masks_figure(masks)


def make_synthetic_images(posenet: PosenetParameters) -> dict[str, Tensor]:
    """Black, white and noise."""
    size = (posenet.image_size, posenet.image_size)
    return {name: synthetic_image(name, size) for name in SYNTHETIC}


def prepare_photos(
    photos: PhotosConfig, posenet: PosenetParameters, array_cache: ArrayCache
) -> tuple[pd.DataFrame, pd.DataFrame, Figure]:
    """Lists of the train and test images, decoded into the cache, and a contact sheet."""
    train, test = photo_manifests(photos)
    posenet.readout.total_steps(len(train))  # refuses too few images
    preview = {}
    for split, manifest in (("train", train), ("test", test)):
        with progress_bar(f"decoding {split} images", len(manifest)) as on_progress:
            images = decode_images(manifest, posenet.image_size, array_cache, on_progress)
        preview[split] = list(images.pixels[:PREVIEWED])
        shown = manifest.photograph.nunique()
        log.info("%s: %d images from %d photographs", split, len(images), shown)
    return train, test, images_figure(preview)
