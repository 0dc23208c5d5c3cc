"""Images in a request: the engines on this machine read text alone, and say so before the request is sent."""

from typing import Any, cast

import orjson

from fireside.core.openai_wire import json_object
from fireside.services.inference.errors import ImagesNotReadError
from fireside.services.inference.model import ServedModel


def refuse_images(body: bytes, model: ServedModel) -> None:
    """Pass when the model can read what a request holds.

    Raises:
        ImagesNotReadError: It holds an image, and the model runs in an engine here.
    """
    if model.engine is None or b"image_url" not in body:
        return
    try:
        messages = json_object(orjson.loads(body)).get("messages")
    except orjson.JSONDecodeError:
        return  # its server says so
    if any(_has_image(json_object(message).get("content")) for message in _items(messages)):
        raise ImagesNotReadError(
            f"{model.name} reads text alone: leave images out, or ask another model", param="messages"
        )


def _has_image(content: Any) -> bool:
    return any(json_object(part).get("type") == "image_url" for part in _items(content))


def _items(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
