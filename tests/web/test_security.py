import pytest
from _web import RECOGNIZE, message

from skfer.web import create_app


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),  # another server on this machine
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://["}, 400),
        ({"Origin": "http://[::1"}, 400),
        ({"Origin": "//]"}, 400),
        ({}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_origins(client, encoded, headers, status):
    response = client.post(RECOGNIZE, data=encoded(".jpg"), headers=headers)
    assert response.status_code == status
    if status != 200:
        assert ("Origin header" in message(response, status)) == (status == 400)


def test_hosts(client):
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000", "192.168.0.7:80"):
        assert client.get("/", headers={"Host": host}).status_code == 200, host
    names = ("evil.example", "localhost.evil.example:8000", "faces.lan", "a b")
    for host in (*names, "[", "[::1", "]", "[x]:80"):
        for path in ("/", "/api/v1/options"):
            message(client.get(path, headers={"Host": host}), 400)


def test_hosts_parameter(reader):
    client = create_app(reader, hosts=["Faces.lan"]).test_client()
    assert client.get("/", headers={"Host": "faces.lan:8000"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/api/v1/health", "/static/main.js", "/nowhere"])
def test_security_headers(client, path):
    with client.get(path) as response:
        headers = response.headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Permissions-Policy"].startswith("camera=(self), microphone=()")
    assert headers["Cache-Control"] in ("no-store", "no-cache")
    assert "Access-Control-Allow-Origin" not in headers


def test_content_of_the_page(client):
    page = client.get("/").text
    for text in ("http://", "https://", "<style", " style=", "onclick", "javascript:"):
        assert text not in page
    assert page.count("<script") == page.count('<script type="module" src="/static/') == 1
