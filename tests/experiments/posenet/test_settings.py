import re

import pytest
import torch
from pydantic import ValidationError

from posinfo.experiments import POSENET, POSENET_ABLATIONS
from posinfo.experiments.posenet.settings import AblationSettings, PosenetSettings
from posinfo.stimuli.photos import EMBEDDED, embedded_photograph
from tests.experiments.conftest import base, changed, check, keys, planned

BASE = base("photos", "posenet")
ABLATIONS = base("photos", "posenet", "posenet_ablations")
TABLES = {"1", "2a", "2b", "3", "4", "heads"}


def settings(**changes):
    return PosenetSettings.model_validate(changed(BASE, **changes))


def ablations(**changes):
    return AblationSettings.model_validate(with_ablations(**changes))


def with_ablations(**changes):
    return changed(ABLATIONS, **{f"posenet_ablations__{n}": v for n, v in changes.items()})


def test_base_configuration_is_valid_and_complete():
    check(POSENET, BASE)
    cells = planned(POSENET, BASE)
    assert list(cells["readouts"]) == [
        "posenet", "vgg16", "vgg16_unpadded", "vgg16_untrained",
        "efficientnet_lite0", "efficientnet_lite0_unpadded",
    ]  # fmt: skip
    heads = cells["readouts"]["posenet"].cell.heads
    assert len(heads) == 8 * 3
    assert heads[:4] == (
        ("horizontal", 0), ("horizontal", 1), ("horizontal", 2), ("vertical", 0),
    )  # fmt: skip


def test_only_selects_cells_and_spares_the_others_their_weights():
    sections = changed(BASE, posenet__only=["posenet"])
    sections["posenet"]["backbones"]["vgg16"]["weights"] = "absent.pth"
    cells = planned(POSENET, sections)
    assert list(cells["readouts"]) == list(cells["evaluate"]) == ["posenet"]
    assert list(cells["features"]) == ["posenet.train", "posenet.test", "posenet.synthetic"]


def test_a_backbone_that_is_null_is_none():
    without = planned(POSENET, changed(BASE, posenet__backbones__vgg16=None))
    others = [label for label in planned(POSENET, BASE)["readouts"] if label != "vgg16"]
    assert list(without["readouts"]) == others


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
        (
            {"backbones__a/b": BASE["posenet"]["backbones"]["posenet"]},
            "String should match pattern",
        ),
        (
            {"stimuli": ["black", "grey"]},
            "stimulus must be one of black, white, noise, noise_independent; got 'grey'",
        ),
        ({"stimuli": []}, "at least 1 item"),
        ({"split": "train"}, "Input should be 'test' or 'validation'"),
        ({"held_out": 0}, "greater than 0"),
        ({"held_out": 1}, "less than 1"),
        ({"stripes": "both"}, "stripes must be one of unit, signed; got 'both'"),
        ({"colour": 1}, "setting must be one of"),
        ({"readout__kernel": 3}, "setting must be one of"),
        ({"readout__lr": -1}, "greater than 0"),
    ],
)
def test_bad_values_are_refused_by_the_model(changes, message):
    with pytest.raises(ValidationError) as raised:
        settings(**{f"posenet__{name}": value for name, value in changes.items()})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbones__vgg16__weights": "hed"}, "weights must be one of untrained, imagenet"),
        ({"backbones__vgg16__weights": "absent.pth"}, "weights: there is no file absent.pth"),
        (
            {"only": ["vgg"]},
            "posenet.only must be one of posenet, vgg16, vgg16_unpadded, vgg16_untrained",
        ),
        ({"readout__head": "ridge"}, "head 'ridge' is solved, not trained from a seed"),
        ({"feature_size": 225}, "feature_size 225 must be at most image_size 224"),
        ({"feature_size": 2}, "leave 0 of 2 px; at least 2 are needed"),
        (
            {"image_size": 128},
            "images of 128 px are too small for arch 'vgg16' with padding 'none'",
        ),
        (
            {"readout__batch_size": 401},
            "400 train images are fewer than readout.batch_size 401",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_computed(changes, message):
    sections = changed(BASE, **{f"posenet__{name}": value for name, value in changes.items()})
    PosenetSettings.model_validate(sections)
    with pytest.raises((ValueError, FileNotFoundError)) as raised:
        check(POSENET, sections)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, ("images", "features", "readouts", "evaluate")),
        ({"posenet__only": []}, ("images", "features", "readouts", "evaluate")),
        ({"posenet__seeds": [0, 1]}, ("images", "features")),
        ({"posenet__stripes": "signed"}, ("images", "features")),
        ({"posenet__readout__lr": 0.2}, ("images", "features")),
        (
            {"posenet__readout__ridge__held_out": 0.3},
            ("images", "features", "readouts", "evaluate"),
        ),
        ({"posenet__held_out": 0.5}, ("images", "features", "readouts", "evaluate")),
        ({"posenet__split": "validation"}, ("images", "features")),
        ({"posenet__normalisation": "none"}, ("images",)),
        ({"posenet__feature_size": 24}, ("images",)),
        ({"posenet__image_size": 240}, ()),
    ],
)
def test_a_result_is_found_again_by_what_it_depends_on_alone(changes, same):
    before = planned(POSENET, changed(BASE, posenet__only=["posenet"]))
    after = planned(POSENET, changed(BASE, **{"posenet__only": ["posenet"], **changes}))
    for step, cells in before.items():
        for label, cell in cells.items():
            assert (after[step][label].key == cell.key) == (step in same), (step, label)


