"""Where claims come from when the city does not send them along: a register, asked when the credential is made."""


class SourceUnavailable(Exception):
    """The register gave no answer in time. retry_after: seconds after which another try makes sense."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"again in {retry_after} s")
        self.retry_after = retry_after


class SourceRefused(Exception):
    """The register says that this person can't have this credential. reason: its own word for why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SourceUntrustworthy(Exception):
    """What came back can't be used: not the register's, not about what was asked, or not of the type's form."""

    def __init__(self, defect: str) -> None:
        super().__init__(defect)
        self.defect = defect
