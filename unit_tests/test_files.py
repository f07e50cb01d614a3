"""Reading JSON files: what is accepted, and the error for each file that can't be used."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_incident.errors import InputError
from source_incident.files import json_type, read_json, read_json_object
from unit_tests.singer.strategies import json_values

KEY = "inc_5ecret_key_0123456789abcdef"


def one_line(error: InputError) -> str:
    """Check that the error's text is one line without the API key, and return it."""
    text = str(error)
    assert text.startswith("config ")
    assert "\n" not in text
    assert KEY not in text
    assert error.__cause__ is None
    return text


def write(folder: Path, content: bytes) -> str:
    path = folder / "file.json"
    path.write_bytes(content)
    return str(path)


def test_reads_a_file_with_or_without_a_bom(tmp_path: Path) -> None:
    content = json.dumps({"api_key": KEY}).encode()
    assert read_json_object(write(tmp_path, content), "config") == {"api_key": KEY}
    assert read_json_object(write(tmp_path, b"\xef\xbb\xbf" + content), "config") == {"api_key": KEY}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is not JSON"),
        (b"api_key = 1", "at line 1 column 1"),
        (b'{"api_key": "%s"' % KEY.encode(), "is not JSON"),
        (b'{"api_key": "%s",\n}' % KEY.encode(), "is not JSON"),
        (b'{"num_workers": NaN}', "is not JSON"),
        (b'{"api_key": "\\ud800"}', "is not JSON"),
        (b"[]", "must hold a JSON object, but it holds a list"),
        (b'"%s"' % KEY.encode(), "it holds a string"),
        (b"null", "it holds null"),
        (b"true", "it holds a boolean"),
        (b"5", "it holds a number"),
        ('{"api_key": "x"}'.encode("utf-16"), "is in UTF-16. Save it as UTF-8"),
        ('{"api_key": "x"}'.encode("utf-16-le"), "is not JSON"),
        (b'{"api_key": "\xe9"}', "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"num_workers": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b" " * 1_000_001, "is larger than 1,000,000 bytes. Check that"),
    ],
)
def test_rejects_an_unusable_file_in_one_line(tmp_path: Path, content: bytes, text: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError) as caught:
        read_json_object(path, "config")
    assert one_line(caught.value).startswith(f"config {path}: ")
    assert text in str(caught.value)


def test_rejects_an_unreadable_file_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    for path, text in ((tmp_path / "none.json", "No such file"), (tmp_path, "Is a directory"), ("a\0b", "null")):
        with pytest.raises(InputError, match=text) as caught:
            read_json_object(str(path), "config")
        one_line(caught.value)
    path = write(tmp_path, b"{}")
    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(InputError, match="Permission denied") as caught:
        read_json_object(path, "config")
    one_line(caught.value)


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_file_is_read_or_rejected(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.getbasetemp(), content)
    try:
        document = read_json_object(path, "config")
    except InputError as error:
        one_line(error)
    else:
        assert isinstance(document, dict)


def test_an_error_names_the_kind_of_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^catalog .*: is not JSON"):
        read_json(write(tmp_path, b"x"), "catalog")


def test_advises_to_keep_the_last_line_of_a_targets_output(tmp_path: Path) -> None:
    path = write(tmp_path, b'{"bookmarks": {}}\n{"type": "STATE", "value": {}}\n')
    with pytest.raises(InputError, match=rf"Keep that one: tail -n 1 {path} > state\.json"):
        read_json(path, "state")


@pytest.mark.parametrize("content", [b'{"bookmarks": {}}\n[]', b"{}\n{}", b"{}\nx", b"x"])
def test_other_lines_are_just_not_json(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError, match="is not JSON"):
        read_json(write(tmp_path, content), "state")


@pytest.mark.parametrize(
    ("value", "name"),
    [({}, "an object"), ([], "a list"), ("", "a string"), (True, "a boolean"), (None, "null"), (1.5, "a number")],
)
def test_names_json_types(value: Any, name: str) -> None:
    assert json_type(value) == name
