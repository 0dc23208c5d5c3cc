"""The building blocks of contracts: frozen models, actions, stream actions, facts and signals.

A contract says nothing about where a service runs. Local calls hand the very objects over; remote calls send
`model_dump_json` and validate on arrival, bytes as base64.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, TypeAdapter

RequestT = TypeVar("RequestT", bound="Contract")
ResponseT = TypeVar("ResponseT")

SIGNED_IN = "signed-in"
"""Access of actions that any authenticated user or service may call."""
PUBLIC = "public"
"""Access of actions that anyone may call, signed in or not."""
INTERNAL = "internal"
"""Access of actions that only parts of Fireside may call, never a user directly."""


class Contract(BaseModel):
    """Base of every model in a contract: frozen, and tolerant of fields that a newer node added."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")


class Nothing(Contract):
    """The request or response of an action that takes or gives nothing."""


@dataclass(frozen=True)
class _Callable(Generic[RequestT, ResponseT]):
    """What actions and stream actions have in common.

    Attributes:
        name: `<service>.<verb>`, as it stands on the mesh.
        request: Type of the request.
        response: Type of the response, or of each item of the stream. For a union, name the type parameters:
            `StreamAction[AskQuestion, AnswerEvent]("chat.ask", AskQuestion, AnswerEvent, access=...)`.
        access: A permission (`documents:read`), or SIGNED_IN, PUBLIC, INTERNAL. Checked by every node.
        idempotent: Whether doing it twice equals doing it once, so that a lost call may be sent again.
        timeout_s: Longest wait for the response, or for the next item of the stream.
        cache_ttl_s: How long equal requests of one identity may be answered from the cache; None never.
    """

    name: str
    request: type[RequestT]
    response: type[ResponseT] | Any
    access: str
    idempotent: bool = False
    timeout_s: float = 30.0
    cache_ttl_s: float | None = None

    @cached_property
    def service(self) -> str:
        """The service that offers it."""
        return self.name.split(".", 1)[0]

    @cached_property
    def request_adapter(self) -> TypeAdapter[RequestT]:
        """Validates requests that arrive from another node."""
        return TypeAdapter(self.request)

    @cached_property
    def response_adapter(self) -> TypeAdapter[ResponseT]:
        """Validates responses, or items of the stream, that arrive from another node."""
        return TypeAdapter(self.response)

    @cached_property
    def request_from_json(self) -> Callable[[bytes], RequestT]:
        """As the adapter's `validate_json`, without its way round; raises pydantic's ValidationError."""
        return self.request_adapter.validator.validate_json

    @cached_property
    def request_to_json(self) -> Callable[[RequestT], bytes]:
        """As the adapter's `dump_json`, without its way round."""
        return self.request_adapter.serializer.to_json

    @cached_property
    def response_from_json(self) -> Callable[[bytes], ResponseT]:
        """As the adapter's `validate_json`, without its way round; raises pydantic's ValidationError."""
        return self.response_adapter.validator.validate_json


class Action(_Callable[RequestT, ResponseT]):
    """A call with one answer: `Action("documents.search", SearchDocuments, Passages, access="documents:read")`."""


class StreamAction(_Callable[RequestT, ResponseT]):
    """A call answered by a stream of items, each of type `response`."""


class Event(Contract):
    """A fact, in the past tense, delivered at least once and in order per aggregate to every consumer group.

    Subclasses set `topic` (`documents.indexed`) and override `aggregate_id`.
    """

    topic: ClassVar[str]

    @property
    def aggregate_id(self) -> UUID:
        """The object whose history this fact belongs to; facts of one aggregate keep their order."""
        raise TypeError(f"{type(self).__name__} must say which aggregate it belongs to")


class Signal(Contract):
    """A broadcast that may be lost (progress, cache invalidation): whoever misses it can read the state again."""

    topic: ClassVar[str]
