#!/usr/bin/env bash
# Resolve the lock files anew: hashes for every platform and Python, no registry addresses. The demo's is a part of the tools'.
# Usage: scripts/lock.sh [--upgrade]
set -euo pipefail
cd "$(dirname "$0")/.."
lock() {
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links "$@" pyproject.toml
}
lock --extra dev --output-file requirements/dev.txt "$@"
rm -f requirements/demo.txt
lock --extra demo --constraints requirements/dev.txt --output-file requirements/demo.txt
if grep -nE '://|--index-url|--find-links' requirements/*.txt; then
  echo "A lock file names a host; see above." >&2
  exit 1
fi
wc -l requirements/*.txt
