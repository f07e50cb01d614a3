"""`--about`: the description of the tap that Meltano and the Singer SDK's tools read."""

import json
from collections.abc import Mapping
from typing import Any

CAPABILITIES = ("about", "catalog", "discover", "properties", "state", "test")
# JSON Schema keywords that only the Airbyte UI uses.
AIRBYTE_KEYWORDS = frozenset({"order", "airbyte_secret", "pattern_descriptor"})


def about(name: str, description: str, version: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the tap in the format of the Singer SDK's `--about --format=json`.

    Args:
        settings: the JSON Schema of the settings, as in the Airbyte spec.
    """
    properties = {}
    for key, schema in settings["properties"].items():
        properties[key] = {keyword: value for keyword, value in schema.items() if keyword not in AIRBYTE_KEYWORDS}
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


def about_markdown(description: Mapping[str, Any]) -> str:
    """Format the result of `about` as a Markdown page."""
    settings = description["settings"]
    lines = [
        f"# `{description['name']}`",
        "",
        description["description"],
        "",
        f"Version {description['version']}",
        "",
        "## Capabilities",
        "",
        *(f"* `{capability}`" for capability in description["capabilities"]),
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
