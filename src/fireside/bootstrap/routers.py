"""The routes of every service, whichever node hosts it: routes call services over the mesh. And the page."""

from collections.abc import Sequence

from fastapi import APIRouter

from fireside import web
from fireside.ports.secret_box import SecretBox
from fireside.runtime.live import SettingsBook
from fireside.services.admin import routes as admin
from fireside.services.auth import routes as auth
from fireside.services.chat import routes as chat
from fireside.services.chat.settings import ChatSettings
from fireside.services.documents import routes as documents
from fireside.services.documents.settings import DocumentsSettings
from fireside.services.explore import provider_routes
from fireside.services.explore import routes as explore
from fireside.services.gateway.app import Entry, Page
from fireside.services.usage import routes as usage


def make_routers(book: SettingsBook, box: SecretBox) -> Sequence[APIRouter]:
    """All routers, with settings of the book; the box seals what comes in as a secret."""
    return [
        auth.routes(),
        admin.routes(),
        chat.routes(book.of(ChatSettings)),
        documents.routes(book.of(DocumentsSettings)),
        explore.routes(),
        usage.routes(),
        provider_routes.routes(box),
    ]


def web_page() -> Page:
    """The web page, and the pages of the API's reference."""
    return Page(
        folder=web.static_folder(),
        files=web.FILES,
        entries=(
            Entry("index.html", web.PAGE_PATHS, web.CONTENT_SECURITY_POLICY),
            Entry("reference.html", web.REFERENCE_PATHS, web.REFERENCE_SECURITY_POLICY),
        ),
    )
