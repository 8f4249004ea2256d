"""The command `shuqiao`."""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from shuqiao.rules.errors import ShuqiaoError

_COMMANDS = {
    "demo": "demo.command:demo",
    "stop": "demo.command:stop",
    "simulate": "demo.command:simulate",
    "move": "demo.command:move",
    "backup": "demo.backup:backup_command",
    "restore": "demo.backup:restore_command",
    "call": "client.call:call_command",
    "bulk": "client.bulk_command:bulk_command",
    "files": "client.files_command:files_command",
    "interface": "client.interface_command:interface_command",
    "evidence": "client.evidence:evidence_command",
    "node held": "edge.screening_command:screening_command",
    "node check": "edge.source_commands:check_command",
    "node describe": "edge.describe:describe_command",
    "node enrol": "edge.enrol_command:enrol_command",
    "node status": "edge.status_command:status_command",
    "node preview": "edge.source_commands:preview_command",
    "node receive": "edge.receive.commands:receive_command",
    "node unit": "edge.unit_command:unit_command",
    "node": "edge.held.commands:held_command",
    "audit": "auditlog.command:run",
    "bundle": "bundle.command:bundle_command",
}
"""What carries a command out, or one step of it: a module, and a function that gives the exit code."""


def main(argv: list[str] | None = None) -> int:
    """Parse the command line and run the command; parts are imported only by the command that needs them."""
    arguments = _parser().parse_args(argv)
    try:
        return int(_run(arguments))
    except ShuqiaoError as error:
        print(f"{error.code}: {error.explain('en')}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace) -> int:
    """Import the one module that the command needs, and let it carry the command out."""
    step = getattr(arguments, "step", "")
    found = _COMMANDS.get(f"{arguments.command} {step}") or _COMMANDS[arguments.command]
    module, _, name = found.partition(":")
    work = cast(Callable[[argparse.Namespace], int], getattr(import_module(f"shuqiao.{module}"), name))
    return work(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="shuqiao", description="Shuqiao (数桥): departments of a city share information"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_demo(commands)
    commands.add_parser("stop", help="end a city that runs in the background")
    _add_simulate(commands)
    _add_move(commands)
    _add_call(commands)
    _add_bulk(commands)
    _add_files(commands)
    _add_interface(commands)
    _add_node(commands)
    _add_audit(commands)
    _add_evidence(commands)
    _add_backup(commands)
    _add_bundle(commands)
    return parser


def _add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    demo = commands.add_parser("demo", help="run a working city on this machine")
    demo.add_argument("--detach", action="store_true", help="return when ready; `shuqiao stop` ends it")
    demo.add_argument("--fresh", action="store_true", help="delete the city of this folder and start over")
    demo.add_argument("--people", type=_count, default=50_000, help="sample persons (default 50,000)")
    demo.add_argument("--port", type=int, default=8000, help="port of the pages")
    demo.add_argument("--plane-port", type=int, default=8001, help="port of the interface for applications")
    demo.add_argument("--nats-port", type=int, default=4222, help="port of the message server")
    demo.add_argument("--websocket-port", type=int, help="port for nodes that come by WebSocket (wss://)")


def _add_simulate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    simulate = commands.add_parser("simulate", help="play the coming days of the city that runs here")
    far = simulate.add_mutually_exclusive_group(required=True)
    far.add_argument("--days", type=int, metavar="N", help="so many calendar days")
    far.add_argument("--until", metavar="DAY", help="until this day, such as 2027-03-01")
    far.add_argument("--reset", action="store_true", help="back to the real time")


def _add_move(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    move = commands.add_parser("move", help="let a sample person of the city that runs here move house")
    move.add_argument("--to", metavar="TOWN", type=_town, help="such as 晨光街道")


def _add_call(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    call = commands.add_parser("call", help="sign one call and show the answer")
    call.add_argument("operation", choices=("verify", "query", "verify-batch", "query-batch"))
    call.add_argument("--app", required=True, help="application id, such as app-housing-rental")
    call.add_argument("--resource", required=True, help="resource id")
    call.add_argument("--subject", default="", help="value of the list's record key")
    call.add_argument(
        "--subjects",
        default="",
        metavar="FILE",
        help="CSV of up to 1,000 subjects: subject, then a column for each claimed item (verify-batch)",
    )
    call.add_argument(
        "--claim", action="append", default=[], metavar="ITEM=VALUE", help="what to compare (verify)"
    )
    call.add_argument("--item", action="append", default=[], metavar="ITEM", help="what to read (query)")
    call.add_argument("--purpose", default="auto", help="purpose of the call (default: the grant's)")
    call.add_argument("--end-user", default="", help="who asks, in the department's own system")
    call.add_argument("--case", default="", help="number of the case the call is for")
    call.add_argument("--grant", default="auto", help="grant number (default: the one that fits)")
    call.add_argument("--url", default=None, help="address of the plane")
    call.add_argument(
        "--ca", type=Path, default=None, metavar="FILE", help="authority that vouches for an https plane"
    )


def _add_bulk(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from shuqiao.client.bulk_arguments import add_parser

    add_parser(commands)


def _add_files(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from shuqiao.client.files_arguments import add_parser

    add_parser(commands)


def _add_interface(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    from shuqiao.client.interface_arguments import add_parser

    add_parser(commands)


def _add_node(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    node = commands.add_parser("node", help="tools of a department's front-end node")
    steps = node.add_subparsers(dest="step", required=True)
    describe = steps.add_parser("describe", help="write the structure of a table of NODE_SOURCE_URL as JSON")
    describe.add_argument("table", help="table or schema.table")
    describe.add_argument("--out", default=None, metavar="FILE", help="write it to this file")
    describe.add_argument("--no-figures", action="store_true", help="structure only, don't count the content")
    describe.add_argument("--submit", metavar="URL", default="", help="make a draft entry on this platform")
    describe.add_argument("--key-file", default="", help="private key of the department's application")
    describe.add_argument("--person", default="", help="account of the person who compiles")
    describe.add_argument(
        "--ca", type=Path, default=None, metavar="FILE", help="authority that vouches for an https platform"
    )
    describe.add_argument("--entry-key", default="", help="your key of the entry (default: from the table)")
    check = steps.add_parser("check", help="try whether NODE_SOURCE_URL can be read as the mapping files say")
    check.add_argument("--home", default="", help="the node's folder (default: NODE_HOME)")
    preview = steps.add_parser("preview", help="show the first rows of a mapping file as they would be sent")
    preview.add_argument("mapping", help="name of the mapping file in NODE_MAPPING")
    preview.add_argument("--rows", type=int, default=5, help="how many (5, at most 100)")
    preview.add_argument("--home", default="", help="the node's folder (default: NODE_HOME)")
    enrol = steps.add_parser("enrol", help="admit this node to a platform with a one-use token")
    enrol.add_argument("token", nargs="?", default="", help="the token, or - to read it from standard input")
    enrol.add_argument("--home", default="", help="the node's folder (default: NODE_HOME)")
    enrol.add_argument("--renew", action="store_true", help="fetch the admission anew, after entries changed")
    enrol.add_argument("--wait", type=float, default=300.0, metavar="S", help="how long to wait (300 s)")
    enrol.add_argument(
        "--ca", type=Path, default=None, metavar="FILE", help="authority that vouches for an https platform"
    )
    status = steps.add_parser("status", help="say how the node is and what is to be done")
    status.add_argument("--home", default="", help="the node's folder (default: NODE_HOME)")
    unit = steps.add_parser("unit", help="print a systemd unit that runs the node")
    unit.add_argument("--home", default="", help="the node's folder (default: NODE_HOME)")
    unit.add_argument("--environment", default="/etc/shuqiao/node.env", help="file with its NODE_* settings")
    unit.add_argument("--user", default="shuqiao-node", help="user of the system that the node runs as")
    _add_receive(steps)
    _add_held(steps)
    for name, words in (
        ("grants", "list who may ask for what stays here, and who waits for your word"),
        ("confirm", "let an application use a grant on what stays here"),
        ("withdraw", "let it no more"),
        ("log", "print the log of calls on what stays here, and check it"),
    ):
        step = steps.add_parser(name, help=words)
        step.add_argument("--home", default="", help="the node's folder (default: NODE_HOME)")
        if name in ("confirm", "withdraw"):
            step.add_argument("grant", help="number of the grant")
            step.add_argument("key", help="id of the application's key, compared with the department's word")
            step.add_argument("document", help="first 12 digits of the document, as 'grants' shows them")


def _add_held(steps: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    held = steps.add_parser("held", help="rows that the rules of screening hold at this node")
    actions = held.add_subparsers(dest="held", required=True)
    for name, words in (
        ("list", "list them, without their values"),
        ("show", "show one with its values, here only"),
        ("release", "say that one may leave, for the rule misleads"),
        ("again", "read one anew that stops its table, after it was corrected at its source"),
    ):
        action = actions.add_parser(name, help=words)
        action.add_argument("--home", default="", help="the node's folder (default: NODE_HOME)")
        if name != "list":
            action.add_argument("mark", help="its pseudonym, or how that begins")
        if name == "release":
            action.add_argument("--by", required=True, help="name of the person who answers for it")
            action.add_argument("--reason", required=True, help="why the rule misleads")


def _add_receive(steps: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    receive = steps.add_parser("receive", help="work on what a subscription has brought")
    actions = receive.add_subparsers(dest="receive", required=True)
    for name, words in (
        ("check", "compare the subscription's file with the table, and say how far it is"),
        ("replay", "try the rows once more that didn't fit the table"),
        ("delete", "delete what was received, and sign for it where it is called back"),
        ("end", "end the feed; what was received stays"),
        ("restart", "begin the feed anew, with everything there is"),
    ):
        action = actions.add_parser(name, help=words)
        action.add_argument("subscription", help="its name, which is that of its file")
        action.add_argument("--home", default="", help="the node's folder (default: NODE_HOME)")
        if name in ("delete", "end", "restart"):
            action.add_argument("--yes", action="store_true", help="say that it is meant")


def _add_backup(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    made = commands.add_parser("backup", help="back up a database, encrypted")
    made.add_argument("database", choices=("hub", "vault"), help="one file and one key for each")
    made.add_argument("--out", required=True, type=Path, metavar="FILE", help="the file to write")
    restored = commands.add_parser("restore", help="restore a backup into an empty database, or check it")
    restored.add_argument("file", type=Path, help="the backup")
    restored.add_argument("--check", action="store_true", help="only read it to its end")
    for command in (made, restored):
        command.add_argument(
            "--key-file", required=True, type=Path, metavar="FILE", help="32 random bytes, mode 0400"
        )


def _add_bundle(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    bundle = commands.add_parser(
        "bundle", help="make a signed bundle of a node for networks without registry"
    )
    bundle.add_argument("folder", type=Path, help="the folder to make, or to check")
    bundle.add_argument("--check", action="store_true", help="check it instead, with the public key")
    bundle.add_argument(
        "--key",
        required=True,
        type=Path,
        metavar="FILE",
        help="Ed25519 key, PEM: private, or public to check",
    )
    bundle.add_argument("--source", type=Path, default=None, metavar="FOLDER", help="checkout with the lock")
    bundle.add_argument("--wheel", type=Path, default=None, metavar="FILE", help="our wheel (default: built)")
    bundle.add_argument(
        "--machine", action="append", choices=("x86_64", "aarch64"), help="kind of machine (default: both)"
    )


def _add_evidence(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    evidence = commands.add_parser("evidence", help="check evidence without the platform")
    verify = evidence.add_subparsers(dest="step", required=True).add_parser("verify", help="check one file")
    verify.add_argument("file", help="the file of evidence")
    verify.add_argument("--keys", required=True, metavar="FILE", help="public keys you trust (PEM, purposes)")
    verify.add_argument("--request", metavar="FILE", help="body of the request, if you have it")
    verify.add_argument("--answer", metavar="FILE", help="body of the answer, if you have it")
    verify.add_argument("--regulation", metavar="FILE", help="the regulation's file, if you have it")
    verify.add_argument("--parts", metavar="FOLDER", help="the parts of a copy, if you have them")


def _add_audit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    audit = commands.add_parser("audit", help="prove and check the audit log")
    steps = audit.add_subparsers(dest="step", required=True)
    verify = steps.add_parser("verify", help="check the whole log")
    verify.add_argument("--since", metavar="FILE", help="also that it still begins as this proof saw it")
    prove = steps.add_parser("prove", help="prove that one entry is in the log")
    prove.add_argument("entry", help="entry id or position")
    prove.add_argument("--out", default=None, help="write the proof to this file")
    consistency = steps.add_parser("consistency", help="prove that one checkpoint's log begins another's")
    consistency.add_argument("older", help="size of the older checkpoint, or a file with a proof")
    consistency.add_argument("newer", nargs="?", default=None, help="the newer one likewise; else the newest")
    consistency.add_argument("--out", default=None, help="write the proof to this file")
    steps.add_parser("prune", help="remove the text of entries whose retention is over")
    evidence = steps.add_parser("evidence", help="write the evidence of one call for a third party")
    evidence.add_argument("entry", help="entry id or position")
    evidence.add_argument("--out", required=True, metavar="FILE", help="write it to this file")
    public_keys = steps.add_parser("keys", help="write the platform's public keys for verifiers")
    public_keys.add_argument("--out", required=True, metavar="FILE", help="write them to this file")
    promise = steps.add_parser("check-promise", help="hold a promise against the log")
    promise.add_argument("file", help="file with the promise that came with an answer")


def _town(text: str) -> str:
    if not 1 <= len(text) <= 20:
        raise argparse.ArgumentTypeError("1 to 20 characters")
    return text


def _count(text: str) -> int:
    value = int(text)
    if not 10 <= value <= 5_000_000:
        raise argparse.ArgumentTypeError("between 10 and 5,000,000")
    return value


if __name__ == "__main__":
    sys.exit(main())
