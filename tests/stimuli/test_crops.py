import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from posinfo.stimuli.crops import SHIFT_PADDINGS, UNSHIFTED, Crops, ShiftConfig
from posinfo.work import Work

CPU = torch.device("cpu")
MEAN, STD = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
NUMPY_MODES = {"zero": "constant", "reflect": "reflect", "circular": "wrap"}


@pytest.fixture
def pixels(generator):
    return torch.randint(0, 256, (4, 3, 6, 5), dtype=torch.uint8, generator=generator)


def crops(pixels, max_shift=3, padding="zero", dtype=torch.float32):
    return Crops(pixels, max_shift, padding, MEAN, STD, device=CPU, dtype=dtype)


def normalised(window):
    return (window.float() / 255 - MEAN[:, None, None]) / STD[:, None, None]


@pytest.mark.parametrize("padding", SHIFT_PADDINGS)
def test_windows_equal_slices_of_the_padded_image(pixels, padding):
    shown = crops(pixels, padding=padding)
    if padding == "crop":
        larger = interpolate(pixels.float(), (10, 9), mode="bilinear").round().byte()
    else:
        edges = ((0, 0), (0, 0), (1, 2), (1, 2))
        larger = torch.from_numpy(np.pad(pixels.numpy(), edges, mode=NUMPY_MODES[padding]))
    offsets = torch.tensor([[0, 0], [3, 1], [1, 1], [2, 3]])
    images = torch.tensor([3, 0, 1, 1])
    got = shown.batch(images, offsets)
    for window, image, (row, column) in zip(got, images, offsets.tolist(), strict=True):
        expected = normalised(larger[image, :, row : row + 6, column : column + 5])
        torch.testing.assert_close(window, expected)


@pytest.mark.parametrize("padding", ["zero", "reflect", "circular"])
def test_middle_offset_is_the_image_itself(pixels, padding):
    shown = crops(pixels, max_shift=4, padding=padding)
    got = shown.batch(torch.arange(4), torch.full((4, 2), 2))
    torch.testing.assert_close(got, normalised(pixels))


@pytest.mark.parametrize("padding", SHIFT_PADDINGS)
def test_without_a_shift_the_image_is_itself(pixels, padding):
    got = crops(pixels, max_shift=0, padding=padding).batch(
        torch.arange(4), torch.zeros(4, 2).long()
    )
    torch.testing.assert_close(got, normalised(pixels))


def test_mirrored_windows_are_flipped(pixels):
    images, offsets = torch.tensor([2, 2]), torch.tensor([[1, 2], [1, 2]])
    plain, flipped = crops(pixels).batch(images, offsets, torch.tensor([False, True]))
    torch.testing.assert_close(plain.flip(2), flipped)


def test_windows_are_channels_last_and_of_the_given_dtype(pixels):
    got = crops(pixels, dtype=torch.bfloat16).batch(torch.arange(2), torch.zeros(2, 2).long())
    assert got.dtype == torch.bfloat16 and got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("max_shift", [-1, 5, 40])
def test_shift_larger_than_the_image(pixels, max_shift):
    with pytest.raises(ValueError, match=f"side of the images, 5 px; got {max_shift}$"):
        crops(pixels, max_shift=max_shift)


def test_unknown_padding(pixels):
    with pytest.raises(ValueError, match="^shift padding must be one of zero, reflect, circular"):
        crops(pixels, padding="replicate")


def test_crops_of_a_split_have_its_images_and_labels(pixels):
    images = {"mean": MEAN, "std": STD}
    for index, split in enumerate(("train", "validation", "test")):
        images |= {f"{split}.pixels": pixels + index, f"{split}.labels": torch.arange(4) + index}
    shift = ShiftConfig(max_shift=2, padding="circular")
    shown, labels = Crops.of(images, "validation", shift, Work(dtype=torch.bfloat16))
    assert labels.tolist() == [1, 2, 3, 4] and shown.offsets == 3
    got = shown.batch(torch.arange(4), torch.ones(4, 2).long())
    torch.testing.assert_close(got.float(), normalised(pixels + 1), atol=0.02, rtol=0.02)
    assert got.dtype == torch.bfloat16
    plain, _ = Crops.of(images, "test", UNSHIFTED, Work())
    torch.testing.assert_close(
        plain.batch(torch.arange(4), torch.zeros(4, 2).long()), normalised(pixels + 2)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_shift": 32}, "max_shift must be less than the side of the images, 32 px; got 32"),
        ({"padding": "wrap"}, "shift padding must be one of zero, reflect, circular, crop"),
    ],
)
def test_bad_ranges_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ShiftConfig(**{"max_shift": 8, "padding": "zero", **changes})


def test_ranges_have_names():
    assert ShiftConfig(max_shift=8, padding="reflect").name == "reflect-8"
