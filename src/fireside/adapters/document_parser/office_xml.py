"""What Word and PowerPoint files have in common: parts of XML in a package, joined by relationships."""

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from lxml import etree

from fireside.adapters.document_parser.lxml_errors import explain
from fireside.adapters.document_parser.packages import open_package
from fireside.ports.document_parser import CorruptDocumentError, ParseLimits

Element: TypeAlias = etree._Element  # pyright: ignore[reportPrivateUsage] # lxml has no public name for it
_RELATION_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION_ID = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"


@dataclass(frozen=True, slots=True)
class Relation:
    """A pointer from one part to another: `kind` is the last word of its type (`slide`, `styles`)."""

    kind: str
    target: str


class OfficePackage:
    """Read access to the parts of one Office file."""

    def __init__(self, content: bytes, *, limits: ParseLimits) -> None:
        """Open the file.

        Raises:
            CorruptDocumentError: It is damaged.
            DocumentTooLargeError: It unpacks to more than allowed.
            EncryptedDocumentError: It is protected by a password.
            UnsupportedDocumentError: It is an Office file of the old format.
        """
        self._package = open_package(content, limits=limits)
        self._names = {name.lower(): name for name in self._package.namelist()}

    def main_part(self) -> str:
        """Name of the part that holds the document.

        Raises:
            CorruptDocumentError: The package names none.
        """
        for relation in self.relations("").values():
            if relation.kind == "officeDocument":
                return relation.target
        raise CorruptDocumentError("the file is damaged: it is a zip archive without an Office document in it")

    def relations(self, part: str) -> dict[str, Relation]:
        """The parts that this part points to inside the package, by the id it uses for them."""
        folder, name = posixpath.split(part)
        root = self.find_xml(posixpath.join(folder, "_rels", f"{name}.rels"))
        relations: dict[str, Relation] = {}
        for element in root if root is not None else ():
            if element.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, element.get("Target", ""))).lstrip("/")
                relations[element.get("Id", "")] = Relation(element.get("Type", "").rpartition("/")[2], target)
        return relations

    def find_related(self, part: str, kind: str) -> Element | None:
        """The XML of the first part of this kind that the part points to; None when there is none."""
        for relation in self.relations(part).values():
            if relation.kind == kind:
                return self.find_xml(relation.target)
        return None

    def xml(self, part: str) -> Element:
        """The XML of a part.

        Raises:
            CorruptDocumentError: There is no such part, or it is not XML.
        """
        root = self.find_xml(part)
        if root is None:
            raise CorruptDocumentError(f"the file is damaged: its part {part!r} is missing")
        return root

    def find_xml(self, part: str) -> Element | None:
        """The XML of a part; None when there is no such part.

        Raises:
            CorruptDocumentError: It is not XML, or has a document type, which Office files never have.
        """
        name = self._names.get(part.lower())
        if name is None:
            return None
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=True,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            root = etree.fromstring(self._package.read(name), parser=parser)
        except etree.LxmlError as error:
            raise explain(error) from error
        except (zipfile.BadZipFile, OSError) as error:
            raise CorruptDocumentError(f"the file is damaged: {error}") from error
        if root.getroottree().docinfo.internalDTD is not None:
            raise CorruptDocumentError("the file has a document type declaration, which Office files never have")
        return root

    def core_title(self) -> str:
        """The title in the file's properties; often left over from a template."""
        properties = self.find_related("", "core-properties")
        if properties is None:
            return ""
        return next(((element.text or "").strip() for element in properties if local_name(element) == "title"), "")


def local_name(element: Element) -> str:
    """Name of the element without its name space, which differs between the flavours of Office XML."""
    return element.tag.rpartition("}")[2]


def attribute(element: Element | None, name: str) -> str | None:
    """Value of the attribute of this local name, whatever its name space; None without it, or without an element."""
    if element is None:
        return None
    return next((str(value) for key, value in element.items() if str(key).rpartition("}")[2] == name), None)


def relation_id(element: Element) -> str:
    """The id of the relationship that the element refers to; empty when it has none."""
    return element.get(_RELATION_ID) or element.get(_STRICT_RELATION_ID) or ""


def child(element: Element | None, *path: str) -> Element | None:
    """The first child along a path of local names."""
    for name in path:
        if element is None:
            return None
        element = next((item for item in element if local_name(item) == name), None)
    return element


def descend(root: Element, *, into: frozenset[str], stop: frozenset[str]) -> Iterator[Element]:
    """Elements in document order, entering only some.

    Args:
        root: Its children are visited, not itself.
        into: Names of the elements whose children are visited in their place.
        stop: Names of the elements that are left out with everything in them.

    Yields:
        Every visited element that is neither entered nor left out.
    """
    stack = list(reversed(root))
    while stack:
        element = stack.pop()
        name = local_name(element)
        if name in into:
            stack.extend(reversed(element))
        elif name not in stop:
            yield element
