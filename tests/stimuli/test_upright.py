from pathlib import Path

import pytest

from posinfo.stimuli.photos import EMBEDDED, PhotosConfig, embedded_crops
from posinfo.stimuli.upright import upright_photographs


def config(test_dir=None):
    return PhotosConfig(train_dir=None, test_dir=test_dir, train_crops=1, test_crops=1, seed=3)


def test_every_embedded_photograph_has_as_many_upright_crops():
    manifest = upright_photographs(config(), 4)
    names = [*EMBEDDED["train"], *EMBEDDED["test"]]
    assert manifest.photograph.value_counts().to_dict() == dict.fromkeys(names, 4)
    assert set(manifest.symmetry) == {0}
    boxes = ["left", "top", "right", "bottom"]
    turned = embedded_crops("train", 4 * len(EMBEDDED["train"]), 3)
    assert manifest[boxes][: len(turned)].equals(turned[boxes])
    assert set(turned.symmetry) != {0}


def test_a_folder_takes_their_place(save_photo):
    folder = save_photo("a/mine.png").parent.parent
    assert upright_photographs(config(folder), 4).photograph.tolist() == ["a/mine.png"]
    with pytest.raises(FileNotFoundError, match="^photos.test_dir: there is no folder nowhere"):
        upright_photographs(config(Path("nowhere")), 4)
