"""Further credential types for tests: the Leipzig-Pass under other names and rules."""

import shutil
from pathlib import Path

import issuer.catalog

SHIPPED = Path(issuer.catalog.__file__).parent / "types"
_NAMES = ("leipzig_pass:1", "leipzig_pass.1", "type: leipzig_pass")


def write_types(folder: Path, extra: dict[str, str], *, own: str = "") -> Path:
    """The program's types, and one more for each name with its line of YAML. own: a line for the Leipzig-Pass."""
    folder.mkdir()
    for file in SHIPPED.glob("*.yaml"):
        shutil.copy(file, folder)
    text = (SHIPPED / "leipzig_pass.yaml").read_text(encoding="utf-8")
    for name, line in extra.items():
        changed = text
        for known in _NAMES:
            changed = changed.replace(known, known.replace("leipzig_pass", name))
        (folder / f"{name}.yaml").write_text(changed.replace("copies: 10", f"copies: 10\n{line}"), encoding="utf-8")
    if own:
        changed = text.replace("copies: 10", f"copies: 10\n{own}")
        (folder / "leipzig_pass.yaml").write_text(changed, encoding="utf-8")
    return folder
