-- No step of a dispute can be skipped, by whatever program: an event begins where the one before it ended, it is a
-- step that the dispute's regulation allows, and a dispute stands where its last event has led.
ALTER TABLE disputes_disputestep
    ADD CONSTRAINT dispute_step_once
        UNIQUE (regulation, action, from_state, to_state, phase, final, requires, publishes);

ALTER TABLE disputes_disputeevent
    ADD CONSTRAINT dispute_event_leads_there UNIQUE (dispute_id, sequence, to_state),
    ADD CONSTRAINT dispute_event_leaves_it UNIQUE (dispute_id, sequence, to_state, phase, final),
    ADD CONSTRAINT dispute_event_follows_the_last
        FOREIGN KEY (dispute_id, previous, from_state)
        REFERENCES disputes_disputeevent (dispute_id, sequence, to_state),
    ADD CONSTRAINT dispute_event_is_allowed
        FOREIGN KEY (regulation, action, from_state, to_state, phase, final, requires, publishes)
        REFERENCES disputes_disputestep
            (regulation, action, from_state, to_state, phase, final, requires, publishes);

ALTER TABLE disputes_dispute
    ADD CONSTRAINT dispute_stands_where_its_last_event_led
        FOREIGN KEY (id, step, state, phase, final)
        REFERENCES disputes_disputeevent (dispute_id, sequence, to_state, phase, final)
        DEFERRABLE INITIALLY DEFERRED;

-- What has happened stays: the running office adds to the record and takes nothing from it.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'shuqiao_control') THEN
        REVOKE UPDATE, DELETE ON disputes_disputeevent, disputes_disputestep, disputes_rulingapplication,
            disputes_projectbar FROM shuqiao_control;
        REVOKE DELETE ON disputes_dispute, disputes_jointreviewsession FROM shuqiao_control;
    END IF;
END
$$;
