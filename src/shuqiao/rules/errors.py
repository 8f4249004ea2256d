"""Every refusal the platform can give, with its stable code, HTTP status and words in two languages.

ShuqiaoError
├── CallError                     an application called the plane
│   ├── SignatureMissing          401 signature_missing
│   ├── SignatureInvalid          401 signature_invalid (also: unknown key, inactive application)
│   ├── SignatureStale            401 signature_stale
│   ├── SignatureReplayed         401 signature_replayed
│   ├── DigestMismatch            400 digest_mismatch
│   ├── RequestMalformed          400 request_malformed
│   ├── BodyNotJson               400 body_not_json
│   ├── BodyTooLarge              413 body_too_large
│   ├── RequestTimeout            408 request_timeout
│   ├── NotAvailable              404 not_available (unknown, not granted, not there: one text)
│   ├── ItemNotGranted            403 item_not_granted
│   ├── ChannelNotGranted         403 channel_not_granted
│   ├── PagesOnly                 403 pages_only (download and browse are for persons)
│   ├── QueryGrantNeeded          403 query_grant_needed
│   ├── CaseNumberDemanded        403 case_number_demanded
│   ├── ClaimsIncomplete          422 claims_incomplete
│   ├── GrantExpired              403 grant_expired
│   ├── GrantNotYetValid          403 grant_not_yet_valid
│   ├── GrantRevoked              403 grant_revoked
│   ├── GrantSuspended            403 grant_suspended
│   ├── IdentifierInvalid         422 identifier_invalid
│   ├── ClaimInvalid              422 claim_invalid
│   ├── SessionOver               401 session_over
│   ├── SessionUnsigned           403 session_unsigned
│   ├── HeadContradicted          422 head_contradicted
│   ├── SignedCallNeeded          403 signed_call_needed
│   ├── LinkExpired               403 link_expired
│   ├── RangeUnsatisfiable        416 range_unsatisfiable
│   ├── BulkBusy                  429 bulk_busy
│   ├── FeedRests                 403 feed_rests
│   ├── DeletionUnfit             422 deletion_unfit
│   ├── RecipientKeyUnfit         422 recipient_key_unfit
│   ├── SealingOnPages            422 sealing_on_pages
│   ├── SealingUnsupported        422 sealing_unsupported
│   ├── OperationNotGranted       403 operation_not_granted
│   ├── ParameterRefused          422 parameter_refused
│   ├── InterfaceFailed           502 interface_failed
│   ├── InterfaceResting          503 interface_resting
│   ├── NodeSilent                504 node_silent
│   ├── NodeAway                  503 node_away
│   ├── NodeRefused               503 node_refused
│   ├── GrantNotConfirmed         403 grant_not_confirmed
│   ├── OneSubjectOnly            400 one_subject_only
│   ├── TooManyCalls              429 too_many_calls
│   ├── Overloaded                503 overloaded
│   └── Unavailable               503 unavailable
├── BatchError                    a node's batch is refused whole
│   ├── BatchSignatureInvalid     401 batch_signature_invalid
│   ├── BatchWrongDepartment      403 batch_wrong_department
│   ├── BatchMalformed            400 batch_malformed
│   ├── BatchNotCleared           403 batch_not_cleared
│   ├── BatchUnknownResource      404 batch_unknown_resource
│   └── BatchOutOfSequence        409 batch_out_of_sequence
├── RowError                      one row of a batch is refused; the others are merged
│   ├── ItemRequired              422 item_required
│   ├── ItemType                  422 item_type
│   ├── ItemCodeUnknown           422 item_code_unknown
│   ├── ItemTooLong               422 item_too_long
│   ├── TextUnreadable            422 text_unreadable
│   ├── ItemNotAllowed            422 item_not_allowed
│   ├── IdentifierCheckDigit      422 identifier_check_digit
│   ├── DateImpossible            422 date_impossible
│   ├── DuplicateKey              422 duplicate_key
│   ├── RowRefused                422 row_refused
│   ├── SourceStructureChanged    422 source_structure_changed
│   ├── SecrecyMarked             422 secrecy_marked
│   └── PersonalUndeclared        422 personal_undeclared
├── InterfaceError                a department's system writes entries of the catalogue
│   ├── EndUserRefused            403 end_user_refused
│   ├── EntryNotFound             404 entry_not_found
│   ├── EntryFaulty               422 entry_faulty
│   ├── MethodNotAllowed          405 method_not_allowed
│   ├── EnrolmentTokenUnusable    403 enrolment_token_unusable (a node asks to be admitted)
│   ├── EnrolmentTokenUsed        409 enrolment_token_used
│   ├── NodeNotInUse              403 node_not_in_use
│   └── AskedTooOften             429 asked_too_often
└── OfficeError                   somebody acts on the pages of control
    ├── PermissionDenied          403 permission_denied
    ├── TransitionRefused         409 transition_refused
    ├── FieldRequired             422 field_required
    ├── PeriodEndsEarly           422 period_ends_early
    ├── PeriodTooLong             422 period_too_long
    ├── ReasonRequired            422 reason_required
    ├── AlreadyDecided            409 already_decided
    ├── SecondPersonRequired      409 second_person_required
    ├── ShareTypeForced           422 share_type_forced
    ├── GroundRankRefused         422 ground_rank_refused
    ├── DepartmentsRefused        422 departments_refused
    ├── EntryChanged              409 entry_changed
    ├── EntryPeriodExceeded       422 entry_period_exceeded
    ├── NotShared                 409 not_shared
    ├── PassingOnRefused          403 passing_on_refused
    ├── EntryBeingChanged         409 entry_being_changed
    ├── DraftChanged              409 draft_changed
    ├── CorrectionTooWide         422 correction_too_wide
    ├── MarksMissing              409 marks_missing
    ├── RowsTooMany               422 rows_too_many
    └── RegulationInvalid         500 regulation_invalid

A field holds names, numbers of cases and limits, never a person's data: messages reach logs and URLs.
Source: our choice, decision "one error hierarchy" (style guide, Errors).
"""

