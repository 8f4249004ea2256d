"""What a role may do: the words that a regulation file grants to its roles."""

from enum import StrEnum


class Capability(StrEnum):
    """Everything an account can be allowed; a role that a file does not give one lacks it."""

    CATALOGUE_SEARCH = "catalogue_search"
    REQUEST_SUBMIT = "request_submit"
    REQUEST_ANSWER = "request_answer"
    GRANT_REVOKE = "grant_revoke"
    GRANT_USE = "grant_use"
    AUDIT_VIEW = "audit_view"
    AUDIT_VIEW_ALL = "audit_view_all"
    DISPUTE_COORDINATE = "dispute_coordinate"
    NODES_WATCH = "nodes_watch"
    PERSONS_VIEW = "persons_view"
    ANSWER_CONFIRM = "answer_confirm"
    DISPUTE_OPEN = "dispute_open"
    REVIEW_OPINE = "review_opine"
    RULING_RECORD = "ruling_record"
    CALENDAR_EDIT = "calendar_edit"
    RULES_COMPARE = "rules_compare"
    REPLIES_VIEW = "replies_view"
    PROJECT_LEAD = "project_lead"
    CATALOGUE_EDIT = "catalogue_edit"
    CATALOGUE_REVIEW = "catalogue_review"
    CATALOGUE_APPROVE = "catalogue_approve"
    APPLICATION_ENROL = "application_enrol"
    APPLICATION_ADMIT = "application_admit"
    DATA_CLEAR = "data_clear"
