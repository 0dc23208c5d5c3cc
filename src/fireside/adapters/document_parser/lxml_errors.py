"""What a failure of lxml means for the file."""

from lxml.etree import ErrorTypes, LxmlError

from fireside.ports.document_parser import CorruptDocumentError, DocumentTooComplexError


def explain(error: LxmlError) -> Exception:
    """The error to raise in place of lxml's: memory that ran out and nesting without end are not damage."""
    code: int | None = getattr(error, "code", None)  # only errors of the parser have one
    if code == ErrorTypes.ERR_NO_MEMORY:
        return MemoryError()
    if code == ErrorTypes.ERR_RESOURCE_LIMIT:
        return DocumentTooComplexError("the file nests its elements deeper than 2,000 levels")
    return CorruptDocumentError(f"the file is damaged: {error}")
