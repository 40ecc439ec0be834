from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from posinfo.choices import Section, Seed, check, one_of, pick

TABLE = {"zero": 1, "none": 2}


class Fit(Section):
    rate: float = 0.1
    seed: Seed = 0


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


@pytest.mark.parametrize("rate", [float("inf"), float("-inf"), float("nan")])
def test_settings_are_finite(rate):
    with pytest.raises(ValidationError, match="rate\n  Input should be a finite number"):
        Fit(rate=rate)


def test_unknown_setting_is_refused_with_the_nearest_one():
    with pytest.raises(ValidationError) as raised:
        Fit(rates=1, seed=0, speed=1)
    (problem,) = raised.value.errors()
    assert problem["msg"] == (
        "Value error, setting must be one of rate, seed; "
        "got 'rates' (did you mean 'rate'?), 'speed' (did you mean 'seed'?)"
    )


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError, match="Instance is frozen"):
        Fit().rate = 1


@pytest.mark.parametrize("seed", [-1, 2**32, True, 1.0, "1"])
def test_seed_is_what_numpy_can_be_seeded_with(seed):
    assert Fit(seed=2**32 - 1).seed == 2**32 - 1
    with pytest.raises(ValidationError, match="seed\n  Input should be"):
        Fit(seed=seed)
