"""Commands that use the API: exit codes, whole lines on stdout, one line on stderr, no API key in either."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airbyte_cdk.models import (
    AirbyteMessageSerializer,
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteCatalogSerializer,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
)
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from source_incident import display
from source_incident.streams import STREAMS
from unit_tests.api.server import FORBIDDEN, NOT_FOUND, ScriptedServer, answer
from unit_tests.conftest import KEY, Program
from unit_tests.singer.strategies import json_values


def write(path: Path, document: Any) -> Path:
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    return path


def account(path: str) -> bytes:
    """Answers for an account with two severities. One has a field that is not in the schema."""
    if path.startswith("/v1/severities"):
        return answer({"severities": [{"id": "s1", "name": "Minor", "rank": 1}, {"id": "s2", "new": KEY}]})
    if path.startswith("/v2/incidents"):
        return answer({"incidents": [], "pagination_meta": {}})
    if path.startswith("/v1/identity"):
        return answer({"identity": {"name": f"My {KEY}", "roles": []}})
    return answer({**NOT_FOUND, "errors": [{"code": "resource_not_found", "message": f"no {KEY}"}]}, 404)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(default=account) as started:
        yield started


@pytest.fixture
def config(tmp_path: Path, server: ScriptedServer) -> Path:
    return write(tmp_path / "config.json", {"api_key": KEY, "endpoint": server.url, "max_retries": 0})


def catalog(*names: str, mode: SyncMode = SyncMode.full_refresh) -> dict[str, Any]:
    item = [
        ConfiguredAirbyteStream(
            stream=AirbyteStream(name=name, json_schema={}, supported_sync_modes=[SyncMode.full_refresh]),
            sync_mode=mode,
            destination_sync_mode=DestinationSyncMode.append,
        )
        for name in names
    ]
    dumped: dict[str, Any] = ConfiguredAirbyteCatalogSerializer.dump(ConfiguredAirbyteCatalog(streams=item))
    return dumped


def test_reads_in_the_airbyte_protocol(program: Program, config: Path, tmp_path: Path) -> None:
    catalog_file = write(tmp_path / "catalog.json", catalog("severities"))
    result = program("read", "--config", config, "--catalog", catalog_file)
    assert result.code == 0
    for line in result.lines:
        AirbyteMessageSerializer.load(line)
    records = [line["record"] for line in result.lines if line["type"] == "RECORD"]
    assert [(record["stream"], record["data"]) for record in records] == [
        ("severities", {"id": "s1", "name": "Minor", "rank": 1}),
        ("severities", {"id": "s2", "_undeclared": {"new": "****"}}),
    ]
    statuses = [line["trace"]["stream_status"]["status"] for line in result.lines if line["type"] == "TRACE"]
    assert statuses == ["STARTED", "RUNNING", "COMPLETE"]
    assert [line["state"]["sourceStats"]["recordCount"] for line in result.lines if line["type"] == "STATE"] == [2.0]
    assert result.err == ""


def singer_catalog(program: Program, config: Path, tmp_path: Path, *names: str) -> Path:
    document = json.loads(program("--config", config, "--discover").out)
    for entry in document["streams"]:
        entry["metadata"][0]["metadata"]["selected"] = entry["stream"] in names
    return write(tmp_path / "singer.json", document)


def test_reads_in_the_singer_protocol(program: Program, config: Path, tmp_path: Path) -> None:
    catalog_file = singer_catalog(program, config, tmp_path, "severities")
    result = program("--config", config, "--catalog", catalog_file)
    assert result.code == 0
    assert [line["type"] for line in result.lines] == [
        *("SCHEMA", "RECORD", "RECORD", "ACTIVATE_VERSION"),
        *("STATE", "STATE"),
    ]
    assert result.lines[2]["record"] == {"id": "s2", "_undeclared": {"new": "****"}}
    assert "INFO METRIC: " in result.err


@pytest.mark.parametrize("command", [["read"], []])
def test_reads_a_column_whose_schema_is_true(
    program: Program, config: Path, tmp_path: Path, command: list[str]
) -> None:
    catalog_file = singer_catalog(program, config, tmp_path, "severities")
    document = json.loads(catalog_file.read_text())
    (entry,) = (entry for entry in document["streams"] if entry["stream"] == "severities")
    entry["schema"]["properties"]["name"] = True
    result = program(*command, "--config", config, "--catalog", write(catalog_file, document))
    assert result.code == 0
    records = [line["record"] for line in result.lines if line["type"] == "RECORD"]
    assert records[0].get("data", records[0])["name"] == "Minor"
    schemas = [line["schema"] for line in result.lines if line["type"] == "SCHEMA"]
    assert all(schema["properties"]["name"] is True for schema in schemas)


@pytest.mark.parametrize("state", [{"bookmarks": {}}, [], {}])
def test_both_protocols_accept_catalogs_and_states_of_both_formats(
    program: Program, config: Path, tmp_path: Path, state: Any
) -> None:
    state_file = write(tmp_path / "state.json", state)
    from_singer = singer_catalog(program, config, tmp_path, "severities")
    from_airbyte = write(tmp_path / "airbyte.json", catalog("severities"))
    airbyte = program("read", "--config", config, "--catalog", from_singer, "--state", state_file)
    singer = program("read", "--singer", "--config", config, "--catalog", from_airbyte, "--state", state_file)
    assert (airbyte.code, singer.code) == (0, 0)
    assert sum(line["type"] == "RECORD" for line in airbyte.lines) == 2
    assert sum(line["type"] == "RECORD" for line in singer.lines) == 2


def test_both_protocols_accept_the_state_that_either_emits(program: Program, config: Path, tmp_path: Path) -> None:
    catalog_file = write(tmp_path / "catalog.json", catalog("incidents", mode=SyncMode.incremental))
    arguments = ("--config", config, "--catalog", catalog_file)
    singer = [line for line in program(*arguments).lines if line["type"] == "STATE"][-1]
    airbyte = [line for line in program("read", *arguments).lines if line["type"] == "STATE"][-1]
    for document in (singer["value"], singer, airbyte, airbyte["state"], [airbyte["state"]]):
        state = write(tmp_path / "state.json", document)
        for command in (["read"], []):
            result = program(*command, *arguments, "--state", state)
            assert result.code == 0
            assert "updated_at" in result.out


def test_discovers_every_stream_in_both_protocols(program: Program, config: Path) -> None:
    (message,) = program("discover", "--config", config).lines
    document = json.loads(program("discover", "--singer", "--config", config).out)
    found = [stream["name"] for stream in message["catalog"]["streams"]]
    assert found == [entry["tap_stream_id"] for entry in document["streams"]]
    assert len(found) == len(STREAMS)


def test_check_succeeds(program: Program, config: Path) -> None:
    result = program("check", "--config", config)
    assert result.code == 0
    (status,) = [line["connectionStatus"] for line in result.lines if line["type"] == "CONNECTION_STATUS"]
    assert status == {"status": "SUCCEEDED"}
    singer = program("--config", config, "--test")
    assert (singer.code, singer.out) == (0, "")
    assert "The key works" in singer.err


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (401, {"errors": [{"message": f"bad {KEY}"}]}, "does not accept the API key"),
        (403, FORBIDDEN, "some.scope"),
        (302, {}, "redirects"),
        (500, {"request_id": "req-1"}, "req-1"),
    ],
)
def test_a_failed_check_reports_the_reason(
    program: Program, config: Path, server: ScriptedServer, status: int, body: Any, text: str
) -> None:
    server.add(answer(body, status))
    result = program("check", "--config", config)
    assert result.code == 0, "the Airbyte platform reads the status, not the exit code"
    (found,) = [line["connectionStatus"] for line in result.lines if line["type"] == "CONNECTION_STATUS"]
    assert found["status"] == "FAILED"
    assert text in found["message"]
    server.add(answer(body, status))
    singer = program("--config", config, "--test")
    assert singer.code == 1
    assert singer.out == ""
    assert text in singer.err
    assert singer.err.count("\n") == 2, "the host that gets the key, and the reason"


def test_check_reports_an_unusable_config_in_its_status(program: Program, tmp_path: Path) -> None:
    result = program("check", "--config", write(tmp_path / "c.json", {"api_key": ""}))
    (found,) = [line["connectionStatus"] for line in result.lines if line["type"] == "CONNECTION_STATUS"]
    assert found["status"] == "FAILED"
    assert "api_key is empty" in found["message"]


def test_reports_a_failed_stream_and_finishes_the_others(program: Program, config: Path, tmp_path: Path) -> None:
    catalog_file = write(tmp_path / "catalog.json", catalog("incident_types", "severities"))
    result = program("read", "--config", config, "--catalog", catalog_file)
    assert result.code == 1
    assert sum(line["type"] == "RECORD" for line in result.lines) == 2
    errors = [line["trace"]["error"] for line in result.lines if line.get("trace", {}).get("error")]
    assert errors[0]["stream_descriptor"]["name"] == "incident_types"
    assert errors[0]["failure_type"] == "config_error"
    singer = program("--config", config, "--catalog", catalog_file)
    assert singer.code == 1
    assert sum(line["type"] == "RECORD" for line in singer.lines) == 2
    assert "incident_types: " in singer.err


def test_a_failed_stream_keeps_its_state(
    program: Program, config: Path, tmp_path: Path, server: ScriptedServer
) -> None:
    catalog_file = write(tmp_path / "catalog.json", catalog("alerts", mode=SyncMode.incremental))
    page = {"alerts": [{"id": "a1", "updated_at": "2026-01-01T00:00:00Z"}], "pagination_meta": {"after": "a1"}}
    server.add(answer(page), answer({}, 500))
    result = program("--config", config, "--catalog", catalog_file)
    assert result.code == 1
    states = [line["value"]["bookmarks"] for line in result.lines if line["type"] == "STATE"]
    assert states[-1]["alerts"]["resume"]["after"] == "a1"


UNUSABLE: list[tuple[str, Any, str]] = [
    ("config", b"", "is not JSON"),
    ("config", b"[]", "must hold a JSON object"),
    ("config", b"\xff\xfe{\x00}\x00", "UTF-16"),
    ("config", {}, "api_key is missing"),
    ("config", {"api_key": f"{KEY}\n{KEY}"}, "a line break"),
    ("config", {"api_key": KEY, "start_date": "soon"}, "start_date"),
    ("config", {"api_key": KEY, "start_date": "2999-01-01"}, "future"),
    ("config", {"api_key": KEY, "num_workers": -1}, "num_workers"),
    ("config", {"api_key": KEY, "endpoint": "http://api.incident.io"}, "https"),
    ("catalog", b"{", "is not JSON"),
    ("catalog", [], '"streams" list'),
    ("catalog", {"streams": []}, "no streams"),
    ("catalog", catalog("severity"), "no stream 'severity'"),
    ("catalog", catalog("severities", "severities"), "twice"),
    ("catalog", {"streams": [{"tap_stream_id": "severities", "schema": {"properties": {"x": {}}}}]}, "lacks its key"),
    ("state", b"nothing", "is not JSON"),
    ("state", {"severities": 1}, "neither"),
    ("state", {"bookmarks": {"incidents": 5}}, "'incidents'"),
    ("state", {"bookmarks": {"incidents": {"updated_at": "yesterday"}}}, "'incidents'"),
    ("state", {"bookmarks": {"incidents": {"something": 1}}}, "'incidents'"),
    ("state", [{"type": "GLOBAL", "global": {}}], "neither"),
]


@pytest.mark.parametrize("singer", [True, False])
@pytest.mark.parametrize(("what", "document", "text"), UNUSABLE)
def test_reports_unusable_input_in_one_line_and_exits_with_2(
    program: Program, config: Path, tmp_path: Path, singer: bool, what: str, document: Any, text: str
) -> None:
    bad = write(tmp_path / "bad.json", document)
    files = {"config": config, "catalog": write(tmp_path / "k.json", catalog("incidents", mode=SyncMode.incremental))}
    files[what] = bad
    arguments = [part for name, path in files.items() for part in (f"--{name}", path)]
    result = program(*([] if singer else ["read"]), *arguments)
    assert result.code == 2
    assert result.err.startswith("tap-incident: ")
    assert result.err.count("\n") == 1
    assert text in result.err
    if singer:
        assert result.out == ""
    else:
        errors = [line["trace"]["error"] for line in result.lines if line["type"] == "TRACE"]
        assert [error["failure_type"] for error in errors] == ["config_error"]
        assert text in errors[0]["message"]
        assert not [line for line in result.lines if line["type"] not in ("TRACE", "LOG")]


@pytest.mark.parametrize("name", ["none.json", "folder", "bad\udcffname.json", "new\nline.json"])
@pytest.mark.parametrize("what", ["config", "catalog", "state"])
@pytest.mark.parametrize("command", [["read"], []])
def test_reports_a_missing_file_in_one_line(
    program: Program, config: Path, tmp_path: Path, name: str, what: str, command: list[str]
) -> None:
    (tmp_path / "folder").mkdir()
    arguments = {"config": config, what: tmp_path / name}
    result = program(*command, *(part for flag, path in arguments.items() for part in (f"--{flag}", path)))
    assert result.code == 2
    assert result.err.startswith(f"tap-incident: {what} ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("what", ["config", "catalog", "state"])
@pytest.mark.parametrize("kind", ["100 MB", "endless", "no permission", "a symlink loop", "UTF-16 without a BOM"])
def test_reports_an_unreadable_file_in_one_line(
    program: Program, config: Path, tmp_path: Path, what: str, kind: str
) -> None:
    path = tmp_path / "given.json"
    if kind == "100 MB":
        with path.open("wb") as file:
            file.truncate(100_000_000)
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "a symlink loop":
        path.symlink_to(path)
    elif kind == "no permission" and os.geteuid() == 0:
        path.symlink_to("/proc/self/mem")  # root can't read its first byte either
    elif kind == "no permission":
        write(path, {})
        path.chmod(0)
    else:
        write(path, '{"api_key": "x"}'.encode("utf-16-le"))
    arguments = {"config": config, what: path}
    result = program("read", *(part for flag, path in arguments.items() for part in (f"--{flag}", path)))
    assert result.code == 2
    assert result.err.startswith(f"tap-incident: {what} {path}: ")
    assert result.err.count("\n") == 1
    assert {line["type"] for line in result.lines} <= {"LOG", "TRACE"}


@pytest.mark.parametrize("what", ["config", "catalog", "state"])
def test_accepts_a_pipe_and_a_bom(program: Program, config: Path, tmp_path: Path, what: str) -> None:
    files = {
        "config": config,
        "catalog": write(tmp_path / "catalog.json", catalog("severities")),
        "state": write(tmp_path / "state.json", {"bookmarks": {}}),
    }
    with_bom = b"\xef\xbb\xbf" + files[what].read_bytes()
    pipe, fill = os.pipe()
    os.write(fill, with_bom)
    os.close(fill)
    arguments = [part for name, path in {**files, what: f"/dev/fd/{pipe}"}.items() for part in (f"--{name}", path)]
    result = program("read", *arguments)
    os.close(pipe)
    assert result.code == 0
    assert sum(line["type"] == "RECORD" for line in result.lines) == 2


def test_warns_of_an_unknown_setting_with_a_similar_name(
    program: Program, tmp_path: Path, server: ScriptedServer
) -> None:
    given_config = write(tmp_path / "c.json", {"api_key": KEY, "endpont": server.url, "endpoint": server.url})
    result = program("--config", given_config, "--discover")
    assert "WARNING config: unknown setting 'endpont' is ignored. Did you mean 'endpoint'?" in result.err


def test_warns_of_unused_state_and_keeps_it(program: Program, config: Path, tmp_path: Path) -> None:
    catalog_file = write(tmp_path / "catalog.json", catalog("severities"))
    state = write(tmp_path / "state.json", {"bookmarks": {"gone": {"at": 10**30, "b": 1}, "severities": {"at": 1}}})
    result = program("--config", config, "--catalog", catalog_file, "--state", state)
    assert result.code == 0
    assert "WARNING state: there is no stream 'gone', its state is not used." in result.err
    assert "WARNING state: the state of the stream 'severities' is not used, it is read in full" in result.err
    assert result.lines[-1]["value"]["bookmarks"]["gone"]["b"] == 1


def test_does_not_warn_of_the_state_of_a_full_refresh(program: Program, config: Path, tmp_path: Path) -> None:
    catalog_file = write(tmp_path / "catalog.json", catalog("severities"))
    arguments = ("read", "--config", config, "--catalog", catalog_file)
    emitted = [line["state"] for line in program(*arguments).lines if "state" in line]
    gone = {"type": "STREAM", "stream": {"stream_descriptor": {"name": "gone"}, "stream_state": {}}}
    state_file = write(tmp_path / "state.json", [*emitted, gone])
    result = program(*arguments, "--state", state_file)
    assert result.logged("WARN") == ["state: there is no stream 'gone', its state is not used. Remove it"]


@pytest.mark.parametrize(
    ("name", "mode", "field", "parts"),
    [
        (
            "incidents",
            SyncMode.incremental,
            ["created_at"],
            ["'created_at' is ignored. Set it to updated_at"],
        ),
        ("alert_notes", SyncMode.incremental, ["at"], ["'at' is ignored. Remove it"]),
        ("incidents", SyncMode.incremental, ["updated_at"], []),
        ("incidents", SyncMode.incremental, [], []),
        ("incidents", SyncMode.full_refresh, ["created_at"], []),
    ],
)
def test_warns_of_another_cursor_field(
    program: Program, config: Path, tmp_path: Path, name: str, mode: SyncMode, field: list[str], parts: list[str]
) -> None:
    document = catalog(name, mode=mode)
    document["streams"][0]["cursor_field"] = field
    result = program("read", "--config", config, "--catalog", write(tmp_path / "catalog.json", document))
    warned = result.logged("WARN")
    assert [f"catalog: {name}: the cursor_field {part}" in warned[0] for part in parts] == [True] * len(warned)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"stream": {"name": "users"}, "sync_mode": "full_refresh"}, "not a configured stream of the Airbyte protocol"),
        ({"name": "users", "json_schema": {}, "supported_sync_modes": 5}, "not a stream of the Airbyte protocol"),
        ({"tap_stream_id": "users", "schema": {}, "metadata": [{}]}, "has no breadcrumb list"),
    ],
)
@pytest.mark.parametrize("command", [["read"], []])
def test_reports_a_damaged_catalog_entry_with_advice(
    program: Program, config: Path, tmp_path: Path, command: list[str], document: Any, text: str
) -> None:
    result = program(*command, "--config", config, "--catalog", write(tmp_path / "k.json", {"streams": [document]}))
    assert result.code == 2
    assert text in result.err
    assert result.err.endswith(". Run discover to create a catalog\n")


@pytest.mark.parametrize(
    ("what", "advice"),
    [
        ("config", "Make one with tap-incident --init"),
        ("catalog", "Make one with tap-incident --discover"),
        ("state", "Start without it, or with an older one"),
    ],
)
@pytest.mark.parametrize("content", [None, b"{", b""])
def test_reports_an_unusable_file_with_advice(
    program: Program, config: Path, tmp_path: Path, what: str, advice: str, content: bytes | None
) -> None:
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    files = {"config": config, what: path}
    result = program(*(word for flag, file in files.items() for word in (f"--{flag}", file)))
    assert result.code == 2
    assert result.err.startswith(f"tap-incident: {what} {path}: ")
    assert result.err.endswith(f". {advice}\n")


@pytest.mark.parametrize(
    "document", [b'{"bookmarks": {"gone": {"a": "\\ud800"}}}', b'{"bookmarks": {"gone": {"a": NaN}}}']
)
def test_rejects_a_state_that_could_not_be_written_again(
    program: Program, config: Path, tmp_path: Path, document: bytes
) -> None:
    catalog_file = write(tmp_path / "catalog.json", catalog("severities"))
    result = program("--config", config, "--catalog", catalog_file, "--state", write(tmp_path / "state.json", document))
    assert result.code == 2
    assert "is not JSON" in result.err


def test_advises_to_keep_the_last_line_of_a_targets_output(program: Program, config: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "state.jsonl", b'{"bookmarks": {}}\n{"bookmarks": {"alerts": {}}}\n')
    result = program("--config", config, "--state", path)
    assert result.code == 2
    problem = f"state {path}: has several lines, and only the last one is the state"
    assert result.err == f"tap-incident: {problem}. Keep that one: tail -n 1 {path} > state.json\n"


def test_reads_the_key_from_the_environment(
    program: Program, tmp_path: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCIDENT_API_KEY", KEY)
    monkeypatch.setenv("INCIDENT_ENDPOINT", server.url)
    catalog_file = write(tmp_path / "catalog.json", catalog("severities"))
    for arguments in (["--config", "ENV"], []):
        result = program("--catalog", catalog_file, *arguments)
        assert result.code == 0
        assert sum(line["type"] == "RECORD" for line in result.lines) == 2


def test_debug_does_not_log_the_key(program: Program, config: Path, tmp_path: Path) -> None:
    catalog_file = write(tmp_path / "catalog.json", catalog("severities", "incidents"))
    for command in (["read"], ["--singer", "read"]):
        assert program(*command, "--debug", "--config", config, "--catalog", catalog_file).code == 0


@given(st.sampled_from(["catalog", "state"]), json_values, st.booleans())
@hypothesis_settings(max_examples=40)
def test_any_json_as_catalog_or_state_is_read_or_rejected(
    program: Program, config: Path, tmp_path: Path, what: str, document: Any, singer: bool
) -> None:
    if what == "state":
        document = {"bookmarks": {"severities": document, "gone": document}}
    files = {"catalog": write(tmp_path / "k.json", catalog("severities"))}
    files[what] = write(tmp_path / "fuzz.json", document)
    arguments = [part for name, path in files.items() for part in (f"--{name}", path)]
    result = program(*(["--singer"] if singer else []), "read", "--config", config, *arguments)
    assert result.code in (0, 2)
    assert "please report" not in result.err
    for line in result.lines:
        assert line["type"] in ("RECORD", "STATE", "SCHEMA", "ACTIVATE_VERSION", "LOG", "TRACE")


def mutated(draw: st.DrawFn, value: Any, depth: int) -> Any:
    """Return the value with one place of it replaced, removed or doubled."""
    if depth and isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        change = draw(st.sampled_from(["inner", "removed", "other"]))
        rest = {name: inner for name, inner in value.items() if name != key}
        if change == "removed":
            return rest
        return {**rest, key: mutated(draw, value[key], depth - 1) if change == "inner" else draw(json_values)}
    if depth and isinstance(value, list) and value:
        index = draw(st.integers(0, len(value) - 1))
        change = draw(st.sampled_from(["inner", "removed", "doubled"]))
        new = {"inner": [mutated(draw, value[index], depth - 1)], "removed": [], "doubled": [value[index]] * 2}[change]
        return [*value[:index], *new, *value[index + 1 :]]
    return draw(json_values)


@st.composite
def mutated_pages(draw: st.DrawFn) -> Any:
    """A page of incidents with nested records that is valid except for one place."""
    incident = {
        "id": "01I",
        "mode": "standard",
        "updated_at": "2026-01-01T00:00:00Z",
        "incident_status": {"category": "live"},
        "custom_field_entries": [{"custom_field": {"id": "01F"}, "values": []}],
    }
    page = {"incidents": [incident, {**incident, "id": "01J"}], "pagination_meta": {"after": None, "page_size": 250}}
    return mutated(draw, page, draw(st.integers(0, 5)))


@given(mutated_pages(), st.booleans())
@hypothesis_settings(max_examples=60, deadline=None)
def test_any_answer_is_read_or_reported(
    program: Program, config: Path, tmp_path: Path, server: ScriptedServer, page: Any, singer: bool
) -> None:
    catalog_file = write(tmp_path / "catalog.json", catalog("incidents", mode=SyncMode.incremental))
    server.add(answer(page))
    result = program(*(["--singer"] if singer else []), "read", "--config", config, "--catalog", catalog_file)
    assert result.code in (0, 1)
    for text in ("please report it (", "the connector failed"):
        assert text not in result.out + result.err
    for line in result.lines:
        assert line["type"] in ("RECORD", "STATE", "SCHEMA", "ACTIVATE_VERSION", "LOG", "TRACE")


@pytest.mark.parametrize("flags", [[], ["--no-progress"]])
@pytest.mark.parametrize("command", [["read"], []])
def test_logs_a_progress_line_for_each_active_stream_unless_disabled(
    program: Program,
    config: Path,
    tmp_path: Path,
    server: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    flags: list[str],
) -> None:
    monkeypatch.setattr(display, "LOG_SECONDS", 0.1)
    first, second = (
        answer({"escalations": [{"id": id_}], "pagination_meta": {"after": after}})
        for id_, after in (("first", "p2"), ("second", None))
    )

    def slow(connection: socket.socket) -> None:
        server.wait(0.5)
        connection.sendall(second)

    server.add(first, slow)
    catalog_file = write(tmp_path / "catalog.json", catalog("escalations"))
    result = program(*command, "--config", config, "--catalog", catalog_file, *flags)
    assert result.code == 0
    log = "\n".join(result.logged("INFO")) if command else result.err
    assert ("escalations: 1 records, " in log) != bool(flags)
    assert "Summary: 1 of 1 stream finished; 2 records; 2 requests, 0 retries" in log
