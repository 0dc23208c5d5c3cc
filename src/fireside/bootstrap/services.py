"""The factory of each service: which adapters it gets, and its settings."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from fireside.adapters.document_parser.isolated import IsolatedDocumentParser
from fireside.adapters.model_engine.notes_file import NotesFile
from fireside.adapters.model_files.folder import FolderModelFiles
from fireside.adapters.object_store.folder import FolderObjectStore
from fireside.adapters.secret_box.sealed_notes import SealedNotes
from fireside.bootstrap.conversations import make_conversation_store
from fireside.bootstrap.databases import make_database
from fireside.bootstrap.embedders import make_embedders
from fireside.bootstrap.environment import SettingsError
from fireside.bootstrap.every_setting import every_settings_class
from fireside.bootstrap.model_sources import make_model_sources, memory_bytes
from fireside.bootstrap.models import make_catalogue, make_installed, make_room
from fireside.bootstrap.parts import Parts
from fireside.bootstrap.providers import Connector
from fireside.bootstrap.secrets import local_key_file
from fireside.bootstrap.vector_index import make_vector_index
from fireside.ports.node_notes import NodeNotes
from fireside.ports.object_store import ObjectStore
from fireside.runtime.mesh import Service
from fireside.services.act.service import ActService
from fireside.services.act.settings import ActSettings
from fireside.services.admin.service import AdminService
from fireside.services.auth.service import AuthService
from fireside.services.auth.settings import AuthSettings
from fireside.services.chat.service import ChatService
from fireside.services.chat.settings import ChatSettings
from fireside.services.documents.service import DocumentsService
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.embeddings.service import EmbeddingsService
from fireside.services.embeddings.settings import EmbeddingsSettings
from fireside.services.embeddings.warm_vectors import Keeping
from fireside.services.explore.service import ExploreService
from fireside.services.explore.settings import ExploreSettings
from fireside.services.gateway.service import GatewayService
from fireside.services.inference.service import InferenceService
from fireside.services.inference.settings import InferenceSettings
from fireside.services.inference.warm_start import WarmStart
from fireside.services.respond.service import RespondService
from fireside.services.respond.settings import RespondSettings
from fireside.services.think.service import ThinkService
from fireside.services.think.settings import ThinkSettings
from fireside.services.usage.service import UsageService
from fireside.services.vectors.service import VectorsService
from fireside.services.vectors.settings import VectorsSettings


def make_services(parts: Parts, only: Sequence[str] | None = None) -> list[Service]:
    """The services that this node hosts: all, or those named.

    Raises:
        SettingsError: There is no service of that name, or a setting of one is wrong.
    """
    unknown = set(only or ()) - set(_FACTORIES)
    if unknown:
        raise SettingsError(f"--only: there is no service {sorted(unknown)[0]!r} ({', '.join(_FACTORIES)})")
    return [make(parts) for name, make in _FACTORIES.items() if is_hosted(name, only)]


def is_hosted(service: str, only: Sequence[str] | None) -> bool:
    """Whether a node that hosts `only` these services, or all when None, hosts this one."""
    return only is None or service in only


def _gateway(parts: Parts) -> Service:
    checks = {} if parts.windows is None else {"rate limits": parts.windows.check}
    return GatewayService(forget=parts.forget, checks=checks)


def _auth(parts: Parts) -> Service:
    return AuthService(
        database=make_database(parts.settings, "auth", stream=parts.stream),
        secret_box=parts.box,
        settings=parts.book.of(AuthSettings),
        clock=parts.clock,
        announce_setup=parts.announce_setup,
        local_key_file=local_key_file(parts.settings.folder),
        forget=parts.forget,
        cache=parts.cache,
    )


def _admin(parts: Parts) -> Service:
    for kind in every_settings_class():
        parts.book.of(kind)
    return AdminService(database=make_database(parts.settings, "admin", stream=parts.stream), book=parts.book)


def _chat(parts: Parts) -> Service:
    return ChatService(
        database=make_database(parts.settings, "chat", stream=parts.stream),
        settings=parts.book.of(ChatSettings),
        clock=parts.clock,
        node_id=parts.settings.node_id,
        box=parts.box,
        store=make_conversation_store(parts.settings.conversations_url, clock=parts.clock),
    )


def _documents(parts: Parts) -> Service:
    return DocumentsService(
        database=make_database(parts.settings, "documents", stream=parts.stream),
        store=_object_store(parts),
        parser=IsolatedDocumentParser(),
        box=parts.box,
        settings=parts.book.of(DocumentsSettings),
        clock=parts.clock,
        cache=parts.cache,
        notes=_sealed_notes(parts, "documents.searches"),
    )


def _sealed_notes(parts: Parts, place: str) -> NodeNotes:
    """Notes of this node in a file of its data folder."""
    return SealedNotes(NotesFile(parts.settings.folder / f"{place}.json"), parts.box, place=place)


def _object_store(parts: Parts) -> ObjectStore:
    url = parts.settings.objects_url
    if not url.startswith("file://"):
        raise SettingsError(f"FIRESIDE_OBJECTS_URL: no object store for scheme {urlsplit(url).scheme!r} (file)")
    folder = Path(url.removeprefix("file://")) if url != "file://" else parts.settings.folder / "objects"
    return FolderObjectStore(folder, box=parts.box)


def _embeddings(parts: Parts) -> Service:
    settings = parts.book.of(EmbeddingsSettings)
    is_shared = not parts.settings.cache_url.startswith("memory:")
    return EmbeddingsService(
        embedders=make_embedders(settings),
        settings=settings,
        clock=parts.clock,
        metrics=parts.metrics,
        meter=parts.meter,
        keeping=Keeping(parts.cache, is_shared=is_shared, notes=_sealed_notes(parts, "embeddings.vectors")),
    )


def _vectors(parts: Parts) -> Service:
    return VectorsService(index=make_vector_index(parts.book.of(VectorsSettings), folder=parts.settings.folder))


def _inference(parts: Parts) -> Service:
    settings = parts.book.of(InferenceSettings)
    connector = Connector(
        settings=settings, box=parts.box, clock=parts.clock, metrics=parts.metrics, node_id=parts.settings.node_id
    )
    providers, remote = connector.connect_fixed()
    return InferenceService(
        catalogue=make_catalogue(settings, remote),
        room=make_room(settings),
        meter=parts.meter,
        make_installed=partial(make_installed, settings),
        warm_start=WarmStart(NotesFile(parts.settings.folder / "inference.json")),
        providers=providers,
    )


def _explore(parts: Parts) -> Service:
    settings = parts.book.of(ExploreSettings)
    return ExploreService(
        database=make_database(parts.settings, "explore", stream=parts.stream),
        files=FolderModelFiles((settings.folder or parts.settings.folder / "models").expanduser().resolve()),
        sources=make_model_sources(settings, home=parts.settings.folder),
        settings=settings,
        clock=parts.clock,
        memory_bytes=memory_bytes,
        cache=parts.cache,
    )


def _usage(parts: Parts) -> Service:
    database = make_database(parts.settings, "usage", stream=parts.stream)
    return UsageService(database=database, meter=parts.meter, clock=parts.clock)


def _think(parts: Parts) -> Service:
    return ThinkService(settings=parts.book.of(ThinkSettings), clock=parts.clock)


def _act(parts: Parts) -> Service:
    return ActService(settings=parts.book.of(ActSettings), clock=parts.clock)


def _respond(parts: Parts) -> Service:
    return RespondService(settings=parts.book.of(RespondSettings), clock=parts.clock)


_FACTORIES: dict[str, Callable[[Parts], Service]] = {
    "auth": _auth,
    "admin": _admin,
    "usage": _usage,
    "explore": _explore,
    "inference": _inference,
    "embeddings": _embeddings,
    "vectors": _vectors,
    "documents": _documents,
    "think": _think,
    "act": _act,
    "respond": _respond,
    "chat": _chat,
    "gateway": _gateway,
}
