import copy

import pytest
import yaml

from posinfo.pipelines.posenet.parameters import PosenetParameters
from posinfo.pipelines.posenet_ablations.parameters import AblationParameters, check_parameters
from tests.conftest import PROJECT

CONF = PROJECT / "conf/base"
BASE = {
    name: yaml.safe_load((CONF / f"parameters_{name}.yml").read_text())[name]
    for name in ("posenet", "posenet_ablations")
}


def changed(**changes):
    parameters = copy.deepcopy(BASE)
    parameters["posenet_ablations"] |= changes
    return parameters


def resolve(**changes):
    parameters = changed(**changes)
    posenet = PosenetParameters.model_validate(parameters["posenet"])
    return AblationParameters.model_validate(parameters["posenet_ablations"]).resolve(posenet)


def test_base_configuration_is_valid_and_has_the_papers_tables():
    check_parameters(BASE)
    tables = {table for cell in resolve() for table in cell.tables}
    assert tables == {"1", "2a", "2b", "3", "4", "heads"}


def test_cells_differ_from_table_1_by_what_they_say():
    cells = {cell.label: cell for cell in resolve()}
    assert cells["vgg16"].readout.model_dump() == BASE["posenet"]["readout"] | {
        "ridge": cells["vgg16"].readout.ridge.model_dump()
    }
    assert cells["vgg16-k7"].readout.kernel_size == 7
    assert cells["vgg16-f3"].blocks == ("f3",)
    assert cells["vgg16-f3"].features == cells["vgg16"].features == "vgg16"
    assert cells["vgg16-l2-w32"].seeds == (0,)
    assert cells["resnet18_untrained-seed1"].row.seed == 1
    assert cells["resnet18_untrained-seed1"].features == "resnet18_untrained-seed1"
    assert cells["resnet18_untrained-seed1"].name == "resnet18_untrained"


def test_normalisation_of_a_cell_has_features_of_its_own():
    (cell,) = resolve(cells=[{"tables": ["1"], "backbone": "vgg16", "normalisation": "none"}])
    assert (cell.label, cell.features, cell.normalisation) == (
        "vgg16-norm-none", "vgg16-norm-none", "none",
    )  # fmt: skip


def test_features_are_shared_by_cells_that_read_the_same():
    cells = resolve()
    settings = {}
    for cell in cells:
        assert settings.setdefault(cell.features, cell.feature_settings) == cell.feature_settings
    assert len(settings) == 11


@pytest.mark.parametrize(
    ("only", "labels"),
    [
        (["3"], ["vgg16", "vgg16-f1", "vgg16-f2", "vgg16-f3", "vgg16-f4", "vgg16-f5"]),
        (["vgg16-k7", "posenet"], ["posenet", "vgg16-k7"]),
    ],
)
def test_only_takes_tables_and_labels(only, labels):
    assert [cell.label for cell in resolve(only=only)] == labels


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"only": ["5"]}, "posenet_ablations.only must be one of 1, 2a, 2b, 3, 4, heads, posenet"),
        (
            {"cells": [{"tables": ["1"], "backbone": "vgg61"}]},
            "posenet_ablations.cells: backbone must be one of posenet, vgg16, vgg16_unpadded",
        ),
        (
            {"cells": [{"tables": ["1"], "backbone": "vgg16", "readout": {"kernel": 3}}]},
            "posenet_ablations.cells: readout must be one of head, kernel_size",
        ),
        (
            {"cells": [{"tables": ["1"], "backbone": "vgg16", "blocks": ["f6"]}]},
            "posenet_ablations.cells: vgg16-f6: blocks must be among f1, f2, f3, f4, f5; got 'f6'",
        ),
        (
            {"cells": [{"tables": ["1"], "backbone": "vgg16", "patterns": ["diagonal"]}]},
            "posenet_ablations: pattern must be one of horizontal",
        ),
        (
            {"cells": [{"tables": [t], "backbone": "vgg16"} for t in ("1", "2a")]},
            "posenet_ablations.cells: vgg16 stands there twice; name all its tables in one item",
        ),
        ({"cells": []}, "at least 1 item"),
        (
            {"cells": [{"tables": ["1"], "backbone": "vgg16", "normalisation": "bogus"}]},
            "normalisation must be one of imagenet, none; got 'bogus'",
        ),
        (
            {"cells": [{"tables": ["1"], "backbone": "vgg16", "seeds": [0, 0]}]},
            "each value may stand once; repeated: 0",
        ),
        (
            {"cells": [{"tables": ["1"], "backbone": "vgg16", "backbone_seeds": [0, 1]}]},
            "backbone_seeds are of untrained weights; 'vgg16' has weights 'hed-bsds500'",
        ),
        (
            {"cells": [{"tables": ["4"], "backbone": "vgg16", "readout": {"head": "ridge"}}]},
            "head 'ridge' is solved, not trained from a seed: give it one seed; got (0, 1, 2)",
        ),
    ],
)
def test_bad_cells_are_refused(changes, message):
    with pytest.raises(ValueError) as raised:
        check_parameters(changed(**changes))
    assert message in str(raised.value)
