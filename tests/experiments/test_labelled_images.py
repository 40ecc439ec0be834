import torch

from posinfo.experiments.labelled_images import ImagesCell, run
from posinfo.stimuli.labelled_images import DatasetConfig, load_labelled_images
from posinfo.work import Work


def dataset(**changes):
    settings = {
        "name": "textures", "folder": "nowhere", "download": False, "validation": 0.5,
        "classes": None, "train_limit": 40, "test_limit": 20, "seed": 0,
    }  # fmt: skip
    return DatasetConfig(**{**settings, **changes})


def test_images_are_those_of_the_data_set():
    result = run(ImagesCell(dataset=dataset()), {}, Work())
    expected = load_labelled_images(dataset())
    assert result.tensors["train.pixels"].shape == (20, 3, 32, 32)
    assert result.tensors.keys() == expected.keys()
    assert all(torch.equal(result.tensors[name], expected[name]) for name in expected)


def test_images_know_their_settings_but_not_where_they_lie():
    settings = ImagesCell(dataset=dataset()).model_dump(mode="json")
    same = ImagesCell(dataset=dataset(folder="elsewhere", download=True))
    assert same.model_dump(mode="json") == settings
    for name, value in {"train_limit": 60, "test_limit": None, "seed": 1}.items():
        other = ImagesCell(dataset=dataset(**{name: value})).model_dump(mode="json")
        assert other["dataset"].pop(name) != settings["dataset"][name]
        assert other["dataset"].items() <= settings["dataset"].items()
