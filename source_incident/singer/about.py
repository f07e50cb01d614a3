"""`--about`: what Meltano and the Singer SDK's tools read of a tap."""

import json
from collections.abc import Mapping
from typing import Any

CAPABILITIES = ("about", "catalog", "discover", "properties", "state", "test")
# JSON Schema keywords of the Airbyte UI that mean nothing to Singer's tools.
AIRBYTE_KEYWORDS = frozenset({"order", "airbyte_secret", "pattern_descriptor"})


def about(name: str, description: str, version: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The tap described in the form of the Singer SDK's `--about --format=json`.

    Args:
        settings: the JSON Schema of the settings, as the Airbyte spec has it.
    """
    properties = {}
    for key, schema in settings["properties"].items():
        properties[key] = {word: value for word, value in schema.items() if word not in AIRBYTE_KEYWORDS}
        if schema.get("airbyte_secret"):
            properties[key]["secret"] = True
    return {
        "name": name,
        "description": description,
        "version": version,
        "supported_python_versions": ["3.11", "3.12", "3.13"],
        "capabilities": list(CAPABILITIES),
        "env_var_prefix": "TAP_INCIDENT_",
        "settings": {
            "type": "object",
            "required": list(settings["required"]),
            "properties": properties,
        },
    }


def about_markdown(described: Mapping[str, Any]) -> str:
    """The same as a page of Markdown."""
    settings = described["settings"]
    lines = [
        f"# `{described['name']}`",
        "",
        described["description"],
        "",
        f"Version {described['version']}",
        "",
        "## Capabilities",
        "",
        *(f"* `{capability}`" for capability in described["capabilities"]),
        "",
        "## Settings",
        "",
        "| Setting | Required | Default | Description |",
        "| --- | --- | --- | --- |",
    ]
    for key, schema in settings["properties"].items():
        required = "yes" if key in settings["required"] else "no"
        default = f"`{json.dumps(schema['default'])}`" if "default" in schema else ""
        lines.append(f"| `{key}` | {required} | {default} | {schema['description']} |")
    return "\n".join(lines) + "\n"
