"""Several datasets of one credential type: what an offer holds, told apart by names of the city (OpenID4VCI §3.3.1).

Most types have one dataset for each person, and it has no name. Where the catalogue says `datasets: several`, each has
a name, and a wallet asks for each by a credential identifier of its own (§6.2, §8.2).
"""

from typing import Annotated, NamedTuple

from pydantic import StringConstraints

UNNAMED = ""  # the only dataset of a type
MOST = 20  # datasets of one type in one offer
DATASET_NAME = r"^[a-z0-9][a-z0-9_-]{0,31}$"
DatasetName = Annotated[str, StringConstraints(pattern=DATASET_NAME)]


class OfferedCredential(NamedTuple):
    """One credential of an offer: what a credential identifier stands for."""

    configuration_id: str
    dataset: str = UNNAMED
