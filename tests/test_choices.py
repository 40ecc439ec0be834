import pytest

from posinfo.choices import check, pick


def test_pick_returns_the_entry():
    assert pick("padding", "zero", {"zero": 1, "none": 2}) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zeros", "padding must be one of zero, none; got 'zeros' (did you mean 'zero'?)"),
        ("qqq", "padding must be one of zero, none; got 'qqq'"),
    ],
)
def test_check_lists_the_choices(name, message):
    with pytest.raises(ValueError) as raised:
        check("padding", name, ["zero", "none"])
    assert str(raised.value) == message
