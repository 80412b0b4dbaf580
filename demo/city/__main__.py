"""Runs the city service: `python -m demo.city CONFIG --port N`."""

import argparse
import sys
from pathlib import Path

import uvicorn

from demo.city.app import create_city
from demo.city.config import CityConfig


def main() -> int:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m demo.city")
    parser.add_argument("config", type=Path)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    config = CityConfig.model_validate_json(arguments.config.read_bytes())
    uvicorn.run(
        create_city(config),
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,  # a page that still waits does not keep the service up
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
