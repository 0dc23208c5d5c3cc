"""Reading an upload: the files of a multipart form, one at a time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile

from fireside.core.errors import UnsupportedMediaTypeError
from fireside.services.documents.errors import EmptyUploadError
from fireside.services.documents.settings import DocumentsSettings

FIELD = "files"
_MAX_FIELDS = 20
UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {
                        FIELD: {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": "Files; a file name may be a relative path and is kept as such.",
                        }
                    },
                }
            }
        },
    }
}


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file as the client sent it; of one that is longer than allowed, one byte more than is allowed."""

    name: str
    media_type: str
    content: bytes


async def sent_files(request: Request, settings: DocumentsSettings) -> AsyncIterator[SentFile]:
    """The files of an upload, in order.

    Raises:
        UnsupportedMediaTypeError: The body is no multipart form.
        HTTPException: It is a broken one, or has too many files.
        EmptyUploadError: It has no file.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedMediaTypeError("send the files as multipart/form-data, in the field 'files'")
    async with request.form(max_files=settings.max_request_files, max_fields=_MAX_FIELDS) as form:
        files = [item for item in form.getlist(FIELD) if isinstance(item, UploadFile)]
        if not files:
            raise EmptyUploadError(f"send at least one file in the field {FIELD!r}", field=FIELD)
        for file in files:
            content = await file.read(settings.max_file_bytes + 1)
            yield SentFile(file.filename or "", file.content_type or "", content)
            await file.close()
