-- The first schema.
--
-- Conventions, here and in every later step:
--   Times are RFC 3339 text in UTC with milliseconds, so that they sort as text: 2026-11-20T03:04:05.678Z.
--   Wall-clock times of a practice are ISO 8601 text without an offset: 2026-11-20T14:04:05.
--   Flags are 0 or 1. Lists are JSON text.
--   Columns marked "personal" say something about a patient and are emptied after the retention time.

-- What the store notes about itself.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY, -- look_first_until: until then, a booking that is new here is first looked for
                                     -- in the book, because the records were lost and it may stand there already.
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What holds for the whole program. A name that is missing has its default.
CREATE TABLE app_setting (
    name  TEXT NOT NULL PRIMARY KEY, -- retention_days, decide_minutes, log_level
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The practices that are linked on this computer.
CREATE TABLE practice (
    id                  TEXT    NOT NULL PRIMARY KEY, -- The stable local key, [a-z0-9-]{1,40}.
    name                TEXT    NOT NULL,             -- As people see it.
    zone                TEXT    NOT NULL,             -- IANA name of the time zone.
    enabled             INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    system_profile      TEXT    NOT NULL,
    system_url          TEXT    NOT NULL,             -- Without its password, which is a secret.
    system_write        TEXT    NOT NULL,             -- none, sql, api: who enters bookings.
    system_locations    TEXT,                         -- JSON list of location ids; NULL is all of them.
    system_poll_seconds INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The Healthengine account of a practice, where it has one.
CREATE TABLE healthengine_account (
    practice         TEXT    NOT NULL PRIMARY KEY REFERENCES practice (id) ON DELETE CASCADE,
    base_url         TEXT    NOT NULL,
    practice_id      TEXT    NOT NULL, -- Healthengine's own id of the practice.
    user_agent_email TEXT    NOT NULL,
    environment      TEXT    NOT NULL, -- DEV, UAT, PROD
    horizon_days     INTEGER NOT NULL, -- Free times are published for today and this many days on.
    poll_seconds     INTEGER NOT NULL,
    features         TEXT    NOT NULL, -- JSON list of the extra features.
    live_hours       TEXT    NOT NULL  -- JSON: {"monday": [[480, 1080]]}, minutes after the practice's midnight.
) STRICT, WITHOUT ROWID;

-- Passwords and keys of the services, each by name: richmond/healthengine/practice_key.
CREATE TABLE secret (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The booking ledger: what was asked for, how far it is, and what the practice holds for it.
CREATE TABLE booking (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    practice         TEXT    NOT NULL, -- Bookings outlive the link of their practice, so this refers to no table.
    partner          TEXT    NOT NULL,
    booking          TEXT    NOT NULL, -- As the partner calls it.

    -- What was asked for.
    resource         TEXT,             -- With whom, in the practice system's words; NULL when the booking names nobody.
    appointment_type TEXT,
    starts           TEXT    NOT NULL, -- Wall clock of the practice.
    length_seconds   INTEGER NOT NULL,
    linked_patient   TEXT,             -- The record in the book that the partner remembers from an earlier visit.
    says_new_patient INTEGER NOT NULL CHECK (says_new_patient IN (0, 1)),
    booked_at        TEXT    NOT NULL, -- When the patient booked.
    cancelled        INTEGER NOT NULL CHECK (cancelled IN (0, 1)), -- It was cancelled already when we first saw it.

    -- Who it is for. All of it personal; empty where not given.
    first_name       TEXT    NOT NULL,
    last_name        TEXT    NOT NULL,
    birth_date       TEXT,             -- YYYY-MM-DD
    phones           TEXT    NOT NULL, -- JSON list, the most useful first.
    email            TEXT    NOT NULL,
    street           TEXT    NOT NULL,
    suburb           TEXT    NOT NULL,
    address_state    TEXT    NOT NULL,
    postcode         TEXT    NOT NULL,
    gender           TEXT,             -- male, female, other
    medicare_number  TEXT    NOT NULL,
    medicare_irn     TEXT    NOT NULL,
    medicare_expiry  TEXT    NOT NULL,
    note             TEXT    NOT NULL,
    people_forgotten INTEGER NOT NULL DEFAULT 0 CHECK (people_forgotten IN (0, 1)),

    -- How far it is: the state's name, and what the state carries. The rest is NULL.
    state            TEXT    NOT NULL, -- received, inserting, held, naming, entering, inserted, withdrawing, unplaced,
                                       -- refused, stuck, confirmed, rejected, cancelling, cancelled,
                                       -- closed
    tries            INTEGER,          -- received, inserting: how often a write was begun.
    plan             TEXT,             -- inserting, naming: existing, new, undecided.
    plan_patient     TEXT,             -- The record that is meant; with plan = new, the one it may be a duplicate of.
    appointment      TEXT,             -- What the book holds, in the practice system's words.
    patient          TEXT,             -- Whose it is there.
    refusal          TEXT,             -- Why it will not be: slot_taken, patient_cancelled, …
    why              TEXT,             -- The words of a refusal that has its own, or why a person has to look.
    tell_patient     INTEGER CHECK (tell_patient IN (0, 1)), -- refused, rejected: somebody has to tell the patient.
    by_hand          INTEGER CHECK (by_hand IN (0, 1)),      -- cancelling: somebody at the desk has to do it.

    -- How the patient was decided on; NULL until tried.
    decision_plan    TEXT,             -- existing, new, undecided
    decision_patient TEXT,
    decision_score   INTEGER,          -- 0 to 1000; NULL for a new record.
    decision_reason  TEXT,             -- A sentence that names nobody.
    candidates       TEXT,             -- Personal. JSON list of the records that a person should look at, compared.

    received_at      TEXT    NOT NULL, -- When we first saw it.
    answered_at      TEXT,             -- When the partner had our answer.
    state_since      TEXT    NOT NULL,
    not_before       TEXT    NOT NULL, -- When to look at it next.
    finished_at      TEXT,             -- When nothing was left to do for it; NULL until then.
    revision         INTEGER NOT NULL, -- Rises with every event; two writers notice each other by it.
    UNIQUE (practice, partner, booking)
) STRICT;

CREATE INDEX booking_unfinished ON booking (practice, booked_at) WHERE finished_at IS NULL;
CREATE INDEX booking_answered   ON booking (practice, answered_at) WHERE answered_at IS NOT NULL;
CREATE INDEX booking_counted    ON booking (practice, state, tell_patient, by_hand);
CREATE INDEX booking_remembered ON booking (finished_at) WHERE people_forgotten = 0;

-- The history of each booking, for people.
CREATE TABLE booking_event (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    booking_id INTEGER NOT NULL REFERENCES booking (id) ON DELETE CASCADE,
    at         TEXT    NOT NULL,
    kind       TEXT    NOT NULL, -- The event's name, or received, decision, remark.
    sentence   TEXT    NOT NULL  -- Names nobody.
) STRICT;

CREATE INDEX booking_event_of ON booking_event (booking_id);

-- Digests of what a partner last accepted. A thing without a mark is sent again.
CREATE TABLE mark (
    practice TEXT NOT NULL,
    thing    TEXT NOT NULL, -- availability/2026-11-20/7, resources
    digest   TEXT NOT NULL,
    at       TEXT NOT NULL, -- When it was accepted.
    PRIMARY KEY (practice, thing)
) STRICT, WITHOUT ROWID;

-- How each leg of a practice went the last time.
CREATE TABLE leg_note (
    practice         TEXT NOT NULL,
    leg              TEXT NOT NULL, -- system, desk, board
    proven_at        TEXT,          -- When it was last proven to work, by a round trip.
    failing_since    TEXT,
    problem_kind     TEXT,          -- unreachable, credentials, consent, misfit, shrink, refused, other
    problem_sentence TEXT,          -- What is wrong and what to do. Names nobody.
    PRIMARY KEY (practice, leg)
) STRICT, WITHOUT ROWID;

-- What people asked the engine to do, from whichever process.
CREATE TABLE wish (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    practice   TEXT NOT NULL,
    kind       TEXT NOT NULL, -- resync_configuration, resync_availability, accept_shrink
    detail     TEXT NOT NULL, -- accept_shrink: the list's name; otherwise empty.
    wished_at  TEXT NOT NULL,
    granted_at TEXT           -- NULL while it waits.
) STRICT;

CREATE INDEX wish_open ON wish (id) WHERE granted_at IS NULL;

-- What happened, in lines for people. Names nobody.
CREATE TABLE activity (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    practice TEXT NOT NULL,
    at       TEXT NOT NULL,
    began_at TEXT,          -- For what lasted: when it began.
    kind     TEXT NOT NULL, -- outage, recovered, wake, resync, …
    text     TEXT NOT NULL
) STRICT;

CREATE INDEX activity_of ON activity (practice, at);
