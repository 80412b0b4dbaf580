"""The program loads only what it runs, and says in one sentence what is missing."""

import subprocess
import sys
from pathlib import Path

import pytest

from stadtnachweis import __main__ as program
from stadtnachweis.__main__ import SubCommand, main

PACKAGES = "('specs', 'issuer', 'verifier', 'wallet_sim', 'conformance')"


def offer(monkeypatch: pytest.MonkeyPatch, folder: Path, source: str) -> None:
    """Put a module with this source behind the sub-command `wallet`."""
    (folder / "offered_sub_command.py").write_text(source)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "offered_sub_command", raising=False)
    monkeypatch.setitem(program.SUB_COMMANDS, "wallet", SubCommand("offered_sub_command", "wallet", "a wallet"))


def test_help_lists_every_sub_command_and_loads_no_package() -> None:
    code = (
        "import sys; from stadtnachweis.__main__ import main; main([]);"
        f"sys.exit(any(name in sys.modules for name in {PACKAGES}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in program.SUB_COMMANDS)


def test_the_sub_command_s_own_function_runs_and_its_status_is_the_program_s(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer(
        monkeypatch,
        tmp_path,
        "def register(subparsers):\n"
        "    parser = subparsers.add_parser('wallet')\n"
        "    parser.add_argument('times', type=int)\n"
        "    parser.set_defaults(run=lambda arguments: arguments.times)\n",
    )
    assert main(["wallet", "3"]) == 3


@pytest.mark.parametrize(
    "source",
    [
        "import not_installed_here",
        (
            "def run(arguments):\n    import not_installed_here\n"
            "def register(subparsers):\n    subparsers.add_parser('wallet').set_defaults(run=run)\n"
        ),
    ],
    ids=["when the module is loaded", "when the function runs"],
)
def test_a_missing_extra_is_named(
    source: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offer(monkeypatch, tmp_path, source)
    assert main(["wallet"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["wallet"]) == 2
    assert 'pip install "stadtnachweis[wallet]"' in capsys.readouterr().err


def test_a_module_of_ours_that_is_missing_is_our_mistake_and_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    offer(monkeypatch, tmp_path, "import specs.no_such_module")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        main(["wallet"])


def test_a_sub_command_whose_module_does_not_exist_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(program.SUB_COMMANDS, "wallet", SubCommand("specs.no_such_cli", "wallet", "a wallet"))
    assert main(["wallet"]) == 2
    assert "no sub-command “wallet”" in capsys.readouterr().err
