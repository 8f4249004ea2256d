"""The command `shuqiao node enrol TOKEN`: makes the node's keys and has them admitted over the network.

May be ended at any line and run again: keys and round are written before they are sent, so the platform sees
the same request. What it answers is believed only with the mark of the token's secret, which never travels.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec

from shuqiao.edge.words import Words
from shuqiao.security.keys import KeyRefusedError, read_secret_file
from shuqiao.security.replacing import replace_file
from shuqiao.security.tls import TlsRefused, client_context
from shuqiao.wire.enrolment import Admission
from shuqiao.wire.enrolment_token import (
    EnrolmentAnswer,
    EnrolmentRequest,
    EnrolmentToken,
    TokenRefused,
    fingerprint,
    is_marked,
    read_token,
    sign_request,
)
from shuqiao.wire.node_home import NodeFiles, accept, create_request, load_key

PATH = "/api/v1/nodes/enrol"
MAX_ANSWER_BYTES = 8 * 1024 * 1024
ASK_EVERY_S = 3.0
_TIMEOUT_S = 20.0


class NotAdmitted(Exception):
    """The node is not admitted; the message says why and what to do."""


class _NoToken(Exception):
    """There is nothing to renew with; the message says what to do."""


class _Kept(msgspec.Struct, frozen=True):
    """What the node keeps for renewals: the token, and the round it asked last."""

    token: str
    round: int


@dataclass(frozen=True)
class _Asking:
    """The request as it is sent, again and again until it is answered."""

    token: EnrolmentToken
    request: EnrolmentRequest


def enrol_command(arguments: argparse.Namespace) -> int:
    """Ask until admitted; 0 when it is done, 1 where it is refused or takes too long, 2 for wrong words."""
    home = arguments.home or os.environ.get("NODE_HOME", "")
    if not home or bool(arguments.token) == arguments.renew:
        said = Words(
            "请给出令牌（或--renew），并用--home指明前置机的文件夹",
            "give the token, or --renew, and the node's folder with --home",
        )
        print(said, file=sys.stderr)
        return 2
    try:
        asking = _prepare(Path(home), arguments.token, renew=arguments.renew)
        given = asking.request.request
        print(f"{asking.token.department}: {asking.token.url}")
        mark = fingerprint(given.signing_key, given.nats_user)
        print(Words(f"本前置机密钥指纹：{mark}", f"fingerprint of this node's keys: {mark}"))
        admission = _ask(asking, arguments.ca, arguments.wait)
        accept(Path(home), admission)
    except TokenRefused:
        said = Words("这不是前置机令牌，请完整复制", "this is no token of a node: copy all of it")
        print(said, file=sys.stderr)
        return 2
    except (KeyRefusedError, _NoToken) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(_unwritable(home, error), file=sys.stderr)
        return 2
    except (NotAdmitted, TlsRefused) as error:
        print(error, file=sys.stderr)
        return 1
    steps = _renewed(admission) if arguments.renew else _next_steps(Path(home), admission)
    for line in steps:
        print(line)
    return 0


def _unwritable(home: str, error: OSError) -> Words:
    name = type(error).__name__
    return Words(
        f"{home}不能写入（{name}）：请换一个文件夹，或以拥有它的用户运行",
        f"{home} can't be written ({name}): name another folder, or run this as the user who owns it",
    )


def _renewed(admission: Admission) -> Iterator[Words]:
    """Say what a renewal brought, and how it comes to count."""
    ids = ", ".join(sorted(admission.resources)) or "—"
    yield Words(f"接入信息已更新。本部门的条目：{ids}", f"renewed; entries of this department: {ids}")
    yield Words(
        "请重启前置机（systemctl restart shuqiao-node），新的接入信息即生效",
        "start the node anew for it to count (systemctl restart shuqiao-node)",
    )


def _next_steps(home: Path, admission: Admission) -> Iterator[str | Words]:
    """Say what the node has now, and what its settings are to begin with."""
    files, ids = NodeFiles(home.absolute()), ", ".join(sorted(admission.resources)) or "—"
    yield Words(f"已接入。本部门的条目：{ids}", f"admitted; entries of this department: {ids}")
    yield Words(
        "请与平台“接入前置机”页上的指纹核对", "compare the fingerprint with the platform's page of nodes"
    )
    yield Words(
        "接着写设置文件（如/etc/shuqiao/node.env，权限600），其余见connect-your-table.md：",
        "next, the settings (such as /etc/shuqiao/node.env, mode 600); more in connect-your-table.md:",
    )
    yield f"NODE_HOME={home.absolute()}"
    yield f"NODE_DEPARTMENT={admission.department}"
    yield f"NODE_CREDS={files.credentials}"
    yield f"NODE_CA={files.authority}"
    if not admission.nats_url:
        yield Words("NATS_URL=（平台机构告知）", "NATS_URL=(the platform agency tells you)")
    yield Words("NODE_MAPPING=（映射文件的文件夹）", "NODE_MAPPING=(the folder of your mapping files)")
    yield Words("NODE_SOURCE_URL=（数据库或清单的地址）", "NODE_SOURCE_URL=(your database, or your lists)")
    if admission.nats_url:
        yield Words(
            f"消息服务在{admission.nats_url}，接入信息已载明；经别的地址访问时才设NATS_URL",
            f"the message server is {admission.nats_url}, as the admission says: set NATS_URL only where you"
            " reach it at another address",
        )


def _prepare(home: Path, given: str, *, renew: bool) -> _Asking:
    """Bring token, keys and round to disk, then say what is to be sent."""
    kept = _kept(home)
    if renew:
        if kept is None:
            raise _NoToken(
                Words(
                    f"{home}中的前置机不是用令牌接入的，请向平台机构索取令牌",
                    f"the node in {home} was not admitted with a token: ask the platform agency for one",
                )
            )
        kept = _Kept(kept.token, kept.round + 1)
    else:
        text = sys.stdin.read(4096).strip() if given == "-" else given.strip()
        if kept is None or kept.token != text:
            kept = _Kept(text, 1)
    token = read_token(kept.token)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    request = create_request(home, token.department)
    replace_file(NodeFiles(home).enrolment, msgspec.json.encode(kept), mode=0o400)
    return _Asking(token, sign_request(token, request, load_key(home), kept.round))


def _kept(home: Path) -> _Kept | None:
    path = NodeFiles(home).enrolment
    return msgspec.json.decode(read_secret_file(path), type=_Kept) if path.exists() else None


def _ask(asking: _Asking, ca_file: Path | None, wait_s: float) -> Admission:
    """Ask until there is an answer; what can't be reached is tried again."""
    deadline_s = time.monotonic() + wait_s
    while True:
        why = Words(
            "平台的接入进程运行时即会处理", "the platform takes it up when its process that admits runs"
        )
        try:
            answer = _send(asking, ca_file)
            if answer is not None and answer.state == "admitted":
                return _believed(asking, answer)
        except (httpx.HTTPError, OSError) as error:
            why = _unreached(asking.token.url, error)
        if time.monotonic() + ASK_EVERY_S > deadline_s:
            raise NotAdmitted(
                Words(
                    f"尚未接入：{why.zh}。再次运行同一命令即可",
                    f"not admitted yet: {why.en}; run the same command again",
                )
            )
        time.sleep(ASK_EVERY_S)


