"""Tables of the city's side: how many live credentials a person holds."""

from sqlalchemy import BigInteger, LargeBinary
from sqlmodel import Field

from issuer.store.tables import Row


class PersonSlot(Row, table=True):
    """One of the places that a person has for live credentials of a configuration; taken anew once it is free."""

    __tablename__ = "person_slots"

    tenant_id: str = Field(primary_key=True, foreign_key="tenants.id", max_length=63)
    subject_pseudonym: bytes = Field(primary_key=True, sa_type=LargeBinary)
    configuration_id: str = Field(primary_key=True, max_length=100)
    slot: int = Field(primary_key=True)
    credential_id: str = Field(foreign_key="credentials.id", index=True, max_length=32)
    live_until: int = Field(sa_type=BigInteger, index=True)  # end of the newest copy; 0 once revoked
