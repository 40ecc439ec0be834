import multiprocessing
import socket
import sys
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest
import torch
from pydantic import BaseModel, ConfigDict, Field

from posinfo.experiment import Cell, Experiment, Report, Result, Step
from posinfo.networks.models import normalisation
from posinfo.plan import differences, digest, flatten, plan, require_same_code

CPU, CUDA = torch.device("cpu"), torch.device("cuda:1")


class Settings(BaseModel):
    size: int = 3
    labels: tuple[str, ...] = ("a", "b")
    options: dict = {}
    comment: str = ""
    wrong: str = ""


class ImagesCell(Cell):
    size: int


class NetworkCell(Cell):
    model_config = ConfigDict(frozen=True)

    name: str
    options: dict
    comment: str = Field(exclude=True)


def run(cell, inputs, work):
    return Result()


def images(settings):
    return {"all": ImagesCell(size=settings.size)}


def networks(settings):
    return {
        f"net-{name}": NetworkCell(
            inputs={"images": settings.wrong or "images/all"},
            name=name,
            options=settings.options,
            comment=settings.comment,
            parameters={"comment": settings.comment},
        )
        for name in settings.labels
    }


def scores(settings):
    return {name: Cell(inputs={"network": f"train/{name}"}) for name in networks(settings)}


STEPS = (
    Step("images", "data_preparation", images, run, numeric=False),
    Step("train", "modeling", networks, run),
    Step("evaluate", "evaluation", scores, run),
)


def experiment(steps=STEPS, **changes):
    report = Report({}, {}, {})
    return Experiment("test", Settings, steps, lambda *_: report, (), (), (), **changes)


def planned(device=CPU, dtype=torch.float32, each=None, **settings):
    return plan(each or experiment(), Settings(**settings), device, dtype)


def changed(**changes):
    """Steps of which keys change."""
    before, after = planned(), planned(**changes)
    return {
        step
        for step, cells in before.items()
        if [cell.key for cell in cells.values()] != [cell.key for cell in after[step].values()]
    }


def test_plan_has_every_cell_of_every_step_in_order():
    steps = planned()
    assert {step: list(cells) for step, cells in steps.items()} == {
        "images": ["all"],
        "train": ["net-a", "net-b"],
        "evaluate": ["net-a", "net-b"],
    }
    keys = [cell.key for cells in steps.values() for cell in cells.values()]
    assert len(set(keys)) == 5
    cell = steps["train"]["net-a"]
    assert (cell.step.name, cell.label, cell.cell.name) == ("train", "net-a", "a")
    assert cell.inputs == {"images": steps["images"]["all"].key}
    assert cell.key == f"test/train/{digest(cell.identity)}"
    assert cell.identity["settings"] == {"name": "a", "options": {}}
    assert cell.identity["inputs"] == cell.inputs


def test_keys_are_the_same_when_nothing_changes():
    assert changed() == set()


def test_keys_change_with_settings_and_with_those_of_inputs():
    assert changed(size=4) == {"images", "train", "evaluate"}
    assert changed(options={"lr": 0.1}) == {"train", "evaluate"}


def test_keys_do_not_change_with_excluded_fields():
    assert changed(comment="another") == set()


def test_keys_change_with_device_and_precision_where_the_step_is_numeric():
    assert changed(device=CUDA) == {"train", "evaluate"}
    assert changed(dtype=torch.bfloat16) == {"train", "evaluate"}
    identities = {step: cells.popitem()[1].identity for step, cells in planned().items()}
    assert identities["train"]["dtype"] == "float32" and identities["train"]["device"] == "cpu"
    assert identities["images"].keys() == {"settings", "inputs", "code", "packages"}
    assert identities["images"]["packages"] == identities["train"]["packages"]
    computing = ("pillow", "scikit-image", "scikit-learn", "timm", "torch", "torchvision")
    assert identities["images"]["packages"] == {
        "numpy": np.__version__, **{name: version(name) for name in computing},
    }  # fmt: skip


def test_keys_change_with_the_kind_of_device_and_not_with_its_number():
    key = planned(device=CUDA)["train"]["net-a"].key
    assert planned(device=torch.device("cuda"))["train"]["net-a"].key == key


def test_keys_do_not_change_with_the_order_of_settings():
    key = planned(options={"lr": 0.1, "more": {"a": 1, "b": 2}})["train"]["net-a"].key
    other = planned(options={"more": {"b": 2, "a": 1}, "lr": 0.1})["train"]["net-a"].key
    assert key == other


def test_keys_do_not_change_with_labels_and_their_order():
    train = planned(labels=("b", "a", "c"))["train"]
    assert [train[name].key for name in ("net-a", "net-b")] == [
        cell.key for cell in planned()["train"].values()
    ]
    renamed = Step("train", "modeling", lambda s: {"x": networks(s)["net-a"]}, run)
    cell = planned(each=experiment((STEPS[0], renamed)))["train"]["x"]
    assert cell.key == planned()["train"]["net-a"].key


