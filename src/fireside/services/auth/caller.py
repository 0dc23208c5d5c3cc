"""For the routes: who asks and where from, as the gateway put it into the request."""

from typing import Annotated

from fastapi import Depends, Request

from fireside.contracts.auth import Client
from fireside.runtime.context import Context


async def context_of(request: Request) -> Context:
    """Who asks."""
    context: Context = request.state.context
    return context


async def client_of(request: Request) -> Client:
    """Where the request comes from."""
    client: Client = request.state.client
    return client


Caller = Annotated[Context, Depends(context_of)]
CallingFrom = Annotated[Client, Depends(client_of)]
