"""What the token endpoint must know about browsers: whether their own page is asking, and where they keep the token.

A browser keeps the refresh token in a cookie that its pages cannot read and that it sends to the token endpoint alone.
"""

from urllib.parse import urlsplit

REFRESH_COOKIE = "fireside_refresh"
REFRESH_PATH = "/api/v1/auth/token"


def is_same_origin(*, sec_fetch_site: str | None, origin: str | None, host: str | None) -> bool:
    """Whether the request comes from the page of this server, or from no page at all.

    Browsers set these headers themselves; no page can change them. `Sec-Fetch-Site` is missing on plain http to another
    machine; then the page's origin has to be the host that the request went to.

    Args:
        sec_fetch_site: The header of that name.
        origin: The header of that name.
        host: The header of that name.
    """
    if sec_fetch_site is not None:
        return sec_fetch_site == "same-origin"
    if origin is not None:
        return bool(host) and urlsplit(origin).netloc == host
    return True
