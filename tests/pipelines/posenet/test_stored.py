import pytest
import torch
import yaml

from posinfo.networks.readout_state import to_tensors
from posinfo.networks.readouts import Readouts
from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.pipelines.posenet.stored import check_photographs, feature_keys, trained_readouts
from posinfo.stimuli.photos import embedded_crops, images_key
from tests.conftest import PROJECT

BASE = yaml.safe_load((PROJECT / "conf/base/parameters_posenet.yml").read_text())["posenet"]
KEYS = {"train": "a", "photos": "b", "synthetic": "c"}
AGAIN = "run the stage `modeling`, or the whole pipeline, again$"


def posenet(**changes):
    return PosenetParameters.model_validate({**BASE, "only": ["posenet"], **changes})


def test_features_are_those_of_the_same_settings():
    stored = {"posenet": {"settings": posenet().feature_settings("posenet"), "keys": KEYS}}
    assert feature_keys(stored, "posenet", posenet()) == KEYS
    for other in (posenet(normalisation="none"), posenet(image_size=240)):
        with pytest.raises(ValueError, match=f"^there are no features of 'posenet' .*: {AGAIN}"):
            feature_keys(stored, "posenet", other)
    with pytest.raises(ValueError, match="^there are no features of 'vgg16' "):
        feature_keys(stored, "vgg16", posenet())


def test_photographs_are_those_of_the_features():
    photos = embedded_crops("test", 3, 0)
    keys = {"photos": f"features-1-{images_key(photos, 224)}-float32"}
    check_photographs(keys, photos, 224)
    for other, size in ((embedded_crops("test", 3, 1), 224), (photos, 225)):
        with pytest.raises(ValueError, match=f"^the test photographs are not those .*: {AGAIN}"):
            check_photographs(keys, other, size)


def test_readouts_are_those_of_the_same_heads_and_features():
    settings = posenet()
    heads = Readouts(3, [0] * len(settings.heads), settings.readout)
    history = torch.zeros(1, len(settings.heads))
    tensors = to_tensors(heads, history, settings.readout_settings("a"))
    stored = {"posenet": lambda: dict(tensors)}
    assert trained_readouts(stored, "posenet", KEYS, settings)[1].shape == (1, len(settings.heads))
    swapped = posenet(patterns=BASE["patterns"][::-1])
    for keys, other in ((KEYS, swapped), ({**KEYS, "train": "z"}, settings)):
        with pytest.raises(ValueError, match="^these readouts were trained with other settings"):
            trained_readouts(stored, "posenet", keys, other)
    with pytest.raises(ValueError, match=f"^there are no trained readouts of 'vgg16': {AGAIN}"):
        trained_readouts(stored, "vgg16", KEYS, settings)
