"""The respond service: chooses how to answer, and streams the answer with its sources, check and confidence."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from fireside.contracts import inference
from fireside.contracts.answer import AnswerEvent
from fireside.contracts.inference import Chat, ModelProfile, ModelReady, ProfileQuery
from fireside.contracts.respond import GENERATE, GenerateAnswer
from fireside.core.clock import Clock
from fireside.core.errors import FiresideError, NotFoundError
from fireside.runtime.mesh import Context, Service, on_signal, stream_action
from fireside.services.respond import chat_answer, evidence_reader, quote_answer, write_answer
from fireside.services.respond.prompt import chat_messages, template
from fireside.services.respond.settings import RespondSettings
from fireside.services.respond.task import AnswerTask, step


class RespondService(Service):
    """Makes answers. Keeps nothing.

    | how | when |
    |---|---|
    | fixed reply | a greeting, thanks, a question about the assistant |
    | chat | general mode: the model's own words, marked as unsupported |
    | refusal | no passages, or their evidence is too weak |
    | quote | company mode with a model too small to be trusted with facts, or with none |
    | write | company mode with a larger model: its words, sentence by sentence checked against the passages |
    """

    name = "respond"

    def __init__(self, *, settings: RespondSettings, clock: Clock) -> None:
        """Answer with the given settings; the clock times the steps."""
        self._settings = settings
        self._clock = clock

    @stream_action(GENERATE)
    async def generate(self, context: Context, request: GenerateAnswer) -> AsyncGenerator[AnswerEvent]:
        """Answer a question.

        Raises:
            UnknownModelError: There is no model of the name asked for.
        """
        task = AnswerTask(context=context, request=request, settings=self._settings, clock=self._clock)
        async with aclosing(_answer(task)) as events:
            async for event in events:
                yield event

    @on_signal(ModelReady)
    async def warm(self, context: Context, signal: ModelReady) -> None:
        """Have a model read the instructions that every talk begins with, so that the first asker need not wait."""
        messages = chat_messages(template("chat"), (), "Hello")
        request = Chat(messages=messages, model=signal.name, max_tokens=1, priority="background")
        with suppress(FiresideError):  # it is only slower without
            async with aclosing(context.as_service(self.name).stream(inference.CHAT, request)) as items:
                async for _ in items:
                    pass


async def _answer(task: AnswerTask) -> AsyncGenerator[AnswerEvent]:
    if chat_answer.has_fixed_reply(task):
        way = chat_answer.reply_fixed(task)
    elif task.request.analysis.mode == "general":
        task.profile = await _profile(task)
        way = chat_answer.chat(task)
    else:
        way = _from_documents(task)
    async with aclosing(way) as events:
        async for event in events:
            yield event


async def _from_documents(task: AnswerTask) -> AsyncGenerator[AnswerEvent]:
    task.profile = await _profile(task)
    begun = task.clock.monotonic()
    yield step(task, "respond", "read", "started")
    reading = await evidence_reader.read(task)
    count = len(reading.candidates) if reading else 0
    yield step(task, "respond", "read", "done", detail=f"{count} sentences compared", begun=begun)
    if reading is None or not reading.answered:
        way = quote_answer.refuse(task, reading.assessment if reading else None)
    elif task.profile is not None and task.profile.answer_style == "write":
        way = write_answer.write(task, reading)
    else:
        way = quote_answer.quote(task, reading)
    async with aclosing(way) as events:
        async for event in events:
            yield event


async def _profile(task: AnswerTask) -> ModelProfile | None:
    """What is known of the model asked for; None, with a notice, when no model is there to ask."""
    try:
        profile = await task.context.call(inference.PROFILE, ProfileQuery(model=task.request.model))
    except NotFoundError:
        raise
    except FiresideError:
        task.degraded.append("No language model is available; the documents are quoted.")
        return None
    return profile if profile.state in {"ready", "remote", "installed"} or profile.answer_style == "quote" else None
