import pickle

import pytest

from raybio.entities import Rejected
from raybio.errors import ConfigError, FetchError, FormatError
from raybio.safe_text import data_without_secrets, for_terminal, has_secret, safe, without_secrets

SECRET = "hunter2-x"

WITH_SECRET = [
    f"https://{SECRET}@host/x",
    f"https://{SECRET}:x-oauth-basic@host/x",
    f"https://{SECRET}:@host/x",
    f"https://me:{SECRET}@host:8080/x",
    f"https://me:12{SECRET}@host/x",
    f"https://me:a@b{SECRET}@host/x",
    f"https://me:a/b{SECRET}@host/x",
    f"https://:{SECRET}@host/x",
    f"HTTPS://{SECRET}@HOST/x",
    f"s3://KEY:{SECRET}@bucket/x",
    f"s3://KEY:12/{SECRET}@bucket/x",
    f"s3://KEY:12345/+{SECRET}==@bucket/x",
    f"s3a://KEY:9/{SECRET}@bucket/x",
    f"gs://{SECRET}@bucket/x",
    f"abfs://container:{SECRET}@account.dfs.core.windows.net/x",
    f"sftp://me:{SECRET}@host/x",
    f"filecache::https://{SECRET}@host/x",
    f"zip://a.xml::s3://K:{SECRET}@bucket/x.zip",
    f"https://proxy/?url=https%3A%2F%2F{SECRET}%40host%2Fx",
    *(
        f"https://host/x?a=1&{name}={SECRET}&z=2"
        for name in (
            *("key", "password", "passwd", "pwd", "pass", "token", "session_token", "access_token", "auth"),
            *("api_key", "apikey", "api-key", "secret", "client_secret", "secret_key", "access_key", "sig"),
            *("signature", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "x-goog-signature"),
            *("GoogleAccessId", "AWSAccessKeyId", "oauth_token", "authorization", "jwt", "account_key"),
            *("subscription-key", "PRIVATE_TOKEN", "private-key", "sas", "hmac", "session", "sessionid"),
            *("to%6Ben", "X%2DAmz%2DSignature", "id_token", "refresh_token", "bearer"),
        )
    ),
    f"https://host/x?key={SECRET}",
    f"https://host/x#access_token={SECRET}",
    f"https://host/x?a=1&amp;token={SECRET}",
    f"https://host/x;token={SECRET}",
    f"https://proxy/?url=https%3A%2F%2Fhost%2Fx%3Ftoken%3D{SECRET}%26y",
]

HARMLESS = [
    "https://host/a@b",
    "http://127.0.0.1:5000/a@b",
    "http://[::1]:5000/a@b",
    "http://host:80?mail=a@b.org",
    "s3://bucket/user:x@y",
    "gs://anonymous@bucket/x",
    "sftp://me@host/x",
    "hdfs://me@host:9000/x",
    "abfs://container@account.dfs.core.windows.net/x",
    "hf://datasets/org/name@main/x",
    "https://host/x?endpoint_override=localhost:9000&region=eu&scheme=http&id=7",
    "https://host/x?tokenizer=bert&keyword=a&author=b&monkey=c&tokenised=1",
    "memory://out",
]


@pytest.mark.parametrize("url", WITH_SECRET)
def test_a_url_with_a_credential_is_known_and_loses_it(url):
    assert has_secret(url)
    message = f"cannot open '{url}' (no such key), nor {url}: see https://docs/x"
    shown = without_secrets(message)
    assert SECRET not in shown
    assert shown.startswith("cannot open '") and shown.endswith(": see https://docs/x")
    assert without_secrets(shown) == shown
    assert not has_secret(without_secrets(url))


@pytest.mark.parametrize("url", HARMLESS)
def test_a_url_without_a_credential_stays_as_it_is(url):
    assert not has_secret(url)
    assert without_secrets(f"cannot open {url} here") == f"cannot open {url} here"


def test_a_local_file_holds_no_url():
    assert not has_secret("data/a?key=of.txt")


def test_places_stay_distinct_and_are_the_same_with_another_credential():
    first, second = (f"https://{token}@host/a.xml?key={token}&part=1" for token in ("one-token", "another"))
    assert without_secrets(first) == without_secrets(second)
    assert without_secrets(first) != without_secrets(first.replace("part=1", "part=2"))
    assert without_secrets(first) != without_secrets(first.replace("a.xml", "b.xml"))


