import torch

from posinfo.stimuli.image_set import ImageSet


def test_batch_is_a_copy():
    images = ImageSet.of(torch.zeros(5, 3, 4, 4, dtype=torch.uint8))
    assert len(images.batch(4, 2)) == 1
    images.batch(0, 2).fill_(7)
    assert images.pixels.max() == 0


def test_key_follows_the_pixels():
    pixels = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    key = ImageSet.of(pixels).key
    assert ImageSet.of(pixels.clone()).key == key
    assert ImageSet.of(pixels + 1).key != key
