"""Images given to a model that reads text alone."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from fireside.core.identity import user_identity
from fireside.core.ids import UserId, new_id
from fireside.ports.model_engine import EngineStatus
from fireside.services.inference.model import Catalogue
from fireside.services.inference.service import InferenceService
from fireside.testing.scripted_model import ScriptedModel
from tests.services.gateway.gateway_house import FakeChat, FakeEmbeddings, gateway
from tests.services.inference.parts import EngineDouble, room, served

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
URL = f"data:image/png;base64,{DOT}"


def said(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(content)}]


OPENAI = {"messages": said({"type": "image_url", "image_url": {"url": URL}})}
SOURCE = {"type": "base64", "media_type": "image/png", "data": DOT}
ANTHROPIC = {"max_tokens": 5, "messages": said({"type": "image", "source": SOURCE})}
OLLAMA = {"messages": [{"role": "user", "content": "what?", "images": [DOT]}]}
RESPONSES = {"store": False, "input": said({"type": "input_image", "image_url": URL})}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    model = served("small", ScriptedModel(), engine=EngineDouble(EngineStatus("ready")))
    service = InferenceService(catalogue=Catalogue((model,)), room=room())
    someone = user_identity(UserId(new_id()), roles=["user"], permissions=["models:use", "chat:write"])
    services = (service, FakeChat(), FakeEmbeddings())
    async with gateway(*services, identity=someone) as client:
        yield client


@pytest.mark.requirement("I5")
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", OPENAI),
        ("/v1/messages", ANTHROPIC),
        ("/api/chat", OLLAMA),
        ("/v1/responses", RESPONSES),
    ],
)
async def test_an_image_for_a_model_that_reads_text_alone_is_refused_in_every_dialect(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], stream: bool
) -> None:
    reply = await client.post(path, json={"model": "small", "stream": stream, **body})

    assert reply.status_code == 400, reply.text
    assert "small reads text alone" in reply.text


async def test_the_word_in_a_text_is_no_image(client: httpx.AsyncClient) -> None:
    body = {"model": "small", "messages": [{"role": "user", "content": 'what is {"type": "image_url"}?'}]}

    assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
