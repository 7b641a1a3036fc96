"""Flags of `rtdemo serve`, as the command line reads them."""

from __future__ import annotations

import pytest

from rtdemo.cli.serve import serve

ONE, TWO, THREE = "http://a.example", "http://b.example", "http://c.example"


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ([], None),
        ([ONE], ONE),
        ([ONE, f"{TWO},{THREE}"], f"{ONE},{TWO},{THREE}"),
    ],
)
def test_flag_of_a_list_may_be_given_several_times(given: list[str], value: str | None) -> None:
    """The lists are joined; a flag that is not given leaves the value to the environment."""
    arguments = [word for each in given for word in ("--allow-embed", each)]
    assert serve.make_context("serve", arguments).params["allow_embed"] == value
