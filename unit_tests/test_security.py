"""SECURITY.md claims what a test holds: each claim, and the tests that hold it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOSTILE = "integration_tests/faults/test_hostile_servers.py"
KEY = "integration_tests/faults/test_key.py"
CLAIMS = {
    "The connector sends only `GET` requests": ["unit_tests/api/test_client.py::test_sends_the_key_the_query_and"],
    "The endpoint must use `https`": [f"{KEY}::test_rejects_http_to_another_machine"],
    "Redirects are\n  not followed": [f"{KEY}::test_check_follows_no_redirect"],
    "Another endpoint is named in the log": [
        f"{HOSTILE}::test_another_endpoint_is_named",
        "integration_tests/sync/test_init.py::test_asks_for_a_key_until_it_is_valid",
    ],
    "For an `https` endpoint the proxy": [f"{HOSTILE}::test_a_proxy_for_an_https_endpoint_does_not_see_the_key"],
    "For an\n  `http` endpoint no proxy is used": [f"{HOSTILE}::test_a_proxy_never_gets_a_request_for_an_http"],
    "even if the API repeats the key": [f"{KEY}::test_redacts_a_key_that_the_server_returns"],
    "A page cursor that holds the key is rejected": [f"{HOSTILE}::test_a_cursor_that_holds_the_key_is_rejected"],
    "one with fewer than 8 characters": ["unit_tests/test_output.py::test_does_not_redact_a_text_that_is_too_short"],
    "The examples start the target without": [
        "unit_tests/test_examples.py::test_target_does_not_get_the_api_key",
        "unit_tests/test_examples.py::test_airflow_target_does_not_get_the_api_key",
        "unit_tests/test_examples.py::test_no_other_example_pipes_the_tap_into_a_target",
    ],
    "a file that only its owner can read": ["unit_tests/test_init.py::test_shows_what_the_key_can_read_and_writes"],
    "only the columns of the catalog's schema are emitted": [
        "integration_tests/streams/test_undeclared.py::test_the_catalogs_columns_limit_what_is_emitted"
    ],
    "They are removed from every record": ["integration_tests/streams/test_credentials.py::test_emits_no_credential"],
    "withheld, at any depth, if their name says": [
        "integration_tests/streams/test_undeclared.py::test_undeclared_credentials_are_withheld_and_named_once"
    ],
    "the image, the volumes and the command": ["unit_tests/test_examples.py::test_airflow_runs_can_choose_streams"],
    "a tag that is not on main": ["unit_tests/test_workflows.py::test_release_refuses_a_tag_that_is_not_on_main"],
    "what the lock files, digests and commits name": [
        "unit_tests/test_workflows.py::test_actions_are_pinned_by_commit_and_name_their_version",
        "unit_tests/test_workflows.py::test_the_base_image_is_pinned_by_digest_where_dependabot_updates_it",
        "unit_tests/test_workflows.py::test_uv_is_installed_with_hashes",
    ],
    "size, depth and names are bounded": [
        f"{HOSTILE}::test_a_file_that_is_too_deep_is_rejected",
        f"{HOSTILE}::test_a_state_with_a_huge_key_ends_soon",
        "integration_tests/soak/test_fuzz.py::test_no_input_does_harm",
    ],
    "Answers are limited in size, depth and memory": [
        f"{HOSTILE}::test_ten_hostile_pages_at_once_stay_within_the_memory_bound",
        f"{HOSTILE}::test_nested_records_of_one_page_stay_within_the_memory_bound",
        f"{HOSTILE}::test_a_large_error_body_is_not_read",
        f"{HOSTILE}::test_a_record_that_is_too_deep_fails_its_stream_only",
    ],
    "are escaped in messages and in the log": [
        f"{HOSTILE}::test_control_characters_of_errors_are_escaped",
        f"{HOSTILE}::test_control_characters_of_field_names_and_cursors_are_escaped",
    ],
    "`.` and `..` are rejected": [f"{HOSTILE}::test_an_id_that_would_leave_its_path_is_not_requested"],
    "A proxy's URL is never printed": [f"{HOSTILE}::test_a_proxy_that_cannot_be_used_is_not_printed"],
    "signed by the workflow that built it": [
        "unit_tests/test_workflows.py::test_release_signs_provenance_and_the_sbom_of_each_architecture"
    ],
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_of_security_md_has_its_tests(claim: str) -> None:
    assert claim in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for test in CLAIMS[claim]:
        file, _, name = test.partition("::")
        assert re.search(rf"^def {name}", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), test
