"""Request bodies that routes read themselves, byte for byte, and what the OpenAPI document says of them. No I/O."""

from typing import Any, TypeVar, cast

import orjson
from pydantic import BaseModel, ValidationError

from fireside.core.errors import InvalidInputError

ModelT = TypeVar("ModelT", bound=BaseModel)

_DEFINITIONS = "$defs"


def read_json(body: bytes) -> dict[str, Any]:
    """The object that a request's body is.

    Raises:
        InvalidInputError: It is none.
    """
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidInputError(f"the body is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise InvalidInputError("the body must be a JSON object")
    return cast("dict[str, Any]", parsed)


def read_request(model: type[ModelT], body: dict[str, Any], *, param: str | None = None) -> ModelT:
    """Read a request's body into its model, or what was made of it into a contract.

    Args:
        model: The shape.
        body: What shall have it.
        param: The field of the client's own that is at fault when this has not; the field of the model without.

    Raises:
        InvalidInputError: A field is wrong; it is named, the innermost one first.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        found = max(error.errors(), key=lambda wrong: len(wrong["loc"]))  # where a union was read farthest
        lacks = found["loc"][-1:] if found["type"] == "missing" else ()
        where = ".".join([*_path(found["loc"], body), *map(str, lacks)])
        raise InvalidInputError(f"{where}: {found['msg']}", param=param or where) from error


def _path(location: tuple[int | str, ...], body: dict[str, Any]) -> list[str]:
    """The part of a location that is there in the body: it also has names of branches of unions, which are not."""
    path: list[str] = []
    value: Any = body
    for part in location:
        if isinstance(value, dict) and part in value:
            value = cast("dict[Any, Any]", value)[part]
        elif isinstance(value, list) and isinstance(part, int):
            value = cast("list[Any]", value)[part]
        else:
            continue
        path.append(str(part))
    return path


def json_body(model: type[BaseModel], *, example: dict[str, Any]) -> dict[str, Any]:
    """What a route passes as `openapi_extra` when its body is JSON of this shape.

    Args:
        model: The shape; it must not hold itself.
        example: A body that works.
    """
    schema = model.model_json_schema()
    definitions = schema.pop(_DEFINITIONS, {})
    content = {"application/json": {"schema": _inlined(schema, definitions), "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema with its definitions where they are used: an operation has no place of its own for them."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    fields = cast("dict[str, Any]", schema)
    reference = fields.get("$ref")
    if isinstance(reference, str):
        return _inlined(definitions[reference.rpartition("/")[2]], definitions)
    by_name = {"discriminator"} if "oneOf" in fields else set[str]()  # it only names the definitions again
    return {name: _inlined(value, definitions) for name, value in fields.items() if name not in by_name}
