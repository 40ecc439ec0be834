import pytest
import torch
import yaml

from posinfo.networks.readout_state import to_tensors
from posinfo.networks.readouts import Readouts
from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.pipelines.posenet.stored import (
    StoredFeatures,
    check_photographs,
    stored_features,
    trained_readouts,
)
from posinfo.stimuli.photos import embedded_crops, images_key
from tests.conftest import PROJECT

BASE = yaml.safe_load((PROJECT / "conf/base/parameters_posenet.yml").read_text())["posenet"]
KEYS = {"train": "a", "photos": "b", "synthetic": "c"}
AGAIN = "run the stage `modeling`, or the whole pipeline, again$"


def posenet(**changes):
    return PosenetParameters.model_validate({**BASE, "only": ["posenet"], **changes})


def cell(**changes):
    return posenet(**changes).cells[0]


def stored(keys=KEYS):
    return StoredFeatures(settings=cell().feature_settings, keys=keys, channels={"image": 3})


def test_features_are_those_of_the_same_settings():
    features = {"posenet": stored()}
    assert stored_features(features, cell()) == stored()
    for other in (cell(normalisation="none"), cell(image_size=240)):
        with pytest.raises(ValueError, match=f"^there are no features of 'posenet' .*: {AGAIN}"):
            stored_features(features, other)
    with pytest.raises(ValueError, match="^there are no features of 'posenet' "):
        stored_features({}, cell())


def test_photographs_are_those_of_the_features():
    photos = embedded_crops("test", 3, 0)
    features = stored({"photos": f"features-1-{images_key(photos, 224)}-float32"})
    check_photographs(features, "photos", photos, 224)
    for other, size in ((embedded_crops("test", 3, 1), 224), (photos, 225)):
        with pytest.raises(ValueError, match=f"^the photos images are not those .*: {AGAIN}"):
            check_photographs(features, "photos", other, size)


def test_readouts_are_those_of_the_same_heads_and_features():
    heads = Readouts(3, [0] * len(cell().heads), cell().readout)
    history = torch.zeros(1, len(cell().heads))
    tensors = to_tensors(heads, history, cell().readout_settings("a"))
    readouts = {"posenet": lambda: dict(tensors)}
    assert trained_readouts(readouts, cell(), stored())[1].shape == (1, len(cell().heads))
    swapped = cell(patterns=BASE["patterns"][::-1])
    signed = cell(stripes="signed")
    for keys, other in ((KEYS, swapped), (KEYS, signed), ({**KEYS, "train": "z"}, cell())):
        with pytest.raises(ValueError, match="^these readouts were made with other settings"):
            trained_readouts(readouts, other, stored(keys))
    with pytest.raises(ValueError, match=f"^there are no trained readouts of 'posenet': {AGAIN}"):
        trained_readouts({}, cell(), stored())
