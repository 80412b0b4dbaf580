"""What routers ask for by type: the running service and the tenant of the address."""

from typing import Annotated

from fastapi import Depends, HTTPException, Request

from issuer.service import IssuerService
from issuer.tenants import ActiveTenant


def service_of(request: Request) -> IssuerService:
    """The service that this application was made for."""
    service: IssuerService = request.app.state.service
    return service


async def _service(request: Request) -> IssuerService:
    """As `service_of`; what is no coroutine would be sent to a thread for each request."""
    return service_of(request)


Service = Annotated[IssuerService, Depends(_service)]


async def tenant_of(tenant: str, service: Service) -> ActiveTenant:
    """The tenant that the path parameter `tenant` names; 404 if there is none."""
    found = await service.tenants.find(tenant)
    if found is None:
        raise HTTPException(404)
    return found


TenantOfPath = Annotated[ActiveTenant, Depends(tenant_of)]
