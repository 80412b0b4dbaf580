"""Fuzz one target: `python -m tests.fuzz NAME FOLDER [libFuzzer options]`; the folder keeps inputs and crashes."""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["specs", "verifier"], enable_loader_override=False):
    from tests.fuzz.targets import OUR_ERRORS, TARGETS


def main() -> None:
    """Run until libFuzzer has enough, or a target raises what it may not."""
    name, folder, *options = sys.argv[1:]
    target = TARGETS[name]
    inputs = Path(folder) / "inputs"
    inputs.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (inputs / f"seed-{number}").write_bytes(seed)

    def one(data: bytes) -> None:
        try:
            target.run(data)
        except OUR_ERRORS:
            return

    atheris.Setup([sys.argv[0], str(inputs), f"-artifact_prefix={folder}/", *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
