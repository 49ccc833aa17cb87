"""Makes the documentation's wire reference from the JSON schemas when the pages are built."""

from __future__ import annotations

from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from stream import wire

PAGE = "wire-reference.md"
HEAD = """# Wire reference

A message is two ZeroMQ frames: the topic (UTF-8) and one msgpack map with string keys. Times are
integers in nanoseconds, arrays are msgpack lists. A minor version only adds keys, so a subscriber
ignores keys that it does not know. This page is made from the JSON schemas in `stream/schema`
whenever the documentation is built; [Subscribe](subscribe.md) says how to receive the messages.

Every payload has the keys of this table:

{common}

The `clock` of `er.v1.info` ties the monotonic clock to UTC. What the causes of gaps mean stands on
the page [Live and devices](live.md#what-an-estimate-says).
"""
Rows = list[tuple[str, str, str]]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page; MkDocs calls this."""
    files.append(File.generated(config, PAGE, content=reference()))
    return files


def reference() -> str:
    """Return the page in Markdown: a section for each topic, and a row for each key."""
    schemas = {topic: wire.schema(topic) for topic in wire.TOPICS}
    first, *others = (set(schema["properties"]) for schema in schemas.values())
    common = first.intersection(*others)
    some = schemas[wire.NOTIFY]["properties"]
    shared = rows({key: value for key, value in some.items() if key in common})
    parts = [HEAD.format(common=table(shared))]
    for topic, schema in schemas.items():
        own = {key: value for key, value in schema["properties"].items() if key not in common}
        parts.append(f"## {topic}\n\n{schema['description']}\n\n{table(rows(own))}\n")
    return "\n".join(parts)


def rows(properties: dict[str, Any], before: str = "") -> Rows:
    """Return key, type and meaning of each property, and of those inside it."""
    found: Rows = []
    for key, schema in properties.items():
        name = f"{before}{key}"
        found.append((f"`{name}`", kind(schema), schema.get("description", "")))
        inner = schema if "properties" in schema else schema.get("items", {})
        dots = "[]." if inner is not schema else "."
        found += rows(inner.get("properties", {}), f"{name}{dots}")
    return found


def kind(schema: dict[str, Any]) -> str:
    """Return in words what a value may be."""
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(kind(one) for one in schema["anyOf"])
    types = schema.get("type", "bytes")  # JSON has no type for bytes
    said = " or ".join([types] if isinstance(types, str) else types)
    if "items" in schema:
        said = said.replace("array", f"list of {kind(schema['items'])}")
    if "minimum" in schema and "maximum" in schema:
        said += f" from {schema['minimum']} to {schema['maximum']}"
    return said.replace("object", "map")


def table(found: Rows) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| key | type | meaning |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in found)])
