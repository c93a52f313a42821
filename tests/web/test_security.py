"""Who may ask the page, and what its answers forbid a browser."""

from __future__ import annotations

import pytest
from _web import RECOGNIZE, message

from skfer.web import create_app


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},  # another program's page on this machine
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_may_not_send(client, encoded, headers):
    message(client.post(RECOGNIZE, data=encoded(".jpg"), headers=headers), 403)


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "//]"])
def test_an_origin_that_is_no_address_is_refused(client, encoded, origin):
    answer = client.post(RECOGNIZE, data=encoded(".jpg"), headers={"Origin": origin})
    assert "Origin header is not a valid address" in message(answer, 400)


@pytest.mark.parametrize("host", ["[", "[::1", "]", "[x]:80"])
def test_a_host_that_is_no_address_is_refused(client, host):
    message(client.get("/", headers={"Host": host}), 400)


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin"}]
)
def test_the_page_and_programs_may_send(client, encoded, headers):
    assert client.post(RECOGNIZE, data=encoded(".jpg"), headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "192.168.0.7:80"])
def test_own_names(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8000", "faces.lan", "a b"]
)
def test_other_names_are_refused(client, host):
    # A stranger's name that was pointed at this machine.
    for path in ("/", "/api/v1/options"):
        message(client.get(path, headers={"Host": host}), 400)


def test_a_name_that_was_given_is_known(reader):
    client = create_app(reader, hosts=["Faces.lan"]).test_client()
    assert client.get("/", headers={"Host": "faces.lan:8000"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/v1/health", "/static/main.js", "/nowhere"])
def test_headers_of_every_answer(client, path):
    with client.get(path) as answer:
        headers = answer.headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Permissions-Policy"].startswith("camera=(self), microphone=()")
    assert headers["Cache-Control"] in ("no-store", "no-cache")
    assert "Access-Control-Allow-Origin" not in headers


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere(client):
    page = client.get("/").text
    for foreign in ("http://", "https://", "<style", " style=", "onclick", "javascript:"):
        assert foreign not in page
    assert page.count("<script") == page.count('<script type="module" src="/static/') == 1
