"""The page that describes the server, made of its OpenAPI schema.

Nothing in it is fetched from elsewhere.
"""

import html
import json

STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto}"
    "pre{background:#eee;padding:.7em;overflow:auto}"
    "h2 code{background:none}code{background:#eee}"
)


def page(schema):
    """The page as HTML.

    Args:
        schema: Dict: what `fastapi.FastAPI.openapi` returned.

    Returns:
        str.
    """
    info = schema["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>{_text(info['title'])}</title><style>{STYLE}</style>",
        f"<h1>{_text(info['title'])}</h1><p>{_text(info['description'])}</p>",
        "<p>For programs: <a href='/openapi.json'>openapi.json</a>.</p>",
    ]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            parts.append(_operation(method, path, operation))
    parts.append("<h2>Messages</h2>")
    for name, message in schema["components"]["schemas"].items():
        written = json.dumps(message, indent=1, ensure_ascii=False)
        parts.append(
            f"<details id='{_text(name)}'><summary>{_text(name)}</summary>"
            f"<pre>{_text(written)}</pre></details>"
        )
    return "\n".join(parts)


def _operation(method, path, operation):
    """A section on one path and method."""
    rows = [f"<h2><code>{method.upper()} {_text(path)}</code></h2>"]
    rows.append(f"<p>{_text(operation.get('description', ''))}</p><ul>")
    for one in operation.get("parameters", ()):
        rows.append(f"<li>Takes <code>?{_text(one['name'])}=</code></li>")
    for kind, body in (
        operation.get("requestBody", {}).get("content", {}).items()
    ):
        rows.append(f"<li>Takes {_text(kind)}: {_link(body['schema'])}</li>")
    for code, answer in operation["responses"].items():
        found = [
            _link(body["schema"]) for body in answer.get("content", {}).values()
        ]
        about = _text(answer["description"])
        rows.append(f"<li>{code} {about} {' '.join(found)}</li>")
    return "\n".join([*rows, "</ul>"])


def _link(schema):
    """A link to a message."""
    name = _text(schema.get("$ref", "").rpartition("/")[2])
    return f"<a href='#{name}'>{name}</a>" if name else ""


def _text(value):
    return html.escape(str(value), quote=True)
