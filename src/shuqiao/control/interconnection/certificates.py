"""Issuing a certificate of interconnection as a sealed PDF, revoking it, and noticing that it has lapsed.

Source: guangzhou-2016 art. 43; xiamen-2015 art. 19; guangzhou-2019-165 art. 16¶3; SUP-11.
"""

import hashlib
import logging
import secrets
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from shuqiao.control import clock
from shuqiao.control.accounts.access import Fault, FormRefused, NotFound, Viewer
from shuqiao.control.accounts.capabilities import Capability
from shuqiao.control.accounts.notices import notify
from shuqiao.control.audit.actions import append_entry
from shuqiao.control.interconnection.access import access_system_locked, may_certify
from shuqiao.control.interconnection.actions import (
    Done,
    connected_since,
    end_certificate,
    lapse,
    record,
    tested_ways,
)
from shuqiao.control.interconnection.certificate_pdf import TITLE, CertificateText, Found, write_certificate
from shuqiao.control.interconnection.inputs import one_line
from shuqiao.control.interconnection.models import BusinessSystem, ConnectionCertificate, SystemStep
from shuqiao.control.interconnection.readings import ways_kept, ways_of
from shuqiao.control.interconnection.words import STEP_WORDS, WAY_WORDS, missing_words
from shuqiao.control.organisations.numbers import next_number
from shuqiao.control.organisations.queries import department_refs
from shuqiao.control.regulations.current import regulation
from shuqiao.control.regulations.queries import article_ref
from shuqiao.control.texts import Text
from shuqiao.rules.entry_faults import plain_fault
from shuqiao.rules.ids import certificate_no
from shuqiao.rules.interconnection import CONNECTED, UNCONNECTED, missing_for_certificate

log = logging.getLogger("shuqiao.control")

CODE_BYTES = 20
MAX_REASON_CHARS = 300


@transaction.atomic
def issue_certificate(viewer: Viewer, number: str) -> str:
    """Certify that a system is registered, connected and tested; returns the certificate's number.

    Only the body that the regulation names issues it, and never for its own system. Raises `NotFound` for
    anybody else, `FormRefused` with what is missing.
    """
    system = access_system_locked(viewer, number)
    if not may_certify(viewer) or system.department_id == viewer.department.code:
        raise NotFound
    tests = tested_ways(system)
    missing = missing_for_certificate(system.state, ways_of(system), frozenset(tests))
    faults = [Fault("certificate", missing[0], missing_words(missing))] if missing else []
    if system.certificates.filter(ended_at=None).exists():
        words = Text("已有有效的证明", "There is a certificate in force already")
        faults.append(Fault("certificate", "certificate_in_force", words))
    if settings.CONFIG.seal is None:
        words = Text("平台没有配置电子印章", "The platform has no seal configured")
        faults.append(Fault("certificate", "seal_missing", words))
    if not settings.CONFIG.public_url:
        words = Text(
            "平台没有配置对外地址，证明无处查验", "Nobody could look it up: no public address is set"
        )
        faults.append(Fault("certificate", "address_missing", words))
    if faults:
        raise FormRefused(tuple(faults))
    return _issue(viewer, system, tests)


def _issue(viewer: Viewer, system: BusinessSystem, tests: dict[str, SystemStep]) -> str:
    now = clock.now()
    year = clock.legal_day(now).year
    number, code = certificate_no(year, next_number("T", year)), secrets.token_hex(CODE_BYTES)
    pdf = _sealed(_text(viewer, system, tests, number, code, now), viewer.department.name.zh)
    digest = hashlib.sha256(pdf).hexdigest()
    rules = regulation()
    duty = rules.exchange.interconnection
    entry = append_entry(
        "interconnection_certified",
        actor=f"account:{viewer.username}",
        at=now,
        outcome="issued",
        department=viewer.department.code,
        provider=system.department_id,
        case_no=number,
        facts={
            "system": system.number,
            "sha256": digest,
            "articles": [rules.cite(duty.certificate_article), rules.cite(duty.acceptance_article)],
        },
    )
    ConnectionCertificate.objects.create(
        number=number,
        system=system,
        code=code,
        issued_at=now,
        issued_by_id=viewer.account_id,
        issuer_id=viewer.department.code,
        pdf=pdf,
        digest=digest,
        entry_id=entry,
    )
    notify(system.department_id, "interconnection_certified", number, capability=Capability.APPLICATION_ENROL,
           params={"name": system.name})  # fmt: skip
    return number


