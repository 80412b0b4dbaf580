"""`make demo`: starts everything on this machine, plays the story, leaves the pages open while somebody watches."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from demo.servers import DemoFailed, Server, choose_port, prepare_issuer, start_city
from demo.story import make_wallet, play, say, step
from specs.protocols.oauth import InvalidAnswer, OAuthError
from specs.protocols.openid4vp import RequestError
from specs.refusal import Refusal
from wallet_sim.transport import WalletFailure

_EXPECTED = (DemoFailed, WalletFailure, OAuthError, InvalidAnswer, RequestError, Refusal)


def main() -> int:
    """Run the demonstration; 0 if each step held."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--story", action="store_true", help="play the story on free ports and end")
    parser.add_argument("--port", type=int, help="port of the issuer (default: 8701)")
    parser.add_argument("--city-port", type=int, help="port of the city service (default: 8702)")
    arguments = parser.parse_args()
    default_ports = (0, 0) if arguments.story else (8701, 8702)
    issuer_port = default_ports[0] if arguments.port is None else arguments.port
    city_port = default_ports[1] if arguments.city_port is None else arguments.city_port
    stays = not arguments.story and sys.stdin.isatty() and sys.stdout.isatty()
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # also where a shell had them ignored
        signal.signal(ending, _interrupt)
    with tempfile.TemporaryDirectory(prefix="stadtnachweis-demo-") as folder:
        return _run(Path(folder), issuer_port=issuer_port, city_port=city_port, stays=stays)


def _run(folder: Path, *, issuer_port: int, city_port: int, stays: bool) -> int:
    servers: list[Server] = []
    begin = time.perf_counter()
    try:
        say("Stadtnachweis: the story")
        with step("keys, certificates and a database are made"):
            issuer_port, city_port = choose_port(issuer_port), choose_port(city_port)
            anchor = folder / "wallet-provider.pem"
            anchor.write_bytes(make_wallet(folder / "wallet.db").provider.anchor_pem())
            issuer = prepare_issuer(folder / "issuer", port=issuer_port, provider_anchor=anchor)
        with step("issuer and city service listen on this machine"):
            issuing = issuer.start(folder / "issuer.log")
            servers.append(issuing)
            city = start_city(folder / "city", port=city_port, issuer=issuer, log=folder / "city.log")
            servers.append(city)
            issuing.wait_until_up("/healthz")
            city.wait_until_up("/")
        play(issuer=issuer, issuing=issuing, city=city, wallet=make_wallet(folder / "wallet.db", issuer))
        say(f"Each step held, {time.perf_counter() - begin:.1f} s in all.")
        if stays:
            _stay(issuing, city, folder)
    except _EXPECTED as error:
        print(f"The demonstration stopped: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("")
        return 0 if stays else 130
    finally:
        for server in reversed(servers):
            server.stop()
    return 0


def _stay(issuing: Server, city: Server, folder: Path) -> None:
    say("")
    say("The pages stay open; Ctrl-C ends them:")
    say(f"  {city.url}/parking   apply for a parking permit")
    say(f"  {city.url}/counter   check a Leipzig-Pass (that of the story stays refused: it was revoked)")
    say(f"  {issuing.url}/.well-known/openid-credential-issuer/t/leipzig   the city as an issuer")
    say("Answer their questions with the wallet of the story (the link of a page in quotation marks):")
    say(
        f"  .venv/bin/stadtnachweis wallet present --file {folder}/wallet.db --allow-loopback-http "
        f"--verifier-anchors {folder}/issuer/keys/leipzig/access-ca.crt.pem 'openid4vp://…'"
    )
    while sys.stdin.isatty():  # no longer once its window was closed, of which not every shell sends word
        if any(server.process.poll() is not None for server in (issuing, city)):
            raise DemoFailed("a server ended by itself")
        time.sleep(0.5)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
