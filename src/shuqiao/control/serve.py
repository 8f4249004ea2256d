"""Serve the pages: `python -m shuqiao.control.serve --host A --port P`, with TLS where it is set.

Checks the settings, then becomes granian. Others can't be answered in clear: on an address that is not this
machine's own, the pages need a certificate, or a proxy before them that is declared.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from shuqiao.control.config import Config, ConfigError, read_config
from shuqiao.security.tls import TlsRefused, open_address_fault, server_context, tell_database, tell_end

log = logging.getLogger("shuqiao.control")

HEAD_TIMEOUT_MS = 10_000
RESPAWN_S = 8
"""How long a worker that is to follow another has to begin, before the other ends."""

APPLICATION = "shuqiao.control.front:application"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the settings and serve; returns only when that can't begin."""
    parser = argparse.ArgumentParser(prog="shuqiao.control.serve", description="The pages of Shuqiao.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--check", action="store_true", help="check the settings only, as before a SIGHUP")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        config = read_config(os.environ)
        _check(config, options.host)
    except (ConfigError, TlsRefused) as error:
        print(f"the pages can't start: {error}", file=sys.stderr)
        return 2
    if options.check:
        return 0
    command = granian_command(config, options.host, options.port, options.workers)
    os.execv(sys.executable, command)  # noqa: S606 - our own interpreter, and words that are checked above


def _check(config: Config, host: str) -> None:
    """Refuse files of no use, and to answer others in clear; raises `TlsRefused`."""
    tell_database(os.environ["SHUQIAO_DATABASE_URL"], log)
    if config.tls is not None:
        server_context(config.tls)
        tell_end(config.tls, log)
    elif not config.behind_tls and (fault := open_address_fault(host, "SHUQIAO", "SHUQIAO_BEHIND_TLS")):
        raise TlsRefused(fault)


def granian_command(config: Config, host: str, port: int, workers: int) -> list[str]:
    """Word the command that serves; a renewed certificate is read at SIGHUP, and one of no use ends all."""
    command = [sys.executable, "-m", "granian", "--interface", "asginl", "--http", "1", "--no-ws"]
    command += ["--http1-header-read-timeout", str(HEAD_TIMEOUT_MS), "--workers", str(workers)]
    command += ["--respawn-interval", str(RESPAWN_S), "--host", host, "--port", str(port)]
    if config.tls is not None:
        files = config.tls
        command += ["--ssl-certificate", str(files.certificate), "--ssl-keyfile", str(files.key)]
        command += ["--ssl-protocol-min", "tls1.2"]
    return [*command, APPLICATION]


if __name__ == "__main__":
    sys.exit(main())
