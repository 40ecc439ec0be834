from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from posinfo.choices import check, one_of, pick

TABLE = {"zero": 1, "none": 2}


def test_pick_returns_the_entry():
    assert pick("padding", "zero", TABLE) == 1


def test_check_returns_the_name():
    assert check("padding", "none", iter(TABLE)) == "none"


@pytest.mark.parametrize("look_up", [check, pick])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zeros", "padding must be one of zero, none; got 'zeros' (did you mean 'zero'?)"),
        ("qqq", "padding must be one of zero, none; got 'qqq'"),
        ("", "padding must be one of zero, none; got ''"),
    ],
)
def test_unknown_name_is_refused_with_all_choices(look_up, name, message):
    with pytest.raises(ValueError) as raised:
        look_up("padding", name, TABLE)
    assert str(raised.value) == message


@pytest.mark.parametrize("names", [TABLE, lambda: TABLE, ["zero", "none"]])
def test_field_of_a_model_takes_only_choices(names):
    adapter = TypeAdapter(Annotated[str, one_of("padding", names)])
    for _ in range(2):
        assert adapter.validate_python("zero") == "zero"
        with pytest.raises(ValidationError, match="padding must be one of zero, none; got 'ones'"):
            adapter.validate_python("ones")


def test_choices_of_a_function_are_those_of_the_moment():
    names = ["a"]
    adapter = TypeAdapter(Annotated[str, one_of("name", lambda: names)])
    names.append("b")
    assert adapter.validate_python("b") == "b"
