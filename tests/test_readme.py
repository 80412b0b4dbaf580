"""The README keeps its word: its code runs, its curl makes an offer, its links lead somewhere."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from specs.protocols.dcql import dcql_to_json
from tests.browser.running import running_demo
from tests.verifier.world import CLIENT_ID, NONCE, QUERY, RESPONSE_URI, World

README = Path(__file__).parent.parent / "README.md"


def block(language: str, *, holding: str) -> str:
    """The fenced block of a language that holds some text."""
    found = [text for text in re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL) if holding in text]
    assert len(found) == 1
    return str(found[0])


@pytest.mark.parametrize(("idx", "printed"), [(7, "LINDENAU"), (9, "status_revoked")])
def test_the_verifier_example_runs(idx: int, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    source = block("python", holding="verify_presentation")
    assert len(source.strip().splitlines()) <= 13
    names: dict[str, object] = {
        "vp_token": {"pid": [world.present_sd_jwt(world.sd_jwt(idx=idx))]},
        "question": dcql_to_json(QUERY),
        "nonce": NONCE,
        "client_id": CLIENT_ID,
        "response_uri": RESPONSE_URI,
        "key_thumbprint": world.response_key_thumbprint,
        "status_lists": world.status_lists(states={9: 1}),
        "anchors": world.domain.anchors,
        "status_anchors": world.domain.status_anchors,
        "now": world.now,
    }
    exec(compile(source, "README.md", "exec"), names)  # noqa: S102  # running it is the test
    assert printed in capsys.readouterr().out


def test_the_curl_makes_an_offer() -> None:
    with running_demo() as running:
        command = block("sh", holding="curl -X POST")
        environment = {
            **os.environ,
            "ISSUER": running.issuing.url,
            "API_KEY": running.issuer.run("api-key", "add", "leipzig", "--name", "readme"),
        }
        command = command.replace("$(uuidgen)", "0b9e6c1e-7a52-4f4e-9d6e-5f3a1f0c2b11")
        done = subprocess.run(
            ["bash", "-c", f'curl() {{ command curl -s -m 20 "$@"; }}; {command}'],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    answer = json.loads(done.stdout)
    assert answer["state"] == "created"
    assert answer["offer_uri"].startswith("openid-credential-offer://")
    assert re.fullmatch(r"[0-9]{6}", answer["tx_code"])


def test_each_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", README.read_text()):
        assert (README.parent / target).exists(), target


def test_the_first_screen_shows_the_two_commands() -> None:
    first_screen = "\n".join(README.read_text().splitlines()[:45])
    for needed in ("make demo", "make test", "verify_presentation", "curl"):
        assert needed in first_screen
