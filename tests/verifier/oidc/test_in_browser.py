"""What a browser makes of the bridge's page: axe finds nothing, and the way back to the portal is open."""

from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser

from tests.services.chromium import axe_findings
from tests.verifier.oidc.conftest import CALLBACK, Portal

pytestmark = pytest.mark.browser


def test_who_cancels_is_led_back_to_the_portal(portal: Portal, axe_source: str, request: pytest.FixtureRequest) -> None:
    """Browsers hold `form-action` also against the redirect that follows the form (CSP Level 3 §6.4.1.1)."""
    browser: Browser = request.getfixturevalue("browser")  # its loop must begin after those of the portal's making
    context = browser.new_context()
    page = context.new_page()
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.goto(f"{portal.issuer}/authorize?{urlencode(portal.parameters())}")
    assert axe_findings(page, axe_source) == []
    with page.expect_request(lambda request: request.url.startswith(CALLBACK)) as asked:
        page.locator("#cancel").click(no_wait_after=True)
    assert "error=access_denied" in asked.value.url
    assert not any("Content Security Policy" in text for text in told)
    context.close()
