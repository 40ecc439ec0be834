import hashlib
import pickle
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torchvision.datasets import CIFAR10

from posinfo.stimuli.labelled_images import DatasetConfig, load_labelled_images


def config(tmp_path=Path("nowhere"), **changes):
    settings = {
        "name": "digits", "folder": tmp_path, "download": False, "validation": 0.1,
        "classes": None, "train_limit": None, "test_limit": None, "seed": 0,
    }  # fmt: skip
    return DatasetConfig(**{**settings, **changes})


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """CIFAR-10 as it is on disk, with ten images per file and their true checksums."""
    values = np.random.default_rng(0)
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()

    def write(name, content):
        data = pickle.dumps(content, protocol=2)
        (folder / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    def batch(name):
        data = values.integers(0, 256, (20, 3072), dtype=np.uint8)
        labels = np.arange(20) % 10
        return write(name, {"data": data, "labels": labels.tolist(), "batch_label": name})

    monkeypatch.setattr(CIFAR10, "train_list", [batch(f"data_batch_{i}") for i in range(1, 6)])
    monkeypatch.setattr(CIFAR10, "test_list", [batch("test_batch")])
    meta, checksum = write("batches.meta", {"label_names": [str(i) for i in range(10)]})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": meta, "key": "label_names", "md5": checksum})
    return tmp_path


def test_digits_have_their_number_size_and_mean():
    images = load_labelled_images(config())
    sizes = [len(images[f"{split}.labels"]) for split in ("train", "validation", "test")]
    assert sizes == [1262, 140, 395] and sum(sizes) == len(load_digits().target)
    assert images["train.pixels"].shape[1:] == (3, 32, 32)
    assert images["train.pixels"].dtype == torch.uint8
    # the mean of a digit survives bilinear enlargement up to its rim
    ours = images["test.pixels"].float().mean().item()
    assert ours == pytest.approx(load_digits().images.mean() * 255 / 16, rel=0.03)


def test_enlarged_digit_shows_its_pixels():
    images = load_labelled_images(config())
    small = torch.nn.functional.avg_pool2d(images["train.pixels"][:, :1].float(), 4)
    originals = torch.from_numpy(load_digits().images).float() * 255 / 16
    labels = torch.from_numpy(load_digits().target)
    for index in (0, 100, 1000):
        distances = (originals - small[index, 0]).square().mean((1, 2))
        assert labels[distances.argmin()] == images["train.labels"][index]


def test_digits_are_enlarged_as_pillow_does():
    """Bilinearly, pixel centres at halves."""
    images = load_labelled_images(config())
    originals = load_digits().images * 255 / 16
    for enlarged in images["test.pixels"][:5].float():
        small = torch.nn.functional.avg_pool2d(enlarged[:1], 4)[0].numpy()
        digit = originals[np.square(originals - small).sum((1, 2)).argmin()]
        expected = Image.fromarray(digit.astype(np.float32)).resize(
            (32, 32), Image.Resampling.BILINEAR
        )
        for channel in enlarged:
            np.testing.assert_allclose(channel, np.asarray(expected), atol=1)


def test_splits_are_disjoint_stratified_and_repeatable():
    first, second = load_labelled_images(config()), load_labelled_images(config())
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = load_labelled_images(config(seed=1))
    assert not torch.equal(first["validation.labels"], other["validation.labels"])
    assert torch.equal(first["test.pixels"], other["test.pixels"])
    for split in ("train", "validation", "test"):
        counts = first[f"{split}.labels"].bincount()
        assert counts.max() - counts.min() <= 0.1 * counts.max() + 1
    names = ("train", "validation", "test")
    shown = [{p.numpy().tobytes() for p in first[f"{name}.pixels"]} for name in names]
    assert not (shown[0] & shown[1] or shown[0] & shown[2] or shown[1] & shown[2])


def test_colours_are_those_of_the_train_images():
    images = load_labelled_images(config())
    shown = images["train.pixels"].double() / 255
    torch.testing.assert_close(images["mean"], shown.mean((0, 2, 3)).float())
    torch.testing.assert_close(images["std"], shown.std((0, 2, 3), correction=0).float())


def test_limits(cifar):
    for settings in (config(), config(cifar, name="cifar10")):
        limited = settings.model_copy(update={"train_limit": 80, "test_limit": 10})
        images = load_labelled_images(limited.model_copy(update={"validation": 0.25}))
        sizes = [len(images[f"{split}.labels"]) for split in ("train", "validation", "test")]
        assert sizes == [60, 20, 10]


def test_limited_test_images_do_not_follow_the_seed():
    first, second = (load_labelled_images(config(seed=s, test_limit=50)) for s in (0, 1))
    assert len(first["test.labels"]) == 50
    assert torch.equal(first["test.pixels"], second["test.pixels"])
    assert not torch.equal(first["train.pixels"], second["train.pixels"])


def test_cifar10_from_its_files(cifar):
    images = load_labelled_images(config(cifar, name="cifar10", validation=0.2))
    assert [len(images[f"{split}.labels"]) for split in ("train", "validation", "test")] == [
        80,
        20,
        20,
    ]
    with (cifar / CIFAR10.base_folder / "test_batch").open("rb") as file:
        raw = pickle.load(file)
    # red plane first, then green and blue, each row by row
    assert images["test.pixels"][3, 1, 4, 5] == raw["data"][3, 1024 + 4 * 32 + 5]
    assert images["test.labels"].tolist() == raw["labels"]


def test_corrupt_cifar_batch_is_refused(cifar):
    batch = cifar / CIFAR10.base_folder / "data_batch_3"
    batch.write_bytes(batch.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"^CIFAR-10 in .*cifar-10-batches-py is incomplete"):
        load_labelled_images(config(cifar, name="cifar10"))


def test_missing_cifar_names_the_setting(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"set dataset.folder to where cifar-10-python.tar"):
        load_labelled_images(config(tmp_path, name="cifar10"))


def test_download_without_a_network(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise URLError("no route to host")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    with pytest.raises(ConnectionError, match=r"could not be downloaded .*no route to host"):
        load_labelled_images(config(tmp_path, name="cifar10", download=True))


def test_too_few_images_for_a_split():
    with pytest.raises(ValueError, match=r"^dataset: 30 images cannot be split into 27 and 3"):
        load_labelled_images(config(train_limit=30))


@pytest.mark.parametrize("validation", [0.001, 0.999])
def test_textures_in_every_split(validation):
    with pytest.raises(ValueError, match="^dataset.validation must leave at least one of 480"):
        load_labelled_images(config(name="textures", validation=validation))


def test_first_classes():
    images = load_labelled_images(config(classes=4))
    every = load_labelled_images(config())
    assert images["test.labels"].unique().tolist() == [0, 1, 2, 3]
    assert torch.equal(images["test.pixels"], every["test.pixels"][every["test.labels"] < 4])
    with pytest.raises(ValueError, match="dataset.classes must be at most 10; got 11"):
        config(classes=11)
    assert (config().class_count, config(classes=4).class_count) == (10, 4)
    assert config(name="cifar100").class_count == 100


def test_unknown_dataset():
    with pytest.raises(
        ValueError, match="dataset.name must be one of digits, textures, cifar10, cifar100"
    ):
        config(name="digit")


def test_textures_have_as_many_patches_of_each_photograph():
    images = load_labelled_images(config(name="textures"))
    splits = ("train", "validation", "test")
    counts = [images[f"{split}.labels"].bincount().tolist() for split in splits]
    assert counts == [[432] * 10, [48] * 10, [30] * 10]
    limited = config(name="textures", train_limit=80, validation=0.25, test_limit=10, classes=5)
    images = load_labelled_images(limited)
    counts = [images[f"{split}.labels"].bincount().tolist() for split in splits]
    assert counts == [[12] * 5, [4] * 5, [2] * 5]
