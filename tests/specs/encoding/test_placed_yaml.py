"""What a city writes in YAML becomes the value that it looks like, or stays the text that it is."""

import pytest
from pydantic import BaseModel

from specs.encoding.placed_yaml import FileInvalid, parse_model


class Form(BaseModel):
    """A file with one number."""

    number: int


@pytest.mark.parametrize(("written", "number"), [("18", 18), ("-18", -18), ("9" * 19, int("9" * 19))])
def test_a_whole_number_is_read(written: str, number: int) -> None:
    assert parse_model(f"number: {written}", name="form.yaml", model=Form).number == number


def test_a_number_that_no_machine_reads_is_a_finding() -> None:
    with pytest.raises(FileInvalid, match=r"^form\.yaml:1:9: number"):
        parse_model(f"number: {'9' * 5000}", name="form.yaml", model=Form)
