"""The operations of the public interface as the OpenAPI document describes them, and valid requests made from it."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from fireside.contracts.permissions import ACCESS_FIELD

Json = dict[str, Any]

RAW_BODIES: dict[tuple[str, str], Json] = {
    ("POST", "/v1/chat/completions"): {
        "model": "no-such-model",
        "messages": [{"role": "user", "content": "hello"}],
    },
    ("POST", "/v1/embeddings"): {"model": "no-such-model", "input": "hello"},
}
"""Routes that read their body themselves, so that the document does not describe it."""

_FIELDS = {
    "parent_id": "message_id",
    "attachments": "document_id",
    "collections": "collection",
    "collection_id": "collection",
    "previous_response_id": "response_id",
}
"""Fields of bodies that are not called like the path parameter that names the same kind of object."""

_AUTHENTICATION_CODES = frozenset(
    {"unauthenticated", "invalid_credential", "malformed_credential", "ambiguous_credentials", "invalid_api_key"}
)


@dataclass(frozen=True)
class Operation:
    """One method of one path.

    Attributes:
        access: What it declares to need; None when it declares nothing.
        path_parameters: Their schemas by name.
        query: Required query parameters, and those that search for words.
        body: A media type and the schema of its content; None when there is none.
    """

    method: str
    path: str
    access: str | None
    path_parameters: dict[str, Json]
    query: dict[str, Json]
    body: tuple[str, Json] | None
    schemas: Json = field(repr=False)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_read(self) -> bool:
        """Whether it only looks."""
        return self.method == "GET"

    def fields_naming(self, objects: Mapping[str, str]) -> Json:
        """The fields of the body that can name an object, each naming the one of its kind; lists of one."""
        if self.body is None or self.body[0] != "application/json":
            return {}
        properties = _resolved(self.body[1], self.schemas).get("properties", {})
        found: Json = {}
        for name, schema in properties.items():
            kind = _FIELDS.get(name, name)
            if kind in objects:
                is_list = '"array"' in json.dumps(schema)
                found[name] = [objects[kind]] if is_list else objects[kind]
        return found


def operations(document: Json) -> list[Operation]:
    """Every operation, those that end the caller's session last."""
    found = [
        _operation(method.upper(), path, described, document)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    return sorted(found, key=lambda operation: operation.path.endswith("/logout"))


def undeclared(document: Json) -> list[str]:
    """The operations that do not say who may call them."""
    return [str(operation) for operation in operations(document) if operation.access is None]


def _operation(method: str, path: str, described: Json, document: Json) -> Operation:
    parameters = described.get("parameters", [])
    content = described.get("requestBody", {}).get("content", {})
    media_type = next(iter(content), None)
    raw = RAW_BODIES.get((method, path))
    body = ("application/json", {"const": raw}) if raw is not None else None
    return Operation(
        method=method,
        path=path,
        access=described.get(ACCESS_FIELD),
        path_parameters={item["name"]: item["schema"] for item in parameters if item["in"] == "path"},
        query={
            item["name"]: item["schema"]
            for item in parameters
            if item["in"] == "query" and (item.get("required") or item["name"] in {"q", "query"})
        },
        body=(media_type, content[media_type]["schema"]) if media_type else body,
        schemas=document.get("components", {}).get("schemas", {}),
    )


async def send(
    client: httpx.AsyncClient,
    operation: Operation,
    *,
    headers: Mapping[str, str],
    objects: Mapping[str, str] | None = None,
    words: str = "anything",
    fields: Mapping[str, Any] | None = None,
) -> httpx.Response:
    """Send a valid request.

    Args:
        client: To send it with.
        operation: What to call.
        headers: The credential, under a name that a request has.
        objects: Values of path parameters; others name something that never was.
        words: What to search for, where words are searched for.
        fields: What the body says besides.
    """
    schemas, given = operation.schemas, objects or {}
    path = operation.path
    for name, schema in operation.path_parameters.items():
        path = path.replace("{" + name + "}", given.get(name) or str(sample(schema, schemas)))
    query = dict.fromkeys(operation.query, words)
    content = {} if operation.body is None else _content(*operation.body, schemas=schemas, fields=fields or {})
    return await client.request(operation.method, path, params=query, headers=dict(headers), **content)


def _content(media_type: str, schema: Json, *, schemas: Json, fields: Mapping[str, Any]) -> dict[str, Any]:
    value = sample(schema, schemas)
    if fields:
        value = {**value, **fields}
    if media_type == "application/json":
        return {"json": value}
    if media_type == "application/x-www-form-urlencoded":
        return {"data": value}
    return {"files": {"files": ("note.md", b"# A note\n\nNothing in particular.\n", "text/markdown")}}


def _resolved(schema: Json, schemas: Json) -> Json:
    resolved: Json = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return resolved


def sample(schema: Json, schemas: Json) -> Any:
    """A small value that a JSON schema allows, the same each time, but for ids, which are new."""
    schema = _resolved(schema, schemas)
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return sample(schema[several][0], schemas)
    return _of_type(schema, schemas)


def _of_type(schema: Json, schemas: Json) -> Any:
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: sample(properties[name], schemas) for name in schema.get("required", ())}
        case "array":
            return [sample(schema["items"], schemas) for _ in range(schema.get("minItems", 0))]
        case "integer" | "number":
            return schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
        case "boolean":
            return False
        case _:
            return _text(schema)


def _text(schema: Json) -> str:
    match schema.get("format"):
        case "uuid":
            return str(uuid.uuid4())
        case "date-time":
            return "2099-01-01T00:00:00Z"
    if "@" in schema.get("pattern", ""):
        return f"{uuid.uuid4().hex}@example.org"
    return "a" * max(1, schema.get("minLength", 1))


def refusal(reply: httpx.Response) -> int | None:
    """401 or 403 when the caller was refused for who they are; None when something else happened."""
    if reply.status_code not in {401, 403}:
        return None
    body = reply.json()
    code = body.get("error", {}).get("code") if isinstance(body.get("error"), dict) else body.get("code")
    if reply.status_code == 401:
        return 401 if code in _AUTHENTICATION_CODES else None
    return 403 if code == "forbidden" else None


def without(text: str, *ids: str) -> str:
    """A text from which ids are taken out, because they differ from request to request."""
    for each in ids:
        text = text.replace(each, "")
    return text


def failed(reply: httpx.Response) -> bool:
    """Whether the server failed. That a part is not there (no model, in these tests) is no failure."""
    return reply.status_code >= 500 and reply.status_code != 503
