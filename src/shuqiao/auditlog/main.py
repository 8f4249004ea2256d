"""The integrator's process: `python -m shuqiao.auditlog.main`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys

from shuqiao.auditlog.integrator import Integrator, LogBrokenError, LogKey
from shuqiao.auditlog.settings import IntegratorSettings, SettingsError, load_settings
from shuqiao.security import keys
from shuqiao.security.tls import tell_database


def load_log_key(settings: IntegratorSettings) -> LogKey:
    """Read the Ed25519 key that signs checkpoints; SettingsError says what is wrong with it."""
    try:
        key = keys.load_signing_key(settings.key_file)
    except keys.KeyRefusedError as error:
        raise SettingsError(f"LOG_KEY_FILE: {error}") from error
    if keys.algorithm_of(key) != "ed25519":
        raise SettingsError("LOG_KEY_FILE must hold an Ed25519 key")
    return LogKey(settings.origin, key, keys.key_id(key.public_key()))


async def _serve(settings: IntegratorSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Integrator(settings.database_url, load_log_key(settings)).run(stop)


def main() -> int:
    """Run the integrator until SIGTERM; 2 for wrong settings, 3 for a log that contradicts itself."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        settings = load_settings(os.environ)
        tell_database(settings.database_url, logging.getLogger("shuqiao.auditlog"))
        asyncio.run(_serve(settings))
    except SettingsError as error:
        logging.getLogger("shuqiao.auditlog").error("integrator_settings_wrong %s", error)
        return 2
    except LogBrokenError as error:
        logging.getLogger("shuqiao.auditlog").critical("log_broken %s", error)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
