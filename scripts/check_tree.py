"""Look through the files of the repository for what must never be committed.

Registry hosts and paths of one person's machine, conflict marks, private keys, work left undone, and drift between
`pyproject.toml` and the lock files. Prints `file:line: what`; status 1 if anything was found.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 2_000_000

# Written so that this file does not match itself.
FORBIDDEN = {
    "a registry's address": re.compile(
        r"(?:files\.)?python" + r"hosted\.org|registry\.npm" + r"js\.org|registry\.yarn" + r"pkg\.com"
        r"|py" + r"pi\.org/(?:simple|packages)|proxy\.go" + r"lang\.org|deb\.deb" + r"ian\.org|static\.crates" + r"\.io"
    ),
    "a path of one machine": re.compile(
        r"(?<![\w.}])/(?:wo" + r"rk|ro" + r"ot|ho" + r"me/[a-z]\w*|Us" + r"ers/\w+)/\w"
    ),
    "a conflict mark": re.compile(r"^(?:<{7} |>{7} )", re.MULTILINE),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIV" + r"ATE KEY-----\s+[A-Za-z0-9+/]{20}"),
    "work left undone": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"),
}
UNDONE_ONLY_IN = {".py", ".sh", ".yaml", ".toml", ".html", ".css", ".js", ""}


def committed_files() -> list[Path]:
    """Files that git tracks."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name.decode() for name in listing.split(b"\0") if name]


def findings_in(path: Path) -> list[str]:
    """What one file holds that it must not, as `file:line: what`."""
    name = path.relative_to(ROOT)
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        return [f"{name}:1: larger than {MAX_BYTES} bytes"]
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return []
    found = []
    for what, pattern in FORBIDDEN.items():
        if what == "work left undone" and path.suffix not in UNDONE_ONLY_IN:
            continue
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{name}:{line}: {what}: {match.group(0)[:60]}")
    return found


def lock_findings() -> list[str]:
    """Lock files that name a host, lack a hash, miss a dependency of pyproject.toml or disagree with each other."""
    found = []
    pinned: dict[str, dict[str, str]] = {}
    for name in ("demo", "dev"):
        path = ROOT / "requirements" / f"{name}.txt"
        text = path.read_text()
        if "://" in text or re.search(r"^--", text, re.MULTILINE):
            found.append(f"requirements/{name}.txt:1: names a host or an option")
        entries = re.findall(
            r"^([a-z0-9-]+)==(\S+)(.*\\\n(?:    --hash=sha256:[0-9a-f]{64}.*\n)+)?", text, re.MULTILINE
        )
        pinned[name] = {package: version for package, version, _ in entries}
        found += [f"requirements/{name}.txt:1: {package} has no hash" for package, _, hashes in entries if not hashes]
    found += [
        f"requirements/demo.txt:1: {package}=={version} differs from requirements/dev.txt"
        for package, version in pinned["demo"].items()
        if pinned["dev"].get(package) != version
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    for requirement in wanted:
        match = re.match(r"[A-Za-z0-9._-]+", requirement)
        package = match.group(0).lower().replace("_", "-").replace(".", "-") if match else requirement
        if package != "stadtnachweis" and package not in pinned["dev"]:
            found.append(f"pyproject.toml:1: {package} is in no lock file; run make lock")
    return found


def main() -> int:
    """Print what was found; 0 if nothing."""
    found = [line for path in committed_files() if path.is_file() for line in findings_in(path)] + lock_findings()
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