def test_keys_change_with_the_roles_of_inputs():
    def swapped(settings):
        return {
            "one": Cell(inputs={"first": "train/net-a", "second": "train/net-b"}),
            "two": Cell(inputs={"first": "train/net-b", "second": "train/net-a"}),
        }

    steps = planned(each=experiment((*STEPS, Step("compare", "evaluation", swapped, run))))
    assert steps["compare"]["one"].key != steps["compare"]["two"].key


def test_keys_change_with_the_module_of_the_step():
    def elsewhere(cell, inputs, work):
        return Result()

    elsewhere.__module__ = normalisation.__name__
    other = experiment((STEPS[0], Step("train", "modeling", networks, elsewhere)))
    assert planned(each=other)["train"]["net-a"].key != planned()["train"]["net-a"].key


def test_key_has_the_family_of_the_experiment():
    related = planned(each=experiment(family="other"))
    for step, cells in planned().items():
        for label, cell in cells.items():
            assert related[step][label].identity.get("settings") == cell.identity["settings"]
            assert related[step][label].key.startswith(f"other/{step}/")
    assert related["images"]["all"].key == planned()["images"]["all"].key.replace("test/", "other/")


def _user_key(folder, answers):
    sys.path.insert(0, str(folder))
    step = Step("train", "modeling", lambda s: {"a": Cell(modules=("mine_net",))}, run)
    answers.put(planned(each=experiment((step,)))["train"]["a"].key)


def user_key(folder, source):
    """In a process of its own, as a module is read once."""
    (folder / "mine_net.py").write_text(source)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=_user_key, args=[folder, answers])
    process.start()
    process.join(20)
    assert process.exitcode == 0
    return answers.get()


def test_keys_change_with_the_code_of_the_users_module(tmp_path):
    key = user_key(tmp_path, "def net():\n    return 1\n")
    assert user_key(tmp_path, "def net():\n    return 2\n") != key
    assert user_key(tmp_path, "def net():  # the same\n    return 1\n") == key


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("images/every", " (did you mean 'images/all'?)"),
        ("image/all", " (did you mean 'images/all'?)"),
        ("qqq", ""),
        ("train/net-a", ""),
    ],
)
def test_missing_input_is_refused_with_those_there_are(name, hint):
    with pytest.raises(ValueError) as raised:
        planned(wrong=name)
    assert str(raised.value) == (
        f"input (step/label) must be one of images/all; got {name!r}{hint}"
    )


def test_input_of_the_same_step_is_refused():
    def chain(settings):
        return {"first": Cell(), "second": Cell(inputs={"before": "train/first"})}

    each = experiment((STEPS[0], Step("train", "modeling", chain, run)))
    with pytest.raises(ValueError, match="must be one of images/all; got 'train/first'$"):
        planned(each=each)


def test_digest_is_short_and_changes_with_every_value():
    values = [{}, {"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": [1]}, {"a": None}]
    digests = [digest(value) for value in values]
    assert len(set(digests)) == len(values)
    assert all(len(text) == 16 and int(text, 16) >= 0 for text in digests)
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})


def test_settings_are_flattened_to_dotted_names():
    model = Settings(size=1, labels=("x",), options={"lr": {"first": 0.1}})
    assert flatten({"a": {"b": {"c": 1}}, "d": [1, {"e": 2}], "f": model, "g": {}}) == {
        "a.b.c": 1,
        "d": [1, {"e": 2}],
        "f.size": 1,
        "f.labels": ["x"],
        "f.options.lr.first": 0.1,
        "f.comment": "",
        "f.wrong": "",
    }


def test_differences_are_named():
    one = {"a": {"b": 1, "c": [1, 2]}, "d": 1, "same": {"x": 1}}
    other = {"a": {"b": 2, "c": [1, 3]}, "e": 1, "same": {"x": 1}}
    assert differences(one, other) == ["a.b", "a.c", "d", "e"]
    assert differences(one, one) == []


@pytest.mark.parametrize(
    ("part", "other", "said"),
    [
        ("code", "another", "code"),
        ("packages", {"torch": "0.1"}, "packages.torch"),
    ],
)
def test_other_code_than_that_of_the_plan_is_refused(part, other, said):
    cell = planned()["train"]["net-a"]
    require_same_code(cell)
    known = {**cell.identity["packages"], **other} if part == "packages" else other
    with pytest.raises(RuntimeError) as raised:
        require_same_code(replace(cell, identity={**cell.identity, part: known}))
    assert str(raised.value) == (
        f"this worker on {socket.gethostname()} has other code than the run that gives it work "
        f"({said}): update what is installed there, or start the run again"
    )
