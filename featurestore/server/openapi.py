"""The OpenAPI document (`/openapi.json`) and a page of it (`/docs`), made of the records by which requests are decoded and answers are
written: what is documented is what is done. The page is one file that loads nothing from elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec

from .http import ErrorAnswer, Request, Response, error_response
from .routes import Route, Serving

_REF = "#/components/schemas/{name}"
_OF_EVERY = (400, 401, 403, 404, 503, 504)
_OF_BODIES = (408, 413, 415, 422, 500, 502)
_CACHED = ((b"cache-control", b"no-cache"),)


def routes(serving: Serving, documented: Sequence[Route]) -> tuple[Route, ...]:
    """`/openapi.json` and `/docs`, of those endpoints."""
    document = openapi(documented, guarded=serving.access.guarded)
    as_json, as_page = msgspec.json.encode(document), page(document).encode()

    async def openapi_json(_: Request) -> Response:
        return Response(200, as_json, headers=_CACHED)

    async def docs(_: Request) -> Response:
        return Response(200, as_page, b"text/html; charset=utf-8", _CACHED)

    return (
        Route("GET", "/openapi.json", openapi_json, "This document", open=True),
        Route("GET", "/docs", docs, "A page of it", open=True),
    )


def openapi(documented: Sequence[Route], *, guarded: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 document of those endpoints."""
    records = [record for route in documented for record in (route.body, route.answer) if record is not None]
    schemas, components = msgspec.json.schema_components([*records, ErrorAnswer], ref_template=_REF)
    known = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for route in documented:
        body = next(known) if route.body is not None else None
        answer = next(known) if route.answer is not None else None
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, body, answer, schemas[-1])
    for name, extra in ((route.body.__name__, route.body_schema) for route in documented if route.body_schema):
        components[name] |= extra
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Feature server", "version": version("featurestore")},
        "paths": paths,
        "components": {"schemas": components},
    }
    if guarded:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document


def _operation(route: Route, body: Any, answer: Any, error: Any) -> dict[str, Any]:
    forms: dict[str, Any] = {form.decode(): {} for form in route.forms}
    succeeded: dict[str, Any] = {"description": "Done."}
    if answer is not None:
        succeeded["content"] = {"application/json": {"schema": answer}, **forms}
    elif forms:
        succeeded["content"] = forms
    statuses = () if route.open else (*_OF_EVERY, *(_OF_BODIES if body is not None else ()), *((406,) if forms else ()))
    failed = {"content": {"application/json": {"schema": error} if route.error_response is error_response else {}}}
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{route.path.replace('/', '_').replace('-', '_').replace('.', '_')}",
        "summary": route.summary,
        "responses": {
            "200": succeeded,
            **{str(status): {"description": HTTPStatus(status).phrase, **failed} for status in sorted(statuses)},
            "default": {"description": "Any other error.", **failed},
        },
    }
    if route.description:
        operation["description"] = route.description
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if route.anybody:
        operation["security"] = []
    return operation


def page(document: dict[str, Any]) -> str:
    """The document as a page of HTML without a script."""
    sections = [
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}. "
        f"{escape(operation.get('description', ''))}</p>{_content('Request', operation.get('requestBody', {}))}"
        f"{_content('Answer', operation['responses']['200'])}</section>"
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    schemas = [
        f"<section><h3 id='{escape(name)}'><code>{escape(name)}</code></h3><pre>{_linked(schema)}</pre></section>"
        for name, schema in sorted(document["components"]["schemas"].items())
    ]
    title = f"{document['info']['title']} {document['info']['version']}"
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{_STYLE}</style>"
    return (
        f"<!doctype html><html lang='en'>{head}<h1>{escape(title)}</h1>"
        f"<p>For programs: <a href='openapi.json'>openapi.json</a>.</p>{''.join(sections)}<h2>Records</h2>{''.join(schemas)}</html>"
    )


def _content(title: str, described: dict[str, Any]) -> str:
    parts = (
        f"<h3>{title}: {escape(form)}</h3>" + (f"<pre>{_linked(content['schema'])}</pre>" if "schema" in content else "")
        for form, content in described.get("content", {}).items()
    )
    return "".join(parts)


def _linked(schema: Any) -> str:
    text = escape(json.dumps(schema, indent=2, ensure_ascii=False), quote=False)
    prefix = _REF.removesuffix("{name}")
    pieces = text.split(f'"{prefix}')
    linked = [f'<a href="#{name}">{name}</a>{rest}' for name, _, rest in (piece.partition('"') for piece in pieces[1:])]
    return pieces[0] + "".join(linked)


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "pre{background:#f4f4f4;padding:.8rem;overflow:auto;font-size:13px}section{border-top:1px solid #ddd}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#222}a{color:#8bf}}"
)
