import pytest
from PIL import Image

from posinfo.stimuli.duplicates import require_distinct
from posinfo.stimuli.photos import EMBEDDED, embedded_photograph


@pytest.fixture
def save(tmp_path):
    def write(photograph, name, side=None, **options):
        image = embedded_photograph(photograph)
        image = image.resize((side, side)) if side else image
        image.save(tmp_path / name, **options)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("renamed.png", {}),
        ("encoded.jpg", {"quality": 10}),
        ("smaller.png", {"side": 150}),
        ("palette.gif", {}),
    ],
)
def test_copies_are_found_whatever_their_file(save, name, options):
    train = [save(photograph, f"{photograph}.png") for photograph in EMBEDDED["train"]]
    copied = save(photograph_of("train"), name, **options)
    other = save(photograph_of("test"), "other.png")
    with pytest.raises(ValueError) as raised:
        require_distinct([other, copied], train)
    said = str(raised.value)
    start = f"1 photographs show what another one shows, the first is {copied}, like {train[0]}: "
    assert said.startswith(start)
    require_distinct([other], train)


def photograph_of(split):
    return next(iter(EMBEDDED[split]))


def test_photographs_of_one_colour_are_like_none(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 20), "white").save(tmp_path / name)
    require_distinct([str(tmp_path / "a.png")], [str(tmp_path / "b.png")])


def test_embedded_photographs_are_distinct(save):
    train, test = ([save(p, f"{p}.png") for p in EMBEDDED[split]] for split in ("train", "test"))
    require_distinct(test, train)
