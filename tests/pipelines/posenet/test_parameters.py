import copy

import pytest
import yaml
from pydantic import ValidationError

from posinfo.pipelines.posenet.parameters import PosenetParameters
from tests.conftest import PROJECT

BASE = yaml.safe_load((PROJECT / "conf/base/parameters_posenet.yml").read_text())["posenet"]


def changed(**changes):
    settings = copy.deepcopy(BASE)
    for path, value in changes.items():
        *parents, last = path.split("__")
        section = settings
        for name in parents:
            section = section[name]
        section[last] = value
    return settings


def test_base_configuration_is_valid_and_complete():
    parameters = PosenetParameters.model_validate(BASE)
    assert list(parameters.rows) == ["posenet", "vgg16", "vgg16_unpadded", "vgg16_untrained"]
    heads = parameters.cells[0].heads
    assert len(heads) == 6 * 3
    assert heads[:4] == [
        ("horizontal", 0), ("horizontal", 1), ("horizontal", 2), ("vertical", 0),
    ]  # fmt: skip


def test_only_selects_rows_and_spares_the_others_their_weights():
    settings = changed(only=["posenet"], backbones__vgg16__weights="absent.pth")
    assert list(PosenetParameters.model_validate(settings).rows) == ["posenet"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patterns": ["horizonal"]}, "got 'horizonal' (did you mean 'horizontal'?)"),
        ({"patterns": []}, "at least 1 item"),
        ({"seeds": [1, 1]}, "each value may stand once; repeated: 1"),
        (
            {"normalisation": "imagnet"},
            "normalisation must be one of imagenet, none; got 'imagnet'",
        ),
        ({"backbones__vgg16__arch": "vgg"}, "package.module:function; got 'vgg'"),
        ({"backbones__vgg16__weights": "hed"}, "weights must be one of untrained, imagenet"),
        ({"backbones__vgg16__weights": "absent.pth"}, "weights: there is no file absent.pth"),
        ({"backbones__a/b": BASE["backbones"]["posenet"]}, "String should match pattern"),
        ({"only": ["vgg"]}, "only must be one of posenet, vgg16, vgg16_unpadded, vgg16_untrained"),
        ({"stripes": "both"}, "stripes must be one of unit, signed; got 'both'"),
        ({"readout__head": "ridge"}, "head 'ridge' is solved, not trained from a seed"),
        ({"feature_size": 225}, "feature_size 225 must be at most image_size 224"),
        ({"feature_size": 2}, "leave 0 of 2 px; at least 2 are needed"),
        (
            {"image_size": 128},
            "images of 128 px are too small for arch 'vgg16' with padding 'none'",
        ),
        ({"colour": 1}, "Extra inputs are not permitted"),
        ({"readout__kernel": 3}, "Extra inputs are not permitted"),
        ({"readout__lr": -1}, "greater than 0"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises((ValidationError, FileNotFoundError)) as raised:
        PosenetParameters.model_validate(changed(**changes))
    assert message in str(raised.value)