def _sealed(text: CertificateText, issuer: str) -> bytes:
    # The library that signs takes half a second to import, and only whoever issues needs it.
    from shuqiao.security.pdf_seal import SealUnusable, sign_pdf

    seal = settings.CONFIG.seal
    if seal is None:
        raise RuntimeError("a certificate is sealed by a platform that has a seal")
    try:
        return sign_pdf(write_certificate(text), seal, issuer, TITLE)
    except SealUnusable as error:
        log.error("%s", error)
        words = Text("电子印章无法使用，请联系平台运维", "The seal can't be used: tell the operators")
        raise FormRefused((Fault("certificate", "seal_unusable", words),)) from None


def _text(
    viewer: Viewer,
    system: BusinessSystem,
    tests: dict[str, SystemStep],
    number: str,
    code: str,
    now: datetime,
) -> CertificateText:
    rules = regulation()
    duty = rules.exchange.interconnection
    role = next((one.zh for one in rules.body_roles if one.key == duty.certificate_by), duty.certificate_by)
    named = (duty.connect_article, duty.certificate_article, duty.acceptance_article)
    # What the platform has set itself is no rule of law.
    cited = [ref for ref in (article_ref(one, rules.id) for one in named) if ref.article]
    return CertificateText(
        number=number,
        system=system.number,
        name=system.name,
        department=department_refs()[system.department_id].name.zh,
        purpose=system.purpose,
        issuer=viewer.department.name.zh,
        role=role,
        issued_at=now,
        articles=tuple(dict.fromkeys(one.cite.zh for one in cited)),
        steps=_steps(system, tests),
        address=settings.CONFIG.public_url + reverse("open_certificate", args=[code]),
    )


def _steps(system: BusinessSystem, tests: dict[str, SystemStep]) -> tuple[Found, ...]:
    by_kind = {
        step.kind: step for step in system.steps.filter(kind__in=["registered", "connected"]).reverse()
    }
    ways = [word for word, has in (("calls", system.application), ("brings", system.brings_id)) if has]
    found = [
        Found(
            STEP_WORDS["registered"].zh,
            system.number,
            system.registered_at,
            str(by_kind["registered"].entry_id),
        ),
        Found(
            STEP_WORDS["connected"].zh,
            "；".join(WAY_WORDS[way].zh for way in ways),
            connected_since(system) or system.registered_at,
            str(by_kind["connected"].entry_id),
        ),
    ]
    found += [
        Found(STEP_WORDS["tested"].zh, WAY_WORDS[way].zh, step.proof_at or step.occurred_at, str(step.proof))
        for way, step in sorted(tests.items())
    ]
    return tuple(found)


@transaction.atomic
def revoke_certificate(viewer: Viewer, number: str, reason: str) -> None:
    """Revoke a certificate in force, with a reason; only the body that issues them may.

    Raises `NotFound` for anybody else, `FormRefused` without a reason or for one that has ended.
    """
    if not may_certify(viewer):
        raise NotFound
    found = ConnectionCertificate.objects.select_for_update(of=("self",)).select_related("system")
    certificate = found.defer("pdf").filter(number=number).first()
    if certificate is None:
        raise NotFound
    words = one_line(reason)
    if not words:
        raise FormRefused((Fault("reason", "reason_required", Text("请写明理由", "Say why")),))
    if wrong := plain_fault("reason", words, MAX_REASON_CHARS):
        raise FormRefused((Fault("reason", wrong.code, Text(wrong.zh, wrong.en)),))
    if certificate.ended_at is not None:
        said = Text("证明已不再有效", "It is in force no more")
        raise FormRefused((Fault("reason", "certificate_ended", said),))
    end_certificate(certificate, "revoked", words, viewer)


def watch_connections() -> int:
    """Notice that a connected system can't share any more: its key or node is out of use; returns how many.

    The system counts as not connected from then on and its certificate has lapsed.
    """
    systems = list(BusinessSystem.objects.filter(state=CONNECTED))
    # Only what seems to have ended is locked and looked at again.
    return sum(_watch(one.number) for one in systems if ways_kept(one).missing)


@transaction.atomic
def _watch(number: str) -> int:
    system = BusinessSystem.objects.select_for_update().get(pk=number)
    missing = ways_kept(system).missing
    if system.state != CONNECTED or not missing:
        return 0
    system.state = UNCONNECTED
    system.save(update_fields=["state"])
    article = regulation().exchange.interconnection.connect_article
    record(system, Done("disconnected", None, article, missing_words(missing).zh))
    lapse(system, None, missing[0])
    return 1
