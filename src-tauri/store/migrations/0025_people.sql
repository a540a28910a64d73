-- A VALD Hub account, which VALD calls a tenant. Its credentials are secrets.
CREATE TABLE vald_account (
    practice         TEXT    NOT NULL PRIMARY KEY REFERENCES practice (id) ON DELETE CASCADE,
    tenant_id        TEXT    NOT NULL,
    region           TEXT    NOT NULL,
    token_url        TEXT    NOT NULL,
    audience         TEXT    NOT NULL,
    profile_url      TEXT    NOT NULL,
    tenants_url      TEXT    NOT NULL,
    hub_url          TEXT,              -- The landing address with its placeholders; NULL hides the button.
    group_rules      TEXT    NOT NULL,  -- JSON: a list of {group, resource or location or neither}.
    between_requests INTEGER NOT NULL,  -- Microseconds.
    sync_prefix      TEXT    NOT NULL,  -- Stands before the patient's key in new sync ids. Never changes.
    staff_are_adults INTEGER NOT NULL
) STRICT;

-- Who agreed that a partner gets their details. Lines are appended and never changed: the last one about a patient and a
-- partner holds. The names of who recorded it and of a guardian stay as long as the line, because they are its proof.
CREATE TABLE consent (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    practice        TEXT    NOT NULL,
    partner         TEXT    NOT NULL,
    patient         TEXT    NOT NULL, -- The practice system's key.
    given           INTEGER NOT NULL, -- 0: refused or withdrawn.
    guardian        TEXT,             -- Who agreed in place of a minor.
    photo_and_video INTEGER NOT NULL,
    how             TEXT    NOT NULL, -- desk, form, collected_before, practice_system
    recorded_by     TEXT    NOT NULL,
    wording         TEXT    NOT NULL, -- The version that was agreed to; empty where nobody said.
    at              TEXT    NOT NULL
) STRICT;

CREATE INDEX consent_of ON consent (practice, partner, patient, number);

CREATE TRIGGER consent_stays BEFORE UPDATE ON consent BEGIN SELECT raise(ABORT, 'consent is appended only'); END;
CREATE TRIGGER consent_remains BEFORE DELETE ON consent BEGIN SELECT raise(ABORT, 'consent is appended only'); END;

-- Things here and the same things at partners. Holds ids, and no names.
CREATE TABLE link (
    practice    TEXT NOT NULL,
    partner     TEXT NOT NULL,
    kind        TEXT NOT NULL, -- patient, practitioner, invoice
    local_id    TEXT NOT NULL, -- The practice system's key.
    told_as     TEXT NOT NULL, -- The name under which the partner was told of it: VALD's sync id.
    partner_id  TEXT,          -- What the partner calls it.
    state       TEXT NOT NULL, -- linked, pending, needs_person, conflict, failed, ended
    since       TEXT NOT NULL,
    reason      TEXT,          -- A sentence that names nobody.
    accepted    TEXT,          -- A digest of what the partner accepted last.
    refused     TEXT,          -- A digest of what it refused last.
    accepted_at TEXT,
    PRIMARY KEY (practice, partner, kind, local_id)
) STRICT, WITHOUT ROWID;

-- One name means one thing, or two patients would share a profile.
CREATE UNIQUE INDEX link_told_as ON link (practice, partner, kind, told_as);
CREATE INDEX link_in_state ON link (practice, partner, state);

-- What left this computer, about whom, to whom and under which consent. Numbers follow one another without a gap. The
-- digest is the SHA-256, in small hexadecimal digits, of the digest of the line before (64 times 0 before the first),
-- followed by the values of the columns from number to done_by, in their order, each as its length in bytes in decimal
-- digits, a colon and its text; a NULL is a minus sign alone.
CREATE TABLE audit (
    number   INTEGER PRIMARY KEY,
    at       TEXT    NOT NULL,
    practice TEXT    NOT NULL,
    partner  TEXT    NOT NULL,
    patient  TEXT,             -- The practice system's key; NULL: about all of them.
    what     TEXT    NOT NULL, -- consent_given, consent_withdrawn, sent, not_sent, refused, opened, ended, …
    fields   TEXT    NOT NULL, -- The names of the fields that left, with a space between them.
    consent  INTEGER,          -- The number of the consent under which they left.
    told_as  TEXT,
    done_by  TEXT,             -- Who, where a person did it.
    digest   TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_of ON audit (practice, patient, number);

CREATE TRIGGER audit_stays BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit trail is appended only'); END;
CREATE TRIGGER audit_remains BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit trail is appended only'); END;
