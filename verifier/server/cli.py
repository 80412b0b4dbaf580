"""`stadtnachweis verifier init`, `serve`, `lint`, `add-key`, …: the service on the command line."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from specs.encoding.placed_yaml import FileInvalid
from verifier.server.app import api_description, create_app
from verifier.server.clients import Clients
from verifier.server.doctor import Level, examine
from verifier.server.procedure_file import parse_procedure
from verifier.server.service import NotPrepared, build_service, open_database, prepare
from verifier.settings import SettingsError, load_settings

DONE, FAILED = 0, 1
_SIGNS = {Level.FINE: "✓", Level.WARNING: "!", Level.PROBLEM: "✗"}


def run(arguments: argparse.Namespace) -> int:
    """Run one command; errors of operators become a sentence."""
    commands: dict[str, Callable[[argparse.Namespace], int]] = {
        "init": _init,
        "serve": _serve,
        "lint": _lint,
        "openapi": _openapi,
        "add-key": _add_key,
        "revoke-key": _revoke_key,
        "doctor": _doctor,
    }
    try:
        return commands[arguments.service_command](arguments)
    except (SettingsError, FileInvalid, NotPrepared) as error:
        print(f"stadtnachweis verifier: {error}", file=sys.stderr)
    except SQLAlchemyError as error:
        print(f"stadtnachweis verifier: the database does not answer ({type(error).__name__})", file=sys.stderr)
    return FAILED


def _init(_arguments: argparse.Namespace) -> int:
    settings = load_settings()
    prepare(settings)
    print(f"ready: {settings.data_dir}; tenants are read from {settings.effective_tenants_dir}")
    return DONE


def _serve(arguments: argparse.Namespace) -> int:
    settings = load_settings()
    prepare(settings)
    several = arguments.workers > 1
    if several:
        build_service(settings).close()  # what is wrong is said once, here
    uvicorn.run(
        "verifier.server.app:app_from_environment" if several else create_app(settings),
        factory=several,
        workers=arguments.workers if several else None,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,  # a page that still waits does not keep the service up
    )
    return DONE


def _lint(arguments: argparse.Namespace) -> int:
    status = DONE
    for path in arguments.files:
        try:
            parse_procedure(Path(path).read_text(encoding="utf-8"), name=str(path))
        except (FileInvalid, OSError, UnicodeDecodeError) as error:
            print(error if isinstance(error, FileInvalid) else f"{path}: cannot be read")
            status = FAILED
    return status


def _doctor(_arguments: argparse.Namespace) -> int:
    found = examine(load_settings())
    for each in found:
        print(f"{_SIGNS[each.level]} {each.about}: {each.sentence}")
    return FAILED if any(each.level is Level.PROBLEM for each in found) else DONE


def _openapi(_arguments: argparse.Namespace) -> int:
    print(json.dumps(api_description(), indent=2))
    return DONE


def _add_key(arguments: argparse.Namespace) -> int:
    settings = load_settings()
    service = build_service(settings)
    if arguments.tenant not in service.tenants:
        raise FileInvalid(f"no tenant {arguments.tenant}; there are {', '.join(service.tenants)}")
    print(service.clients.add(tenant=arguments.tenant, name=arguments.name, now=int(time.time())))
    return DONE


def _revoke_key(arguments: argparse.Namespace) -> int:
    engine = open_database(load_settings())
    if not Clients(engine).revoke(arguments.client_id, now=int(time.time())):
        raise FileInvalid(f"no living key {arguments.client_id}")
    return DONE
