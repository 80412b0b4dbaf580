"""Addresses in a question: which may be called, where a browser may take an answer, what an origin looks like."""

import pytest

from specs.protocols.openid4vp import RequestError
from specs.protocols.openid4vp.addresses import check_https, check_origin, check_redirect_uri, host_of, is_loopback

LONGEST = "https://v.example/" + "a" * (8 * 1024 - len("https://v.example/"))

CALLABLE = (
    "https://v.example",
    "HTTPS://V.example:8443/r?x=1&y=%20~!$'()*+,;=",
    "https://192.0.2.1/r",
    "https://[2001:db8::1]:8443/r",
    "https://v.example/a@b",
    LONGEST,
)
NOT_CALLABLE = (
    "",
    "/r",
    "v.example/r",
    "https:v.example",
    "https:///r",
    "https://:8443/r",
    "http://v.example/r",
    "ftp://v.example/r",
    "wss://v.example/r",
    "https://a@v.example/r",
    "https://a:b@v.example/r",
    "https://:b@v.example/r",
    "https://@v.example/r",
    "https://v.example/r#",
    "https://v.example/r#x",
    "https://v.example:65536/r",
    "https://v.example:port/r",
    "https://[v.example/r",
    "https://[::g]/r",
    " https://v.example/r",
    "https://v.example/ r",
    "https://v.example/\tr",
    "https://v.example/r\n",
    "https://v.example/\x7f",
    "https://other.example\\.v.example/r",
    "https://v.example/r\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    LONGEST + "a",
)
HERE = (
    "http://localhost/r",
    "http://LOCALHOST:8702/r",
    "http://127.0.0.1:8702/r",
    "http://127.1.2.3/r",
    "http://[::1]/r",
)
NOT_HERE = (
    "http://localhost.example/r",
    "http://128.0.0.1/r",
    "http://[::2]/r",
    "http://10.0.0.1/r",
    "ws://localhost/r",
)


@pytest.mark.parametrize("url", CALLABLE)
def test_an_absolute_https_address_may_be_called(url: str) -> None:
    assert check_https(url, name="response_uri") == url
    assert check_redirect_uri(url) == url


@pytest.mark.parametrize("url", NOT_CALLABLE)
def test_anything_else_may_not_be_called(url: str) -> None:
    for allow_loopback_http in (False, True):
        with pytest.raises(RequestError, match="response_uri: "):
            check_https(url, name="response_uri", allow_loopback_http=allow_loopback_http)


@pytest.mark.parametrize("url", HERE)
def test_plain_http_leads_to_this_machine_only_where_that_is_allowed(url: str) -> None:
    assert check_https(url, name="x", allow_loopback_http=True) == url
    assert check_redirect_uri(url, allow_loopback_http=True) == url
    with pytest.raises(RequestError, match="https is demanded"):
        check_https(url, name="x")
    with pytest.raises(RequestError, match="https is demanded"):
        check_redirect_uri(url)


@pytest.mark.parametrize("url", NOT_HERE)
def test_plain_http_never_leads_to_another_machine(url: str) -> None:
    with pytest.raises(RequestError, match="https is demanded"):
        check_https(url, name="x", allow_loopback_http=True)


@pytest.mark.parametrize("uri", ["org.example.app:/cb", "app://cb?x=1"])
def test_an_app_may_take_the_answer_by_a_scheme_of_its_own(uri: str) -> None:
    assert check_redirect_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        *[each for each in NOT_CALLABLE if not each.startswith(("ftp", "wss"))],
        "app://cb#x",
        "app:/cb#",
        "app:/a b",
        ":cb",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "javascript://v.example/%0aalert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "blob:https://v.example/1",
        "file:///etc/passwd",
        "about:blank",
        "ftp://v.example/",
        "ws://v.example/",
        "wss://v.example/",
    ],
)
def test_an_answer_is_not_taken_where_nobody_takes_answers(uri: str) -> None:
    """An address was once taken as it came where the answer goes by redirect, `javascript:` and a fragment, too."""
    with pytest.raises(RequestError, match="redirect_uri: "):
        check_redirect_uri(uri, allow_loopback_http=True)


@pytest.mark.parametrize(
    "origin",
    [
        "https://v.example",
        "https://v.example:8443",
        "https://v.example:80",
        "https://192.0.2.1",
        "https://[2001:db8::1]",
        "https://[2001:db8::1]:8443",
        "android:apk-key-hash:sha256-AbC_1",
        "ios:bundle-id:org.example.app",
    ],
)
def test_an_origin_is_as_its_platform_writes_it(origin: str) -> None:
    assert check_origin(origin) == origin


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "v.example",
        ":x",
        "/x:y",
        "//v.example",
        "https:",
        "https://",
        "https:v.example",
        "http:",
        "http:v.example",
        "https://:8443",
        "https://v.example/",
        "https://v.example?x",
        "https://v.example#x",
        "https://v.example:",
        "https://v.example:0",
        "https://v.example:443",
        "https://v.example:0443",
        "https://v.example:08443",
        "https://v.example:65536",
        "https://V.example",
        "HTTPS://v.example",
        "https://a@v.example",
        "https://[::1",
        "https://[::1]x",
        "http://v.example",
        "app://v.example",
        "ftp:x",
        "ws:x",
        "wss:x",
        "data:x",
        "javascript:x",
        "wss://v.example",
        "https://v.example\x7f",
        "android:apk-key-hash: x",
        "android:apk-key-hash:\N{LATIN SMALL LETTER U WITH DIAERESIS}",
    ],
)
def test_an_origin_that_no_platform_writes_is_refused(origin: str) -> None:
    """No browser writes an empty port or one with a zero in front: such a question would find no answer."""
    with pytest.raises(RequestError, match="expected_origins: "):
        check_origin(origin, allow_loopback_http=True)


@pytest.mark.parametrize(
    "origin", ["http://localhost:8702", "http://127.0.0.1:443", "http://[::1]:8702", "http://[::1]"]
)
def test_an_origin_on_this_machine_may_be_plain_where_that_is_allowed(origin: str) -> None:
    assert check_origin(origin, allow_loopback_http=True) == origin
    with pytest.raises(RequestError, match="https is demanded"):
        check_origin(origin)


def test_the_default_port_of_plain_http_is_not_written() -> None:
    with pytest.raises(RequestError, match="as a browser writes them"):
        check_origin("http://localhost:80", allow_loopback_http=True)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("localhost.", False), ("v.example", False), ("", False)],
)
def test_this_machine_is_known_by_name_or_number(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("url", "host"),
    [("https://A@V.Example:1/r", "v.example"), ("https://[::1]/", "::1"), ("urn:x", ""), ("https://[x", ""), ("", "")],
)
def test_the_host_of_an_address_is_in_lower_case(url: str, host: str) -> None:
    assert host_of(url) == host