def inputs_of(split):
    """Of a table of one row: names of the results that readouts and their evaluation are given."""
    plan = planned(POSENET, changed(BASE, posenet__only=["posenet"], posenet__split=split))
    made = {
        cell.key: f"{step}/{label}" for step, cells in plan.items() for label, cell in cells.items()
    }
    return [
        {role: made[key] for role, key in plan[step]["posenet"].inputs.items()}
        for step in ("readouts", "evaluate")
    ]


def test_readouts_learn_from_train_photographs_and_are_tested_on_the_others():
    readouts, evaluate = inputs_of("test")
    assert readouts == {"features": "features/posenet.train", "images": "images/train"}
    assert evaluate == {
        "readouts": "readouts/posenet", "photos": "features/posenet.test", "images": "images/test",
        "synthetic": "features/posenet.synthetic", "synthetic_images": "images/synthetic",
    }  # fmt: skip


def test_validation_opens_no_test_photographs():
    readouts, evaluate = inputs_of("validation")
    assert readouts == {"features": "features/posenet.train", "images": "images/train"}
    assert evaluate == {
        "readouts": "readouts/posenet", "photos": "features/posenet.train",
        "images": "images/train",
        "synthetic": "features/posenet.synthetic", "synthetic_images": "images/synthetic",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("experiment", "sections"), [(POSENET, BASE), (POSENET_ABLATIONS, ABLATIONS)]
)
def test_both_steps_hold_out_the_same_share(experiment, sections):
    section = f"{experiment.name}__only"
    plans = {
        (split, share): planned(
            experiment,
            changed(
                sections, posenet__split=split, posenet__held_out=share, **{section: ["posenet"]}
            ),
        )
        for split in ("test", "validation")
        for share in (0.3, 0.5)
    }
    for step in ("readouts", "evaluate"):
        found = {asked: plan[step]["posenet"] for asked, plan in plans.items()}
        assert {asked: planned.cell.held_out for asked, planned in found.items()} == {
            ("test", 0.3): None, ("test", 0.5): None,
            ("validation", 0.3): 0.3, ("validation", 0.5): 0.5,
        }  # fmt: skip
        assert len({planned.key for planned in found.values()}) == 3


