import os

import pandas as pd
import pytest
from kedro.io import DataCatalog

from posinfo.experiment import Result
from posinfo.pipelines.datasets import PictureFile, ResultsDataset, TableFile
from posinfo.store import Store

KEYS = {"a": "posenet/train/aaaa", "b.train": "posenet/train/bbbb"}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "data" / "store")
    for key in [*KEYS.values(), "posenet/train/cccc"]:
        store.add(key, {}, lambda folder: Result(facts={"a": 1}))
    return store


@pytest.fixture
def dataset(tmp_path):
    return ResultsDataset(filepath=str(tmp_path / "data" / "06_models" / "posenet" / "train"))


@pytest.fixture
def folders(store):
    return {label: str(store.path(key)) for label, key in KEYS.items()}


def entries(dataset):
    (path,) = [dataset._describe()["filepath"]]
    return sorted(os.listdir(path))


def test_results_are_links_into_the_store(dataset, folders, tmp_path):
    dataset.save(folders)
    assert dataset.load() == KEYS
    link = tmp_path / "data/06_models/posenet/train/b.train"
    assert os.readlink(link) == "../../../store/posenet/train/bbbb"
    assert (link / "result.json").is_file()


def test_links_survive_a_move_of_the_data(dataset, folders, tmp_path):
    dataset.save(folders)
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = ResultsDataset(filepath=str(tmp_path / "moved/06_models/posenet/train"))
    assert moved.exists() and moved.load() == KEYS


def test_relative_paths_are_those_of_the_working_folder(tmp_path, folders, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = ResultsDataset(filepath="data/07_model_output/posenet/train")
    relative = {label: os.path.relpath(path) for label, path in folders.items()}
    dataset.save(relative)
    assert dataset.exists() and dataset.load() == KEYS


def test_save_replaces_what_was_there(dataset, folders, store):
    dataset.save(folders)
    dataset.save({"c": str(store.path("posenet/train/cccc")), "a": folders["b.train"]})
    assert dataset.load() == {"a": "posenet/train/bbbb", "c": "posenet/train/cccc"}
    assert all(key in store for key in KEYS.values())


def test_files_of_others_are_left_alone(dataset, folders, tmp_path):
    folder = tmp_path / "data/06_models/posenet/train"
    (folder / "old").mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (folder / "old" / "weights.pth").write_text("mine")
    dataset.save(folders)
    dataset.save({"a": folders["a"]})
    assert entries(dataset) == ["a", "notes.txt", "old"]
    assert dataset.load() == {"a": KEYS["a"]}
    assert (folder / "old" / "weights.pth").read_text() == "mine"
    assert dataset.exists()


def test_dataset_exists_once_it_was_saved(dataset, folders):
    assert not dataset.exists()
    dataset.save(folders)
    assert dataset.exists()


def test_dataset_without_a_link_does_not_exist(dataset, tmp_path):
    (tmp_path / "data/06_models/posenet/train").mkdir(parents=True)
    assert not dataset.exists()
    assert dataset.load() == {}


@pytest.mark.parametrize(
    ("expected", "exists"),
    [
        (KEYS, True),
        ({**KEYS, "a": "posenet/train/cccc"}, False),
        ({**KEYS, "c": "posenet/train/cccc"}, False),
        ({"a": KEYS["a"]}, False),
        ({}, False),
    ],
)
def test_dataset_exists_only_with_the_results_that_are_expected(dataset, folders, expected, exists):
    dataset.save(folders)
    dataset.expected = expected
    assert dataset.exists() == exists


def test_dataset_with_a_stale_link_does_not_exist(dataset, folders, store):
    dataset.save(folders)
    store.remove(KEYS["b.train"])
    assert not dataset.exists()
    dataset.expected = KEYS
    assert not dataset.exists()
    dataset.save({"a": folders["a"]})
    assert entries(dataset) == ["a"]


def test_catalog_knows_the_layer(tmp_path):
    entry = {
        "type": "posinfo.pipelines.datasets.ResultsDataset",
        "filepath": str(tmp_path / "{step}"),
        "metadata": {"kedro-viz": {"layer": "models"}},
    }
    catalog = DataCatalog.from_config({"{experiment}.{step}_modeled": entry})
    found = catalog.get("posenet.train_modeled")
    assert found.metadata == {"kedro-viz": {"layer": "models"}}
    assert found._describe() == {"filepath": str(tmp_path / "train")}


@pytest.mark.parametrize("folder", ["", "not/there/yet"])
def test_table_is_saved_as_it_is_and_loaded_as_a_table(tmp_path, folder):
    content = b"a,b\r\n1,\r\n2,x\r\n"
    path = tmp_path / folder / "scores.csv"
    table = TableFile(filepath=str(path))
    table.save(content)
    assert path.read_bytes() == content
    pd.testing.assert_frame_equal(table.load(), pd.DataFrame({"a": [1, 2], "b": [None, "x"]}))


def test_table_exists_only_as_it_is_expected(tmp_path):
    table = TableFile(filepath=str(tmp_path / "scores.csv"))
    assert not table.exists()
    table.expected = b""
    assert not table.exists()
    table.save(b"a\n1\n")
    assert not table.exists()
    table.expected = b"a\n1\n"
    assert table.exists()
    table.expected = None
    assert table.exists()


def test_picture_is_saved_as_it_is(tmp_path):
    path = tmp_path / "08_reporting" / "masks.png"
    PictureFile(filepath=str(path)).save(b"\x89PNG")
    assert path.read_bytes() == b"\x89PNG"
