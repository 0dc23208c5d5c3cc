"""Small Office files and PDFs made in memory: by the common libraries where they can, else by hand."""

import io
import zipfile
from collections.abc import Mapping, Sequence

_CONTENT_TYPES = '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
_RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    "{rows}</Relationships>"
)
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def relations(**targets: str) -> str:
    """A relationships part: `kind_id=target`."""
    rows = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{name.partition("_")[0]}" Target="{target}"/>'
        for name, target in targets.items()
    )
    return _RELATIONS.format(rows=rows)


def package(parts: Mapping[str, str | bytes]) -> bytes:
    """An Office package of these parts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _CONTENT_TYPES)
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def word_file(body: str, **parts: str) -> bytes:
    """A Word document with this XML in its body, `w` being the name space of Word; `footnotes=` adds that part."""
    targets = {kind: f"{kind}.xml" for kind in parts}
    return package(
        {
            "_rels/.rels": relations(officeDocument="word/document.xml"),
            "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
            "word/_rels/document.xml.rels": relations(**targets),
            **{f"word/{kind}.xml": f'<w:{kind} xmlns:w="{WORD}">{xml}</w:{kind}>' for kind, xml in parts.items()},
        }
    )


def paragraph(text: str, *, properties: str = "") -> str:
    """One Word paragraph."""
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def pdf_file(
    pages: Sequence[Sequence[tuple[str, int]]],
    *,
    title: str = "",
    outline: Sequence[tuple[str, int]] = (),
) -> bytes:
    """A PDF whose pages hold lines of (text, font size); the outline is a list of (title, page from 1)."""
    count = len(pages)
    first_entry = 4 + 2 * count + 1
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(count))
    outlines = f"/Outlines {4 + 2 * count} 0 R" if outline else ""
    objects = [
        f"<</Type/Catalog/Pages 2 0 R{outlines}>>",
        f"<</Type/Pages/Count {count}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, lines in enumerate(pages):
        resources = "/Resources<</Font<</F1 3 0 R>>>>"
        contents = f"/Contents {5 + 2 * number} 0 R"
        objects.append(f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]{resources}{contents}>>")
        stream = _page_stream(lines)
        objects.append(f"<</Length {len(stream)}>>stream\n{stream}\nendstream")
    if outline:
        last_entry = first_entry + len(outline) - 1
        objects.append(f"<</Type/Outlines/First {first_entry} 0 R/Last {last_entry} 0 R/Count {len(outline)}>>")
        for place, (entry, page) in enumerate(outline):
            links = f"/Next {first_entry + place + 1} 0 R" if place < len(outline) - 1 else ""
            target = f"/Dest[{4 + 2 * (page - 1)} 0 R /Fit]"
            objects.append(f"<</Title({entry})/Parent {4 + 2 * count} 0 R{links}{target}>>")
    objects.append(f"<</Title({title})>>")
    return _pdf_bytes(objects)


def _page_stream(lines: Sequence[tuple[str, int]]) -> str:
    top, parts = 740, []
    for text, size in lines:
        top -= round(size * 1.3)
        if text:
            parts.append(f"BT /F1 {size} Tf 72 {top} Td ({text}) Tj ET")
    return "\n".join(parts)


def _pdf_bytes(objects: Sequence[str]) -> bytes:
    output, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(output))
        output += f"{number} 0 obj\n{content}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"trailer<</Root 1 0 R/Size {size}/Info {size - 1} 0 R>>\nstartxref\n{len(output)}\n%%EOF"
    return output + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode("latin-1")