def test_fewer_images_are_trained_on_where_photographs_are_held_out():
    """Of seven embedded photographs, three."""
    resolved = settings(posenet__split="validation")
    train, _ = resolved.manifests
    sizes = train.groupby("photograph").size()
    assert len(sizes) == 7
    assert 400 - 3 * sizes.max() <= resolved.fitted_images <= 400 - 3 * sizes.min()
    batch = resolved.fitted_images + 1
    sections = changed(BASE, posenet__split="validation", posenet__readout__batch_size=batch)
    message = f"^{resolved.fitted_images} train images are fewer than readout.batch_size {batch}"
    with pytest.raises(ValueError, match=message):
        check(POSENET, sections)
    check(POSENET, changed(sections, posenet__split="test", posenet__only=["posenet"]))


@pytest.mark.parametrize(
    ("experiment", "sections"), [(POSENET, BASE), (POSENET_ABLATIONS, ABLATIONS)]
)
def test_a_single_photograph_cannot_be_held_out(experiment, sections):
    single = changed(sections, posenet__split="validation", photos__train_crops=1)
    message = (
        "posenet.split validation: to hold whole photographs out, there must be two or more; got "
        "1: astronaut; give photos.train_dir more photographs, or photos.train_crops a larger "
        "number"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        planned(experiment, single)


def test_features_depend_on_the_code_of_ones_own_network():
    sections = changed(BASE, posenet__only=["vgg16"])
    own = {"arch": "tests.networks.models.test_architectures:own_network", "weights": "as-built"}
    sections["posenet"]["backbones"]["vgg16"] |= own
    packages = ("tests", "tests.networks", "tests.networks.models")
    modules = (*packages, "tests.networks.models.test_architectures")
    for cell in planned(POSENET, sections)["features"].values():
        assert cell.cell.modules == modules


def test_other_train_photographs_change_all_but_what_is_said_of_test_photographs():
    before, after = (
        planned(POSENET, changed(BASE, photos__train_crops=count, posenet__only=["posenet"]))
        for count in (400, 399)
    )
    same = {
        f"{step}/{label}"
        for step, cells in before.items()
        for label, cell in cells.items()
        if after[step][label].key == cell.key
    }
    assert same == {
        "images/test", "images/synthetic", "features/posenet.test", "features/posenet.synthetic",
    }  # fmt: skip


@pytest.mark.parametrize("step", ["train", "test"])
def test_a_copy_of_a_train_photograph_is_no_test_photograph(tmp_path, step):
    """Whichever of the two sets is new: its file differs, and its name."""
    for folder in ("train", "test"):
        (tmp_path / folder).mkdir()
    first, second = list(EMBEDDED["train"])[:2]
    embedded_photograph(first).save(tmp_path / "train/a.png")
    embedded_photograph(second).save(tmp_path / "test/b.png")
    folders = {f"photos__{name}_dir": str(tmp_path / name) for name in ("train", "test")}
    planned(POSENET, changed(BASE, **folders))["images"][step].cell.check()
    embedded_photograph(first).save(tmp_path / "test/c.jpg", quality=80)
    cell = planned(POSENET, changed(BASE, **folders))["images"][step].cell
    with pytest.raises(ValueError, match="^1 photographs show what another one shows, the first"):
        cell.check()


def test_other_images_without_content_leave_photographs_and_readouts_alone():
    plans = [
        planned(POSENET, changed(BASE, posenet__stimuli=stimuli, posenet__only=["posenet"]))
        for stimuli in (["black", "white", "noise"], ["noise_independent"])
    ]
    changed_keys = {
        f"{step}/{label}"
        for step, cells in plans[0].items()
        for label, cell in cells.items()
        if plans[1][step][label].key != cell.key
    }
    assert changed_keys == {
        "images/synthetic", "features/posenet.synthetic", "evaluate/posenet",
    }  # fmt: skip


def test_the_order_of_patterns_is_part_of_a_readouts_key():
    patterns = BASE["posenet"]["patterns"]
    first, second = (
        keys(POSENET, changed(BASE, posenet__patterns=order, posenet__only=["posenet"]), "readouts")
        for order in (patterns, patterns[::-1])
    )
    assert first != second


def test_weights_of_a_file_are_known_by_its_content(tmp_path):
    path = tmp_path / "w.pth"
    sections = changed(BASE, posenet__only=["vgg16"], posenet__patterns=["gaussian"])
    sections["posenet"]["backbones"]["vgg16"]["weights"] = str(path)
    found = []
    for content in (b"one", b"other", b"one"):
        path.write_bytes(content)
        found.append(keys(POSENET, sections, "features")["vgg16.train"])
    assert found[0] == found[2] != found[1]


def test_only_forward_passes_and_what_follows_depend_on_the_precision():
    single = planned(POSENET, BASE)
    half = planned(POSENET, BASE, torch.bfloat16)
    for step, cells in single.items():
        for label, cell in cells.items():
            assert (half[step][label].key == cell.key) == (step == "images")


def test_ablations_have_the_papers_tables():
    check(POSENET_ABLATIONS, ABLATIONS)
    assert {table for cell in ablations().cells.values() for table in cell.tables} == TABLES


def test_cells_differ_from_table_1_by_what_they_say():
    resolved = ablations()
    cells = resolved.cells
    assert cells["vgg16"].readout.model_dump() == ABLATIONS["posenet"]["readout"] | {
        "ridge": cells["vgg16"].readout.ridge.model_dump()
    }
    assert cells["vgg16-k7"].readout.kernel_size == 7
    assert cells["vgg16-f3"].blocks == ("f3",)
    assert resolved.features_of(cells["vgg16-f3"]) == "vgg16"
    assert resolved.features_of(cells["vgg16"]) == "vgg16"
    assert cells["vgg16-l2-w32"].seeds == (0,)
    untrained = cells["resnet18_untrained-seed1"]
    assert resolved.backbone_of(untrained).seed == 1
    assert resolved.features_of(untrained) == "resnet18_untrained-seed1"
    assert untrained.backbone == "resnet18_untrained"


def test_labels_of_all_cells():
    assert list(ablations().cells) == [
        "posenet", "vgg16", "vgg16_untrained", "vgg16_untrained-seed1", "vgg16_untrained-seed2",
        "resnet18_untrained", "resnet18_untrained-seed1",
        "posenet-l2", "posenet-l3", "vgg16-l2-w32", "vgg16-l3-w32",
        "posenet-k1", "posenet-k7", "vgg16-k1", "vgg16-k7",
        "vgg16-f1", "vgg16-f2", "vgg16-f3", "vgg16-f4", "vgg16-f5",
        "posenet-norm-none", "posenet-norm-none-p1", "posenet-norm-none-p2", "vgg16_unpadded",
        "vgg16_reflect", "vgg16_replicate", "vgg16_circular", "vgg16_partial",
        "vgg16_untrained_unpadded", "vgg16_untrained_unpadded-seed1",
        "vgg16_untrained_unpadded-seed2",
        "vgg16-ridge-k1", "vgg16_unpadded-ridge-k1", "vgg16_untrained-ridge-k1", "vgg16-ridge",
        "vgg16_untrained-ridge",
    ]  # fmt: skip


def test_settings_below_settings_are_changed_and_stand_in_the_label():
    ridge = {"head": "ridge", "ridge": {"memory_gib": 9, "penalties": [0.5, 1]}}
    cells = ablations(cells=[{"tables": ["h"], "backbone": "vgg16", "readout": ridge}]).cells
    ((label, cell),) = cells.items()
    assert label == "vgg16-ridge-memory_gib-9-penalties-0.5+1"
    assert (cell.readout.ridge.memory_gib, cell.readout.ridge.held_out) == (9, 0.2)


def test_normalisation_of_a_cell_has_features_of_its_own():
    resolved = ablations(cells=[{"tables": ["1"], "backbone": "vgg16", "normalisation": "none"}])
    ((label, cell),) = resolved.cells.items()
    assert (label, resolved.features_of(cell), cell.normalisation) == (
        "vgg16-norm-none", "vgg16-norm-none", "none",
    )  # fmt: skip


def test_features_are_shared_by_cells_that_read_the_same():
    cells = planned(POSENET_ABLATIONS, ABLATIONS)
    assert len(cells["features"]) == 16 * 3
    assert len({cell.key for cell in cells["features"].values()}) == 16 * 3
    blocks = [cells["readouts"][f"vgg16-f{number}"] for number in range(1, 6)]
    assert len({cell.inputs["features"] for cell in blocks}) == 1
    assert len({cell.key for cell in blocks}) == 5


def test_cells_of_table_1_are_those_of_posenet():
    """With its patterns and seeds, a cell is the same result in both experiments."""
    both = {name: ABLATIONS["posenet"][name] for name in ("patterns", "seeds")}
    cells = [{"tables": ["1"], "backbone": "vgg16"}]
    for step in ("images", "features", "readouts", "evaluate"):
        theirs = keys(POSENET_ABLATIONS, with_ablations(cells=cells, **both), step)
        ours = keys(POSENET, BASE, step)
        assert theirs.items() <= ours.items() and theirs


@pytest.mark.parametrize(
    ("only", "labels"),
    [
        (["3"], ["vgg16", "vgg16-f1", "vgg16-f2", "vgg16-f3", "vgg16-f4", "vgg16-f5"]),
        (["vgg16-k7", "posenet"], ["posenet", "vgg16-k7"]),
    ],
)
def test_only_takes_tables_and_labels(only, labels):
    assert list(ablations(only=only).cells) == labels


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
            ": readout: setting must be one of head, kernel_size",
        ),
        (
            {"cells": [{"tables": ["1"], "backbone": "vgg16", "block": ["f1"]}]},
            "posenet_ablations.cells: setting must be one of backbone, backbone_seed",
        ),
        (
            {"cells": [{"tables": ["1"], "backbone": "vgg16", "blocks": ["f6"]}]},
            "blocks must be among f1, f2, f3, f4, f5; got 'f6'",
        ),
        (
            {"cells": [{"tables": ["1"], "backbone": "vgg16", "patterns": ["diagonal"]}]},
            "pattern must be one of horizontal",
        ),
        (
            {"cells": [{"tables": [t], "backbone": "vgg16"} for t in ("1", "2a")]},
            "posenet_ablations.cells: vgg16 stands there twice",
        ),
        (
            {
                "cells": [
                    {"tables": ["1"], "backbone": "vgg16"},
                    {"tables": ["1"], "backbone": "vgg16", "readout": {"kernel_size": 3}},
                ]
            },
            "posenet_ablations.cells: vgg16-k3 is the same as vgg16",
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
        (
            {
                "cells": [
                    {
                        "tables": ["h"], "backbone": "vgg16", "seeds": [0],
                        "readout": {"head": "ridge", "ridge": {"memory_gib": 0.1}},
                    }
                ]
            },
            "readout.ridge.memory_gib is 0.1: use fewer blocks, a smaller kernel, or raise",
        ),
    ],
)  # fmt: skip
def test_bad_cells_are_refused(changes, message):
    with pytest.raises(ValueError) as raised:
        check(POSENET_ABLATIONS, with_ablations(**changes))
    assert message in str(raised.value)


def test_a_message_names_the_item_that_is_no_cell():
    item = {"tables": ["1"], "backbone": "vgg16", "patterns": ["diagonal"]}
    with pytest.raises(ValueError, match="^posenet_ablations.cells: {'tables': .*'diagonal'"):
        _ = ablations(cells=[item]).cells
