import pytest
from kedro.io import DatasetError

from posinfo.pipelines.datasets import ArrayCacheDataset, FolderDataset


def test_cache_is_loaded_and_never_saved(tmp_path):
    dataset = ArrayCacheDataset(filepath=str(tmp_path / "cache"))
    assert dataset.exists()
    assert dataset.load().folder == tmp_path / "cache"
    with pytest.raises(DatasetError, match=r"nodes write through ArrayCache\.get"):
        dataset.save(1)


def test_folder_is_loaded_as_its_path_and_never_saved(tmp_path):
    dataset = FolderDataset(filepath=str(tmp_path / "checkpoints"))
    assert dataset.exists()
    assert dataset.load() == tmp_path / "checkpoints"
    with pytest.raises(DatasetError, match="training writes into it"):
        dataset.save(1)
