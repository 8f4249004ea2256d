"""Start the plane: `python -m shuqiao.plane.main --workers N --port P`.

Settings come from the environment, see `plane.settings`. `PLANE_AUTHORITIES` defaults to the loopback
names of the port.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from functools import partial

from shuqiao.plane.interface.settings import forget_answers
from shuqiao.plane.processes import listen, supervise
from shuqiao.plane.settings import Settings, SettingsFaulty, read_settings
from shuqiao.plane.worker import run_worker
from shuqiao.security.tls import open_address_fault, tell_database, tell_end
from shuqiao.security.volumes import tell

log = logging.getLogger("shuqiao.plane")


def main(arguments: list[str] | None = None) -> int:
    """Check the settings and serve until a signal; returns the exit code."""
    parser = argparse.ArgumentParser(prog="shuqiao.plane", description="The data plane of Shuqiao.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args(arguments)
    names = [options.host, "127.0.0.1", "localhost"]
    os.environ.setdefault("PLANE_AUTHORITIES", ",".join(f"{name}:{options.port}" for name in names))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = read_settings(os.environ)
        _check_address(settings, options.host)
        forget_answers(settings.relay)
        tell_database(settings.database_url, log)
        if settings.tls is not None:
            tell_end(settings.tls.files, log)
        tell(settings.relay.volumes if settings.relay is not None else (), log)
        sockets = listen(options.host, options.port, max(1, options.workers))
    except (SettingsFaulty, OSError) as error:
        print(f"the plane can't start: {error}", file=sys.stderr)
        return 2
    supervise(sockets, partial(run_worker, settings))
    return 0


def _check_address(settings: Settings, host: str) -> None:
    """Refuse to answer others in clear; raises `SettingsFaulty`."""
    if settings.tls is not None or settings.is_behind_proxy:
        return
    fault = open_address_fault(host, "PLANE", "PLANE_BEHIND_PROXY")
    if fault is not None:
        raise SettingsFaulty(fault)


if __name__ == "__main__":
    sys.exit(main())
