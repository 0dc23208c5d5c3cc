"""The mesh: one way to call, in one process or many."""

from fireside.runtime.context import Context
from fireside.runtime.errors import ActionUnavailableError
from fireside.runtime.health import Check
from fireside.runtime.mesh.node import Node
from fireside.runtime.mesh.service import (
    Attachment,
    OnEvent,
    OnSignal,
    Service,
    action,
    fallback_for,
    fallback_stream_for,
    mark,
    marked,
    on_event,
    on_signal,
    stream_action,
)
from fireside.runtime.mesh.settings import MeshSettings
from fireside.runtime.middleware.chain import Tools

__all__ = [
    "ActionUnavailableError",
    "Attachment",
    "Check",
    "Context",
    "MeshSettings",
    "Node",
    "OnEvent",
    "OnSignal",
    "Service",
    "Tools",
    "action",
    "fallback_for",
    "fallback_stream_for",
    "mark",
    "marked",
    "on_event",
    "on_signal",
    "stream_action",
]
