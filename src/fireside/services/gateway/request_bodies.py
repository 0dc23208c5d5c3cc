"""What the OpenAPI document says of request bodies that routes read themselves, byte for byte. No I/O."""

from typing import Any, cast

from pydantic import BaseModel

_DEFINITIONS = "$defs"


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
    return {name: _inlined(value, definitions) for name, value in fields.items()}