from __future__ import annotations

from shuqiao.rules.batch_errors import (
    BatchError,
    BatchMalformed,
    BatchNotCleared,
    BatchOutOfSequence,
    BatchSignatureInvalid,
    BatchUnknownResource,
    BatchWrongDepartment,
    DateImpossible,
    DuplicateKey,
    IdentifierCheckDigit,
    ItemCodeUnknown,
    ItemNotAllowed,
    ItemRequired,
    ItemTooLong,
    ItemType,
    PersonalUndeclared,
    RowError,
    RowRefused,
    SecrecyMarked,
    SourceStructureChanged,
    TextUnreadable,
)
from shuqiao.rules.bulk_errors import (
    BulkBusy,
    DeletionUnfit,
    FeedRests,
    LinkExpired,
    RangeUnsatisfiable,
    RecipientKeyUnfit,
    SealingOnPages,
    SealingUnsupported,
)
from shuqiao.rules.call_errors import (
    BodyNotJson,
    BodyTooLarge,
    CallError,
    CaseNumberDemanded,
    ChannelNotGranted,
    ClaimInvalid,
    ClaimsIncomplete,
    DigestMismatch,
    GrantExpired,
    GrantNotYetValid,
    GrantRevoked,
    GrantSuspended,
    IdentifierInvalid,
    ItemNotGranted,
    NotAvailable,
    Overloaded,
    PagesOnly,
    QueryGrantNeeded,
    RequestMalformed,
    RequestTimeout,
    SignatureInvalid,
    SignatureMissing,
    SignatureReplayed,
    SignatureStale,
    TooManyCalls,
    Unavailable,
)
from shuqiao.rules.enrolment_errors import (
    AskedTooOften,
    EnrolmentTokenUnusable,
    EnrolmentTokenUsed,
    NodeNotInUse,
)
from shuqiao.rules.error_base import ShuqiaoError
from shuqiao.rules.held_errors import (
    GrantNotConfirmed,
    NodeAway,
    NodeRefused,
    NodeSilent,
    OneSubjectOnly,
)
from shuqiao.rules.interface_errors import (
    EndUserRefused,
    EntryFaulty,
    EntryNotFound,
    InterfaceError,
    MethodNotAllowed,
)
from shuqiao.rules.office_errors import (
    AlreadyDecided,
    CorrectionTooWide,
    DepartmentsRefused,
    DraftChanged,
    EntryBeingChanged,
    EntryChanged,
    EntryPeriodExceeded,
    FieldRequired,
    GroundRankRefused,
    MarksMissing,
    NotShared,
    OfficeError,
    PassingOnRefused,
    PeriodEndsEarly,
    PeriodTooLong,
    PermissionDenied,
    ReasonRequired,
    RegulationInvalid,
    RowsTooMany,
    SecondPersonRequired,
    ShareTypeForced,
    TransitionRefused,
)
from shuqiao.rules.proxy_errors import (
    InterfaceFailed,
    InterfaceResting,
    OperationNotGranted,
    ParameterRefused,
)
from shuqiao.rules.session_errors import (
    HeadContradicted,
    SessionOver,
    SessionUnsigned,
    SignedCallNeeded,
)

