"""The package's metadata; build and tool settings are in pyproject.toml."""

import os
import re
from pathlib import Path

from setuptools import find_packages, setup


def readme() -> str:
    """README.md. In a GitHub workflow its links become absolute, because PyPI shows only the text."""
    text = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
    repository, ref = (os.environ.get(f"GITHUB_{name}") for name in ("REPOSITORY", "REF_NAME"))
    if not repository:
        return text
    return re.sub(
        r"(\]\(|src=\")(?!\w+:|#)([^)\"]+)",
        lambda link: (
            f"{link[1]}https://github.com/{repository}/{'raw' if '.svg' in link[2] else 'blob'}/{ref}/{link[2]}"
        ),
        text,
    )


setup(
    name="tap-incident",
    version="0.1.0",
    description="incident.io as an Airbyte source and a Singer tap, in one program",
    long_description=readme(),
    long_description_content_type="text/markdown",
    author="the tap-incident authors",
    license="MIT",
    license_files=["LICENSE"],
    keywords=["incident.io", "airbyte", "singer", "meltano", "tap", "etl"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Database",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["source_incident", "source_incident.*"]),
    package_data={"source_incident": ["py.typed", "schemas/*.json"]},
    python_requires=">=3.11,<3.14",
    install_requires=[
        "airbyte-cdk>=7.39,<8",
        "airbyte-protocol-models-dataclasses>=0.17.1,<0.18",
        "msgspec>=0.19,<1",
        "orjson>=3.10.7,<4",
        "requests>=2.32,<3",
        "rich>=14",
        "shtab>=1.13,<2",
    ],
    extras_require={
        "tests": [
            "docker>=7.1",
            "duckdb>=1.4",
            "httptools>=0.6",
            "hypothesis>=6.150",
            "import-linter>=2.5",
            "jsonschema>=4.23",
            "markdown-it-py>=4",
            "license-expression>=30.4",
            "mypy>=1.18",
            "pytest>=8.4",
            "pytest-timeout>=2.4",
            "pytest-xdist>=3.8",
            "PyYAML>=6.0.1",
            "ruff>=0.14",
            "rumdl>=0.3",
            "starlette>=0.48",
            "types-docker>=7.1",
            "types-jsonschema>=4.23",
            "types-PyYAML>=6.0.12",
            "types-requests>=2.32",
            "uvicorn>=0.37",
            "uvloop>=0.21; sys_platform != 'win32'",
        ],
    },
    entry_points={
        "console_scripts": [
            "tap-incident = source_incident.run:run",
            "source-incident = source_incident.run:run",
        ],
    },
)
