"""The web page of Fireside: plain ES modules and CSS in `static/`, served as written; no build step, no routes here.

`static/vendor/` holds the third-party files; `static/vendor/vendor.json` records where each came from, its licence
and its hash (`scripts/vendor_web.py` renews them).
"""

from pathlib import Path

PAGE_PATHS = (
    "/",
    "/setup",
    "/documents",
    "/documents/{document_id}",
    "/c/{conversation_id}",
    "/providers",
    "/usage",
)
"""Addresses that answer with `index.html`; the page itself reads the rest of the path."""

REFERENCE_PATHS = ("/docs",)
"""Addresses that answer with `reference.html`, the pages of the API's OpenAPI document."""

FILES = ("/app/", "/reference/", "/styles/", "/vendor/", "/favicon.svg")
"""Addresses of what the page loads: folders with a slash at the end, and single files."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types dompurify"
)
"""Sent with each file of the page, and repeated in `index.html`; `frame-ancestors 'none'` works in the header alone."""

REFERENCE_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""Sent with `reference.html`: Swagger UI sets styles as it draws."""


def static_folder() -> Path:
    """The folder whose content is served under `/`."""
    return Path(__file__).parent / "static"
