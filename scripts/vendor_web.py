"""Renew the third-party files of the web page from npm: download, check, rewrite imports, record hashes.

    python scripts/vendor_web.py            # the pinned versions again; fails when npm serves other bytes
    python scripts/vendor_web.py --update   # after editing a version below: record the new integrity values

Browsers cannot resolve bare module names without an import map, and the page's content security policy allows no inline
script, so `from "preact"` becomes a relative path here, once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "src/fireside/web/static/vendor"
TEST_VENDOR = ROOT / "tests/browser/vendor"

FIGTREE = ("latin-wght-normal", "latin-wght-italic", "latin-ext-wght-normal")
LITERATA = (
    "latin-wght-normal", "latin-wght-italic", "latin-ext-wght-normal", "cyrillic-wght-normal", "greek-wght-normal",
)  # fmt: skip
ICONS = (
    "arrow-down", "arrow-up", "check", "chevron-down", "chevron-left", "chevron-right", "chevron-up",
    "circle-alert", "copy", "download", "ellipsis", "external-link", "eye", "eye-off", "file-text", "files",
    "folder-open", "folder", "info", "keyboard", "log-out", "menu", "monitor", "moon", "panel-left", "pencil",
    "pin", "plus", "quote", "rotate-ccw", "scale", "search", "settings", "square", "square-pen", "sun",
    "thumbs-down", "thumbs-up", "trash-2", "triangle-alert", "upload", "x",
)  # fmt: skip

PACKAGES: dict[str, dict[str, Any]] = {
    "preact": {
        "version": "11.2.0",
        "files": {
            "dist/preact.mjs": "preact/preact.js",
            "hooks/dist/hooks.mjs": "preact/hooks.js",
            "LICENSE": "preact/LICENSE",
        },
    },
    "htm": {"version": "3.1.1", "files": {"dist/htm.module.js": "htm/htm.js", "LICENSE": "htm/LICENSE"}},
    "@preact/signals": {
        "version": "2.11.4",
        "files": {"dist/signals.module.js": "signals/signals.js", "LICENSE": "signals/LICENSE"},
    },
    "@preact/signals-core": {
        "version": "1.14.5",
        "files": {"dist/signals-core.module.js": "signals/signals-core.js"},
    },
    "markdown-it": {
        "version": "15.0.3",
        "files": {
            "dist/browser/markdown-it.esm.min.mjs": "markdown-it/markdown-it.js",
            "LICENSE": "markdown-it/LICENSE",
        },
    },
    "dompurify": {
        "version": "3.4.18",
        "files": {"dist/purify.es.mjs": "dompurify/purify.js", "LICENSE": "dompurify/LICENSE"},
    },
    "@fontsource-variable/figtree": {
        "version": "5.3.0",
        "files": {f"files/figtree-{cut}.woff2": f"figtree/{cut}.woff2" for cut in FIGTREE}
        | {"LICENSE": "figtree/LICENSE"},
    },
    "@fontsource-variable/literata": {
        "version": "5.3.0",
        "files": {f"files/literata-{cut}.woff2": f"literata/{cut}.woff2" for cut in LITERATA}
        | {"LICENSE": "literata/LICENSE"},
    },
    "lucide-static": {"version": "1.62.0", "files": {"LICENSE": "lucide/LICENSE"}, "sprite": "lucide/icons.svg"},
    "swagger-ui-dist": {
        "version": "5.35.0",
        "files": {
            "swagger-ui-bundle.js": "swagger-ui/swagger-ui.js",
            "swagger-ui-bundle.js.LICENSE.txt": "swagger-ui/LICENSES-OF-PARTS",
            "swagger-ui.css": "swagger-ui/swagger-ui.css",
            "LICENSE": "swagger-ui/LICENSE",
        },
    },
}
TEST_PACKAGES: dict[str, dict[str, Any]] = {
    "axe-core": {"version": "4.14.1", "files": {"axe.min.js": "axe-core/axe.min.js", "LICENSE": "axe-core/LICENSE"}},
}
BARE_IMPORTS = {
    '"preact/hooks"': '"/vendor/preact/hooks.js"',
    '"preact"': '"/vendor/preact/preact.js"',
    '"@preact/signals-core"': '"/vendor/signals/signals-core.js"',
}


def main(arguments: list[str]) -> int:
    """Renew both folders; 0 when every package matched (or `--update` recorded it)."""
    update = "--update" in arguments
    for folder, packages in ((VENDOR, PACKAGES), (TEST_VENDOR, TEST_PACKAGES)):
        renew(folder, packages, update=update)
    return 0


def renew(folder: Path, packages: dict[str, dict[str, Any]], *, update: bool) -> None:
    """Write the files of all packages into the folder, and `vendor.json` beside them."""
    manifest_path = folder / "vendor.json"
    recorded = json.loads(manifest_path.read_text())["packages"] if manifest_path.exists() else {}
    manifest: dict[str, Any] = {}
    for name, wanted in packages.items():
        with tempfile.TemporaryDirectory() as temporary:
            archive, integrity = download(name, wanted["version"], into=Path(temporary))
            before = recorded.get(name, {}).get("integrity")
            if not update and before != integrity:
                sys.exit(f"{name}: npm serves {integrity}, recorded is {before}; see --update")
            written, licence = unpack(archive, wanted, folder=folder)
        manifest[name] = {
            "version": wanted["version"],
            "licence": licence,
            "integrity": integrity,
            "files": {path: sha256(folder / path) for path in sorted(written)},
        }
    note = "Written by scripts/vendor_web.py. integrity: the npm archive; files: SHA-256 of what is served."
    manifest_path.write_text(json.dumps({"note": note, "packages": manifest}, indent=2) + "\n")


def download(name: str, version: str, *, into: Path) -> tuple[Path, str]:
    """Fetch one npm archive; its path and its sha512 in npm's notation."""
    command = ["npm", "pack", "--silent", f"{name}@{version}"]
    subprocess.run(command, cwd=into, check=True, capture_output=True)  # noqa: S603 (names and versions stand above)
    archive = next(into.glob("*.tgz"))
    digest = hashlib.sha512(archive.read_bytes()).digest()
    return archive, "sha512-" + base64.b64encode(digest).decode()


