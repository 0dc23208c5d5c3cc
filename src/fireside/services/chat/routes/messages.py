"""`/api/v1/conversations/{id}/messages` (posting) and `/api/v1/messages`."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, Response

from fireside.contracts import chat
from fireside.contracts.base import Action, StreamAction
from fireside.contracts.conversation import FeedbackView, MessageView
from fireside.contracts.permissions import route_access
from fireside.core.ids import ConversationId, MessageId
from fireside.runtime.context import Context
from fireside.services.chat.routes.answers import Answers, last_event_id

Accept = Annotated[str, Header()]
LastEventId = Annotated[str, Header(alias="Last-Event-ID", max_length=40)]


class PostBody(chat.Post, chat.AnswerWishes):
    """A message; with `answer: false` it is only context for the next answer."""

    answer: bool = True


def routes(*, keep_alive_s: float) -> APIRouter:
    """The routes of messages and answers."""
    routes = APIRouter(tags=["Messages"])
    posts = _Posts(Answers(keep_alive_s=keep_alive_s))
    one = "/messages/{message_id}"
    streams: dict[int | str, dict[str, Any]] = {
        200: {"description": "The answer, or its events as `Accept` asks for", "content": _CONTENT}
    }
    routes.post("/conversations/{conversation_id}/messages", responses=streams, openapi_extra=_access(chat.ASK))(
        posts.post_message
    )
    routes.post(f"{one}/regenerate", responses=streams, openapi_extra=_access(chat.REGENERATE))(posts.regenerate)
    routes.post(f"{one}/edit", responses=streams, openapi_extra=_access(chat.EDIT))(posts.edit)
    routes.get(f"{one}/events", responses=streams, openapi_extra=_access(chat.EVENTS))(posts.read_events)
    routes.get("/messages", openapi_extra=_access(chat.SEARCH))(search_messages)
    routes.get(one, openapi_extra=_access(chat.GET_MESSAGE))(get_message)
    routes.post(f"{one}/stop", openapi_extra=_access(chat.STOP))(stop_answer)
    routes.post(f"{one}/feedback", status_code=201, openapi_extra=_access(chat.FEEDBACK))(give_feedback)
    return routes


_CONTENT: dict[str, dict[str, object]] = {
    "application/json": {},
    "text/event-stream": {"schema": {"type": "string"}},
    "application/x-ndjson": {"schema": {"type": "string"}},
}


class _Posts:
    """The routes that answer with an answer."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def post_message(
        self,
        request: Request,
        conversation_id: ConversationId,
        body: PostBody,
        accept: Accept = "",
        resume: LastEventId = "",
    ) -> Response:
        """Ask, or add context. The same `id` again gives the same answer, from `Last-Event-ID` on."""
        context = _caller(request)
        post = body.model_dump(include={"content", "id", "parent_id"})
        if not body.answer:
            added = await context.call(chat.ADD_CONTEXT, chat.AddContext(conversation_id=conversation_id, **post))
            return JSONResponse(added.model_dump(mode="json"), 201)
        question = chat.AskQuestion(
            conversation_id=conversation_id, mode=body.mode, model=body.model, after=last_event_id(resume), **post
        )
        return await self._answers.respond(context, context.stream(chat.ASK, question), accept=accept)

    async def regenerate(
        self, request: Request, message_id: MessageId, body: chat.AnswerWishes | None = None, accept: Accept = ""
    ) -> Response:
        """Another answer to a question, beside the one it has."""
        context, wishes = _caller(request), body or chat.AnswerWishes()
        wanted = chat.RegenerateAnswer(message_id=message_id, **wishes.model_dump())
        return await self._answers.respond(context, context.stream(chat.REGENERATE, wanted), accept=accept)

    async def edit(
        self, request: Request, message_id: MessageId, body: chat.Rewording, accept: Accept = ""
    ) -> Response:
        """Ask a question in other words, as a new branch."""
        context = _caller(request)
        wanted = chat.EditQuestion(message_id=message_id, **body.model_dump())
        return await self._answers.respond(context, context.stream(chat.EDIT, wanted), accept=accept)

    async def read_events(
        self, request: Request, message_id: MessageId, accept: Accept = "", resume: LastEventId = ""
    ) -> Response:
        """The events of an answer (or of a question's newest answer) after `Last-Event-ID`, those to come included."""
        context = _caller(request)
        wanted = chat.FollowAnswer(message_id=message_id, after=last_event_id(resume))
        events = context.stream(chat.EVENTS, wanted)
        return await self._answers.respond(context, events, accept=accept, otherwise="sse")


async def search_messages(request: Request, wanted: Annotated[chat.SearchMessages, Query()]) -> chat.MessageHits:
    """Find messages and titles that hold all the words of `query`, newest first."""
    return await _caller(request).call(chat.SEARCH, wanted)


async def get_message(request: Request, message_id: MessageId) -> MessageView:
    """One message; an answer that is being written with its text so far."""
    return await _caller(request).call(chat.GET_MESSAGE, chat.MessageRef(message_id=message_id))


async def stop_answer(request: Request, message_id: MessageId) -> MessageView:
    """End an answer where it is; what there is of it is kept."""
    return await _caller(request).call(chat.STOP, chat.MessageRef(message_id=message_id))


async def give_feedback(request: Request, message_id: MessageId, body: chat.Rating) -> FeedbackView:
    """Rate an answer, once."""
    given = chat.GiveFeedback(message_id=message_id, **body.model_dump())
    return await _caller(request).call(chat.FEEDBACK, given)


def _caller(request: Request) -> Context:
    context: Context = request.state.context
    return context


def _access(action: Action[Any, Any] | StreamAction[Any, Any]) -> dict[str, str]:
    return route_access(action.access)