__all__ = [
    "BY_CODE",
    "AlreadyDecided",
    "AskedTooOften",
    "BatchError",
    "BatchMalformed",
    "BatchNotCleared",
    "BatchOutOfSequence",
    "BatchSignatureInvalid",
    "BatchUnknownResource",
    "BatchWrongDepartment",
    "BodyNotJson",
    "BodyTooLarge",
    "BulkBusy",
    "CallError",
    "CaseNumberDemanded",
    "ChannelNotGranted",
    "ClaimInvalid",
    "ClaimsIncomplete",
    "CorrectionTooWide",
    "DateImpossible",
    "DeletionUnfit",
    "DepartmentsRefused",
    "DigestMismatch",
    "DraftChanged",
    "DuplicateKey",
    "EndUserRefused",
    "EnrolmentTokenUnusable",
    "EnrolmentTokenUsed",
    "EntryBeingChanged",
    "EntryChanged",
    "EntryFaulty",
    "EntryNotFound",
    "EntryPeriodExceeded",
    "FeedRests",
    "FieldRequired",
    "GrantExpired",
    "GrantNotConfirmed",
    "GrantNotYetValid",
    "GrantRevoked",
    "GrantSuspended",
    "GroundRankRefused",
    "HeadContradicted",
    "IdentifierCheckDigit",
    "IdentifierInvalid",
    "InterfaceError",
    "InterfaceFailed",
    "InterfaceResting",
    "ItemCodeUnknown",
    "ItemNotAllowed",
    "ItemNotGranted",
    "ItemRequired",
    "ItemTooLong",
    "ItemType",
    "LinkExpired",
    "MarksMissing",
    "MethodNotAllowed",
    "NodeAway",
    "NodeNotInUse",
    "NodeRefused",
    "NodeSilent",
    "NotAvailable",
    "NotShared",
    "OfficeError",
    "OneSubjectOnly",
    "OperationNotGranted",
    "Overloaded",
    "PagesOnly",
    "ParameterRefused",
    "PassingOnRefused",
    "PeriodEndsEarly",
    "PeriodTooLong",
    "PermissionDenied",
    "PersonalUndeclared",
    "QueryGrantNeeded",
    "RangeUnsatisfiable",
    "ReasonRequired",
    "RecipientKeyUnfit",
    "RegulationInvalid",
    "RequestMalformed",
    "RequestTimeout",
    "RowError",
    "RowRefused",
    "RowsTooMany",
    "SealingOnPages",
    "SealingUnsupported",
    "SecondPersonRequired",
    "SecrecyMarked",
    "SessionOver",
    "SessionUnsigned",
    "ShareTypeForced",
    "ShuqiaoError",
    "SignatureInvalid",
    "SignatureMissing",
    "SignatureReplayed",
    "SignatureStale",
    "SignedCallNeeded",
    "SourceStructureChanged",
    "TextUnreadable",
    "TooManyCalls",
    "TransitionRefused",
    "Unavailable",
    "explain",
]


def _leaves(parent: type[ShuqiaoError]) -> list[type[ShuqiaoError]]:
    children = parent.__subclasses__()
    return [parent] if not children else [leaf for child in children for leaf in _leaves(child)]


BY_CODE: dict[str, type[ShuqiaoError]] = {leaf.code: leaf for leaf in _leaves(ShuqiaoError)}
"""Every error class by its stable code."""


def explain(code: str, fields: dict[str, str], language: str = "zh") -> str:
    """The message of a code met in a receipt, a log or another process."""
    return BY_CODE[code](**fields).explain(language)
