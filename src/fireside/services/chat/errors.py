"""What can go wrong with conversations and answers."""

from fireside.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    TooManyRequestsError,
    UnavailableError,
)


class ConversationNotFoundError(NotFoundError):
    """There is no such conversation."""

    code = "conversation_not_found"


class MessageNotFoundError(NotFoundError):
    """There is no such message."""

    code = "message_not_found"


class ResponseNotFoundError(NotFoundError):
    """There is no such response; those that are not deleted are kept for a time."""

    code = "response_not_found"


class IdTakenError(ConflictError):
    """The id belongs to something else already; send another one, or none."""

    code = "id_taken"


class AnswerRunningError(ConflictError):
    """The answer before this question is still being written; wait for it or stop it."""

    code = "answer_running"


class NotAnAnswerError(ConflictError):
    """Only answers can be treated like this."""

    code = "not_an_answer"


class NotAQuestionError(ConflictError):
    """Only a user's own messages can be edited."""

    code = "not_a_question"


class AlreadyRatedError(ConflictError):
    """You rated this answer already."""

    code = "already_rated"


class TooManyAnswersError(TooManyRequestsError):
    """Too many of your answers are being written at once."""

    code = "too_many_answers"


class BusyError(UnavailableError):
    """As many answers as this server can write at once are being written; try again in a moment."""

    code = "busy"


class AnswerTooLongError(UnavailableError):
    """The answer grew beyond the longest that is kept."""

    code = "answer_too_long"
    retryable = False


class InvalidCursorError(InvalidInputError):
    """The cursor is not one that an earlier page gave."""

    code = "invalid_cursor"


class NoWordsError(InvalidInputError):
    """The query holds no word to look for."""

    code = "no_words"


class InvalidImportError(InvalidInputError):
    """The file is not a conversation that Fireside exported."""

    code = "invalid_import"
