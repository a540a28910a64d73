-- Credentials of practice systems that were sent to us and wait for somebody at the desk. Their secrets are secrets.
CREATE TABLE registration (
    id          TEXT    NOT NULL PRIMARY KEY, -- A digest of the credentials.
    received_at TEXT    NOT NULL,
    host        TEXT    NOT NULL,
    provet_id   INTEGER NOT NULL,
    client_id   TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