def _unreached(url: str, error: Exception) -> Words:
    name = type(error).__name__
    return Words(
        f"连不上平台{url}（{name}），请检查网络、防火墙和代理",
        f"the platform at {url} can't be reached ({name}): look at network, firewall and proxy",
    )


def _send(asking: _Asking, ca_file: Path | None) -> EnrolmentAnswer | None:
    """Send it once; None where it is to be sent again later. Raises `NotAdmitted` for a refusal."""
    context = _context(asking.token, ca_file)
    with (
        httpx.Client(
            base_url=asking.token.url, timeout=_TIMEOUT_S, verify=context, trust_env=False
        ) as client,
        client.stream(
            "POST",
            PATH,
            content=msgspec.json.encode(asking.request),
            headers={"content-type": "application/json", "accept-language": str(Words("zh-hans", "en"))},
        ) as response,
    ):
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise NotAdmitted(
                    Words("应答过大，不像平台所发", "the answer is too large to be the platform's")
                )
    if response.status_code == 429 or response.status_code >= 500:
        return None
    try:
        if response.status_code != 200:
            refusal = msgspec.json.decode(bytes(body), type=dict[str, object])
            raise NotAdmitted(f"{refusal.get('code')}: {refusal.get('detail')}")
        return msgspec.json.decode(bytes(body), type=EnrolmentAnswer)
    except msgspec.DecodeError:
        raise NotAdmitted(
            Words("在那里应答的不是平台，请核对令牌", "what answers there is not the platform")
        ) from None


def _believed(asking: _Asking, answer: EnrolmentAnswer) -> Admission:
    if not is_marked(asking.token, asking.request, answer):
        raise NotAdmitted(
            Words(
                "应答不带令牌的标记：可能有人从中作假，请告知平台机构",
                "the answer does not bear the token's mark: somebody stands between, tell the agency",
            )
        )
    admission = msgspec.json.decode(answer.admission, type=Admission)
    if admission.department != asking.token.department:
        raise NotAdmitted(Words("接入信息属于另一部门", "the admission is for another department"))
    return admission


def _context(token: EnrolmentToken, ca_file: Path | None) -> ssl.SSLContext:
    """Trust the certificate that the token names, and no other; without one, an authority."""
    if ca_file is not None or not token.pin or not token.url.startswith("https://"):
        return client_context(ca_file)
    certificate = _shown_certificate(token.url)
    if hashlib.sha256(certificate).hexdigest() != token.pin:
        raise NotAdmitted(
            Words(
                "平台出示的证书与令牌所载不同：或已更换，或有人从中作假；请询问平台机构，或用--ca指明机构",
                "the platform shows another certificate than the token names: it was renewed, or somebody"
                " stands between; ask the agency, or name the authority with --ca",
            )
        )
    context = ssl.create_default_context(cadata=ssl.DER_cert_to_PEM_cert(certificate))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _shown_certificate(url: str) -> bytes:
    """The certificate a server shows; nothing is believed of it yet."""
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = (parts.hostname or "", parts.port or 443)
    with (
        socket.create_connection(address, timeout=_TIMEOUT_S) as link,
        context.wrap_socket(link, server_hostname=parts.hostname) as shown,
    ):
        return shown.getpeercert(binary_form=True) or b""
