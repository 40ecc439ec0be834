from posinfo.networks import source_key as module
from posinfo.networks.source_key import source_key


def test_key_changes_with_the_code(tmp_path, monkeypatch):
    for room in module.ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "a.py").write_text("one = 1\n")
    monkeypatch.setattr(module, "PACKAGE", tmp_path)
    keys = []
    for text in ("one = 1\n", "one = 2\n"):
        (tmp_path / "networks" / "a.py").write_text(text)
        source_key.cache_clear()
        keys += [source_key("resnet18"), source_key("resnet18", ("stimuli",))]
    source_key.cache_clear()
    assert keys[0] != keys[2] and keys[1] == keys[3]


def test_key_changes_with_the_module_of_a_custom_network(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_network_of_test.py").write_text("def build(): ...\n")
    source_key.cache_clear()
    first = source_key("my_network_of_test:build")
    (tmp_path / "my_network_of_test.py").write_text("def build(): return 1\n")
    source_key.cache_clear()
    assert source_key("my_network_of_test:build") != first
    assert source_key("resnet18") != first
