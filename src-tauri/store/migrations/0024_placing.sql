-- Where somebody at the desk put a booking that could not be put where it was asked for; NULL where nobody had to.
ALTER TABLE booking ADD COLUMN placed_resource TEXT;
ALTER TABLE booking ADD COLUMN placed_starts   TEXT;    -- The practice's wall clock, as in starts.
ALTER TABLE booking ADD COLUMN placed_type     TEXT;
ALTER TABLE booking ADD COLUMN placed_beside   INTEGER CHECK (placed_beside IN (0, 1)); -- Beside something else.
-- Whether the patient has to hear of that place, because the partner tells them another one.
ALTER TABLE booking ADD COLUMN tell_place INTEGER NOT NULL DEFAULT 0 CHECK (tell_place IN (0, 1));