def unpack(archive: Path, wanted: dict[str, Any], *, folder: Path) -> tuple[list[str], str]:
    """Copy the wanted files; the paths written and the package's licence."""
    with tarfile.open(archive) as tar:

        def read(path: str) -> bytes:
            member = tar.extractfile(f"package/{path}")
            if member is None:
                sys.exit(f"{archive.name} has no {path}")
            return member.read()

        licence = json.loads(read("package.json"))["license"]
        contents = {target: adapt(read(source), target) for source, target in wanted["files"].items()}
        if "sprite" in wanted:
            contents[wanted["sprite"]] = sprite({icon: read(f"icons/{icon}.svg").decode() for icon in ICONS})
    for target, content in contents.items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return list(contents), licence


def adapt(content: bytes, target: str) -> bytes:
    """Make bare imports relative to the site and drop source map notes, whose files are not shipped."""
    if not target.endswith((".js", ".css")):
        return content
    text = re.sub(r"\n?(//|/\*)# sourceMappingURL=\S+\s*(\*/)?\s*$", "\n", content.decode())
    for bare, path in BARE_IMPORTS.items():
        text = text.replace(f"from{bare}", f"from{path}").replace(f"from {bare}", f"from {path}")
    return text.encode()


def sprite(icons: dict[str, str]) -> bytes:
    """One SVG file with a symbol for each icon, used as `icons.svg#name`."""
    symbols = [
        f'<symbol id="{name}" viewBox="0 0 24 24">{" ".join(re.findall(r"<(?:path|circle|rect|line|poly)[^>]*>", svg))}'
        "</symbol>"
        for name, svg in icons.items()
    ]
    head = '<svg xmlns="http://www.w3.org/2000/svg"><!-- Lucide icons, ISC; see LICENSE -->'
    return "\n".join([head, *symbols, "</svg>", ""]).encode()


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