@pytest.mark.parametrize(
    "message",
    [
        f"HTTPConnectionPool(host='h', port=80): Max retries exceeded with url: /x?token={SECRET} (Caused by",
        f"headers: {{'Authorization': 'Bearer {SECRET}'}}",
        f"Authorization: Basic {SECRET}",
        f"AWS_SECRET_ACCESS_KEY={SECRET} raybio tag",
        f'"aws_secret_access_key": "{SECRET}"',
        f"connection string AccountName=a;AccountKey={SECRET};EndpointSuffix=x",
        f"password: {SECRET}",
    ],
)
def test_what_other_libraries_say_of_credentials(message):
    assert SECRET not in without_secrets(message)


def test_values_of_secret_variables(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", SECRET)
    monkeypatch.setenv("SOME_PATH", "an ordinary value")
    assert safe(f"refused ({SECRET}), an ordinary value") == "refused (***), an ordinary value"


def test_words_about_credentials_stay():
    text = "holds a secret; the token 'BRCA1' has no tag, password reset, max_length=512, key: value"
    assert safe(text) == text


def test_data():
    data = {"a": [f"https://{SECRET}@h/x", 1, None, True], f"s3://k:{SECRET}@b": {"b": ("x", 0.5)}}
    assert data_without_secrets(data) == {
        "a": ["https://***@h/x", 1, None, True],
        "s3://***@b": {"b": ["x", 0.5]},
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "\\u001b]0;title\\u0007"),
        ("\x1b[2J\x1b[1;1H", "\\u001b[2J\\u001b[1;1H"),
        ("\x9b31m", "\\u009b31m"),
        ("a\rb\x08c\x00\x7f", "a\\u000db\\u0008c\\u0000\\u007f"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("line\n\ttab Ünïcode 漢字 🧬", "line\n\ttab Ünïcode 漢字 🧬"),
    ],
)
def test_control_codes_do_not_reach_a_terminal(text, shown):
    assert for_terminal(text) == shown
    assert for_terminal(shown) == shown


@pytest.mark.parametrize(
    "error",
    [
        FetchError(f"https://{SECRET}@h/x: \x1b[2Jno"),
        FormatError(f"https://{SECRET}@h/x", "line \x1b[2J1", f"see ?token={SECRET}", f"s3://k:{SECRET}@b"),
        ConfigError(f"https://{SECRET}@h/x", [f"\x1b[2J s3://k:{SECRET}@b"]),
    ],
)
def test_no_error_carries_a_credential_or_a_control_code(error):
    for found in (error, pickle.loads(pickle.dumps(error))):
        assert SECRET not in str(found) and SECRET not in repr(vars(found))
        assert "\x1b" not in str(found)


def test_a_rejected_record_names_its_source_without_credentials_and_keeps_its_data():
    url = f"https://{SECRET}@h/x"
    rejected = Rejected(url, "line 1", f"cannot be read: {url}", f"see {url}", raw=f"text of {url}")
    assert (rejected.source, rejected.reason) == ("https://***@h/x", "cannot be read: https://***@h/x")
    assert rejected.raw == f"text of {url}"


@pytest.mark.parametrize(
    "piece",
    ["a:b@c://", "://", "://a:", "?", "?a", "?a=", "%3a%2f%2f", "%3f", "bearer ", "authorization", "secret:"],
)
def test_long_texts_take_no_longer_than_they_are(piece):
    safe(piece * (400_000 // len(piece)))


def test_a_url_that_a_library_took_apart():
    source = f"s3://KEY:12/{SECRET}@bucket/a.xml"
    error = FormatError(source, "", f"no key '{SECRET}@bucket/a.xml' in bucket 'KEY'", "Check it")
    assert SECRET not in str(error) and "no key '***@bucket/a.xml'" in str(error)
    assert SECRET not in str(FetchError(f"{source}: no key '{SECRET}@bucket/a.xml'"))


@pytest.mark.parametrize("path", [f"http:/{SECRET}@host/x", f"s3:/KEY:1/{SECRET}@bucket/x"])
def test_a_path_that_was_made_of_a_url(path):
    assert SECRET not in without_secrets(f"{path} is no run folder")


def test_words_of_a_path_behind_a_credential_stay():
    url = f"http://host/?token={SECRET}/api/mlflow/experiments"
    assert (
        safe(f"logging.mlflow: {url} of experiments")
        == "logging.mlflow: http://host/?token=*** of experiments"
    )
