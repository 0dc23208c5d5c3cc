"""What can go wrong with documents, collections and searching them."""

from fireside.core.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError, UnavailableError


class DocumentNotFoundError(NotFoundError):
    """There is no such document, or it is not the caller's to see."""

    code = "document_not_found"


class DocumentNotReadyError(ConflictError):
    """The document has no text: it was not read yet, or could not be."""

    code = "document_not_ready"


class CollectionNotFoundError(NotFoundError):
    """There is no such collection, or it is not the caller's to see."""

    code = "collection_not_found"


class CollectionReadOnlyError(ForbiddenError):
    """The caller may read this collection, but not change it."""

    code = "collection_read_only"


class AmbiguousCollectionError(ConflictError):
    """Several collections have this name; use the id."""

    code = "ambiguous_collection"


class BuiltInCollectionError(ConflictError):
    """The shared and the personal collections cannot be renamed, opened to others or deleted."""

    code = "built_in_collection"


class CollectionNameTakenError(ConflictError):
    """The caller has a collection of this name."""

    code = "collection_name_taken"


class MemberNotFoundError(NotFoundError):
    """The user is not a member of this collection."""

    code = "member_not_found"


class InvalidPathError(InvalidInputError):
    """The name of a file is not one that can be kept."""

    code = "invalid_path"


class UploadNotFoundError(NotFoundError):
    """There is no such upload: it was added already, has expired, or is not the caller's."""

    code = "upload_not_found"


class EmptyUploadError(InvalidInputError):
    """The request holds no file."""

    code = "empty_upload"


class EmptyQueryError(InvalidInputError):
    """The query has no words."""

    code = "empty_query"


class InvalidCursorError(InvalidInputError):
    """The cursor is not one that a page gave."""

    code = "invalid_cursor"


class EmbeddingModelChangedError(UnavailableError):
    """The models that passages are embedded with changed meanwhile; trying again uses the present ones."""

    code = "embedding_model_changed"


class NoSuchEmbeddingModelError(NotFoundError):
    """There is no embedding model of that name."""

    code = "no_such_embedding_model"


class IndexMovingError(ConflictError):
    """The index is just being moved to another embedding model."""

    code = "index_moving"
