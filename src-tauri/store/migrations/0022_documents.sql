-- Documents that patients fill in for the practice to file.

-- The folders through which documents come and go, where the clinic names its own. Whole paths.
ALTER TABLE practice ADD COLUMN system_documents_in TEXT;
ALTER TABLE practice ADD COLUMN system_documents_out TEXT;

-- What was offered, and how far it is.
CREATE TABLE document (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    practice    TEXT    NOT NULL, -- Documents outlive the link of their practice, so this refers to no table.
    partner     TEXT    NOT NULL,
    document    TEXT    NOT NULL, -- As the partner calls it.

    -- What was announced.
    booking     TEXT,             -- As the partner calls it; NULL where it belongs to none.
    patient     TEXT,             -- In the practice system's words.
    appointment TEXT,             -- In the practice system's words.
    kind        TEXT    NOT NULL, -- Personal. NEW PATIENT FORM, REFERRAL, …
    name        TEXT    NOT NULL, -- Personal.
    format      TEXT    NOT NULL, -- MIME type.
    size        INTEGER,          -- Bytes.
    sha1        TEXT,             -- Of the content, in hexadecimal digits.
    made_at     TEXT,

    -- How far it is.
    state       TEXT    NOT NULL, -- received, filing, kept, filed, refused, told, rejected, dropped
    ticket      TEXT,             -- Personal. filing: where it is being put.
    filed_as    TEXT,             -- filed: as the practice system calls it, where that is known.
    refusal     TEXT,             -- refused, rejected: wrong_hash, …
    content     BLOB,             -- Personal. What has no folder.

    received_at TEXT    NOT NULL,
    not_before  TEXT    NOT NULL, -- When to look at it next.
    finished_at TEXT,             -- When nothing was left to do for it; NULL until then.
    forgotten   INTEGER NOT NULL DEFAULT 0 CHECK (forgotten IN (0, 1)),
    UNIQUE (practice, partner, document)
) STRICT;

CREATE INDEX document_unfinished ON document (practice, id) WHERE finished_at IS NULL;
CREATE INDEX document_of_booking ON document (practice, booking) WHERE forgotten = 0;
CREATE INDEX booking_of_patient  ON booking (practice, patient) WHERE patient IS NOT NULL;
