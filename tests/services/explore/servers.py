"""Servers that speak the interfaces of the Hugging Face Hub, an Ollama registry and a package index, and misbehave."""

import asyncio
import hashlib
import io
import re
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE = 16 * 1024


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wheel(content: bytes, *, name: str = "tiny_model/Tiny-Model.Q8_0.gguf") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_model/__init__.py", "")
        archive.writestr(name, content)
    return made.getvalue()


@dataclass
class ModelServer:
    """All of it on one port.

    Attributes:
        files: Content by name; the hub's repository is `acme/<name without .gguf>`, and without part.
        digests: What is told as the SHA-256 of a file, where it is not the right one.
        sent: Bytes of content that went out, by name.
        requests: (name, first byte asked for) of every download.
        pause_s: Wait after each piece.
        break_after: Content bytes after which a connection breaks; taken off the list one by one.
        ignore_range: Always send everything.
        versions: Part of the entity tag of a file.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, int]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    pause_s: float = 0.0
    break_after: list[int] = field(default_factory=list)
    ignore_range: bool = False
    versions: Counter[str] = field(default_factory=Counter)
    tree_status: int = 200
    url: str = ""

    def digest(self, name: str) -> str:
        return self.digests.get(name) or sha256(self.files[name])

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/models", self._search)
        app.router.add_get("/api/models/acme/{repo}/revision/{revision}", self._revision)
        app.router.add_get("/api/models/acme/{repo}/tree/{revision}", self._tree)
        app.router.add_get("/acme/{repo}/resolve/{revision}/{name}", self._resolve)
        app.router.add_get("/cdn/{name}", self._download)
        app.router.add_get("/v2/library/{repo}/manifests/{tag}", self._manifest)
        app.router.add_get("/v2/library/{repo}/blobs/{digest}", self._blob)
        app.router.add_get("/simple/{package}/", self._index)
        return app

    async def _search(self, request: web.Request) -> web.Response:
        assert request.query["filter"].startswith("gguf")
        words = request.query["search"].lower()
        found = [name for name in sorted(self.files) if words in name.lower()]
        begin, limit = int(request.query.get("cursor") or 0), int(request.query["limit"])
        entries = [
            {"id": f"acme/{name[:-5]}", "tags": ["gguf", "en", "license:mit"], "downloads": 3, "private": False}
            for name in found[begin : begin + limit]
        ]
        headers = {}
        if begin + limit < len(found):
            following = request.url.update_query(cursor=str(begin + limit))
            headers["link"] = f'<{following}>; rel="next"'
        return web.json_response(entries, headers=headers)

    async def _revision(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("authorization"))
        if not self._of(request.match_info["repo"]):
            return web.json_response({"error": "Repository not found"}, status=404)
        return web.json_response({"sha": COMMIT, "tags": ["gguf", "chat", "en", "license:mit"]})

    async def _tree(self, request: web.Request) -> web.Response:
        if self.tree_status != 200:
            return web.json_response({"error": "gated"}, status=self.tree_status)
        assert request.match_info["revision"] == COMMIT
        entries: list[dict[str, object]] = [{"type": "file", "path": "README.md", "size": 10, "oid": "1"}]
        for name in self._of(request.match_info["repo"]):
            size = len(self.files[name])
            lfs = {"oid": self.digest(name), "size": size, "pointerSize": 133}
            entries.append({"type": "file", "path": name, "size": size, "oid": "2", "lfs": lfs})
        return web.json_response(entries)

    def _of(self, repository: str) -> list[str]:
        """The files of a repository of the hub: one of its name, or one in parts."""
        return [
            name for name in self.files if re.fullmatch(rf"{re.escape(repository)}(-\d{{5}}-of-\d{{5}})?\.gguf", name)
        ]

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"/cdn/{request.match_info['name']}")

    async def _manifest(self, request: web.Request) -> web.Response:
        name = f"{request.match_info['repo']}.gguf"
        if name not in self.files:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        licence = b"Apache License\nVersion 2.0"
        self.files["licence"] = licence
        layer = "application/vnd.ollama.image."
        return web.json_response(
            {
                "schemaVersion": 2,
                "layers": [
                    {
                        "mediaType": layer + "model",
                        "digest": f"sha256:{self.digest(name)}",
                        "size": len(self.files[name]),
                    },
                    {"mediaType": layer + "license", "digest": f"sha256:{sha256(licence)}", "size": len(licence)},
                ],
            }
        )

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        wanted = request.match_info["digest"].removeprefix("sha256:")
        name = next(name for name in self.files if self.digest(name) == wanted)
        raise web.HTTPTemporaryRedirect(f"/cdn/{name}")

    async def _index(self, request: web.Request) -> web.Response:
        wheels = [name for name in self.files if name.endswith(".whl")]
        if "json" in request.headers["accept"] and request.match_info["package"] == "tiny-json":
            listed = [
                {
                    "filename": name,
                    "url": f"../../cdn/{name}",
                    "hashes": {"sha256": self.digest(name)},
                    "size": len(self.files[name]),
                }
                for name in wheels
            ]
            return web.json_response({"files": listed}, content_type="application/vnd.pypi.simple.v1+json")
        links = "".join(f'<a href="../../cdn/{name}#sha256={self.digest(name)}">{name}</a>' for name in wheels)
        return web.Response(text=f"<html><body>{links}</body></html>", content_type="text/html")

    async def _download(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        content, tag = self.files[name], f'"{name}-{self.versions[name]}"'
        start = self._start(request, tag)
        self.requests.append((name, start))
        status, headers = 200, {"etag": tag, "content-length": str(len(content) - start)}
        if start:
            status, headers["content-range"] = 206, f"bytes {start}-{len(content) - 1}/{len(content)}"
        reply = web.StreamResponse(status=status, headers=headers)
        await reply.prepare(request)
        limit = self.break_after.pop(0) if self.break_after else len(content)
        for place in range(start, len(content), PIECE):
            piece = content[place : place + PIECE]
            if place - start >= limit:
                assert request.transport is not None
                request.transport.abort()
                break
            await reply.write(piece)
            self.sent[name] += len(piece)
            await asyncio.sleep(self.pause_s)
        return reply

    def _start(self, request: web.Request, tag: str) -> int:
        asked = request.headers.get("range", "")
        if self.ignore_range or not asked or request.headers.get("if-range", tag) != tag:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))


@contextmanager
def model_server() -> Iterator[ModelServer]:
    """A server in a thread of its own, on any free port."""
    server, ready, done = ModelServer(), threading.Event(), threading.Event()

    async def serve() -> None:
        runner = web.AppRunner(server.app(), shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        while not done.is_set():
            await asyncio.sleep(0.02)
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        done.set()
        thread.join(10)
