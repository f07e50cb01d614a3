"""The names of fields that hold credentials."""

import pytest

from source_incident.credentials import names_credential


@pytest.mark.parametrize(
    "name",
    [
        "secret", "secrets", "client_secret", "signing_secret", "secret_token", "secretKey",
        "token", "tokens", "access_token", "accessToken", "accesstoken", "oauth2_token", "token2", "X-Auth-Token",
        "password", "passwords", "password_hash", "new_password", "passwd", "pwd", "passphrase", "passcode",
        "api_key", "apiKey", "APIKey", "apikey", "X-Api-Key", "datadog_api_key", "api_key_value", "api_keys",
        "private_key", "privateKey", "private_key_pem", "access_key", "secret_access_key", "signing_key", "shared_key",
        "integration_key", "routing_key", "encryption_key", "webhook_key", "session_key",
        "authorization", "Authorization", "authorization_header", "basic_auth", "auth_header", "bearer", "cookie",
        "signature", "hmac", "hmac_sha256", "jwt", "otp", "credential", "credentials", "aws_credentials", "sentry_dsn",
        "signed_url", "signedUrl", "signedURL", "presigned_url", "pre_signed_url", "signed_urls", "temporary_url",
        "webhook", "slack_webhook", "webhook_url", "webhookUrl", "webhook_urls", "webhook_endpoint", "url_of_webhook",
        "webhook_target_address", "ping_url", "alert_events_url", "magic_link", "connection_string", "recovery_codes",
    ],
)  # fmt: skip
def test_a_name_of_a_credential(name: str) -> None:
    assert names_credential(name)


@pytest.mark.parametrize(
    "name",
    [
        # Keys that identify something.
        "key", "keys", "key_field", "sort_key", "catalog_type_key", "idempotency_key", "deduplication_key",
        "deduplication_key_path", "rate_limit_shard_key_path", "primary_key", "foreign_key", "issue_key", "project_key",
        "public_key", "grouping_key", "external_key", "keyword", "keyboard", "monkey", "turkey",
        # What is said about a credential.
        "token_last_issued_at", "token_type", "token_expiry", "secret_id", "secret_ids", "secret_name", "api_key_id",
        "has_password", "is_secret", "requires_token", "uses_webhook", "password_enabled", "webhook_id",
        "webhook_delivery", "webhook_delivery_state", "authorization_status", "signature_algorithm", "max_tokens",
        "total_tokens", "credentials_count",
        # Words that only resemble one.
        "secretary", "tokenizer", "author", "authored_by", "authorized", "assigned", "assignee", "signed_by", "design",
        "private", "is_private", "passed", "bypass", "compass", "passenger", "cookiecutter", "url", "source_url",
        "permalink", "call_url", "public_url", "document_url", "exported_urls", "address", "email_address", "endpoint",
        "status", "pin", "code", "session_id", "call_session_id", "access", "auth_method", "", "_", "1", "é",
    ],
)  # fmt: skip
def test_another_name(name: str) -> None:
    assert not names_credential(name)


@pytest.mark.parametrize(
    ("parent", "name"), [("webhook", "url"), ("webhooks", "endpoint"), ("webhook_delivery", "target_url")]
)
def test_the_address_of_a_webhook_in_an_object(parent: str, name: str) -> None:
    assert names_credential(name, parent)
    assert not names_credential(name, "source")
    assert not names_credential("state", parent)
