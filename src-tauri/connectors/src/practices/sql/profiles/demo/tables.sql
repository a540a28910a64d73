-- The demo clinic's own book. Days are YYYY-MM-DD, times are minutes after midnight, all on the clinic's wall clock.

CREATE TABLE clinic (name TEXT NOT NULL, version TEXT NOT NULL, slot_minutes INTEGER NOT NULL);

CREATE TABLE location (id INTEGER PRIMARY KEY, name TEXT NOT NULL);

CREATE TABLE practitioner (
  id INTEGER PRIMARY KEY,
  title TEXT,
  first_name TEXT NOT NULL,
  last_name TEXT NOT NULL,
  specialty TEXT NOT NULL,
  location_id INTEGER NOT NULL REFERENCES location (id),
  bookable INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE appointment_type (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  minutes INTEGER NOT NULL,
  position INTEGER NOT NULL,
  offered INTEGER NOT NULL DEFAULT 1
);

-- weekday: 0 is Sunday.
CREATE TABLE weekly_hours (
  id INTEGER PRIMARY KEY,
  practitioner_id INTEGER NOT NULL REFERENCES practitioner (id),
  weekday INTEGER NOT NULL,
  start_minute INTEGER NOT NULL,
  end_minute INTEGER NOT NULL,
  only_type_id INTEGER REFERENCES appointment_type (id)
);

CREATE TABLE weekly_break (
  id INTEGER PRIMARY KEY,
  practitioner_id INTEGER NOT NULL REFERENCES practitioner (id),
  weekday INTEGER NOT NULL,
  start_minute INTEGER NOT NULL,
  end_minute INTEGER NOT NULL
);

-- Without a practitioner the whole clinic is closed.
CREATE TABLE absence (
  id INTEGER PRIMARY KEY,
  practitioner_id INTEGER REFERENCES practitioner (id),
  first_day TEXT NOT NULL,
  last_day TEXT NOT NULL,
  reason TEXT NOT NULL
);

CREATE TABLE patient (
  id INTEGER PRIMARY KEY,
  first_name TEXT NOT NULL,
  last_name TEXT NOT NULL,
  birth_date TEXT,
  gender TEXT NOT NULL DEFAULT '',
  mobile TEXT NOT NULL DEFAULT '',
  phone TEXT NOT NULL DEFAULT '',
  email TEXT NOT NULL DEFAULT '',
  street TEXT NOT NULL DEFAULT '',
  suburb TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT '',
  postcode TEXT NOT NULL DEFAULT '',
  medicare_number TEXT NOT NULL DEFAULT '',
  medicare_irn TEXT NOT NULL DEFAULT '',
  medicare_expiry TEXT NOT NULL DEFAULT '',
  deceased INTEGER NOT NULL DEFAULT 0,
  -- Put away: the patient does not come any more.
  inactive INTEGER NOT NULL DEFAULT 0,
  -- The record that staff go on with, where two were one person's.
  merged_into INTEGER REFERENCES patient (id),
  remark TEXT NOT NULL DEFAULT '',
  created_at TEXT
);
CREATE INDEX patient_by_birth_date ON patient (birth_date);

CREATE TABLE appointment (
  id INTEGER PRIMARY KEY,
  practitioner_id INTEGER NOT NULL REFERENCES practitioner (id),
  patient_id INTEGER REFERENCES patient (id),
  type_id INTEGER REFERENCES appointment_type (id),
  title TEXT NOT NULL DEFAULT '',
  day TEXT NOT NULL,
  start_minute INTEGER NOT NULL,
  minutes INTEGER NOT NULL,
  status TEXT NOT NULL DEFAULT 'booked',
  note TEXT NOT NULL DEFAULT '',
  changed_at TEXT,
  created_at TEXT
);
CREATE INDEX appointment_by_day ON appointment (day);

CREATE TABLE invoice (
  id INTEGER PRIMARY KEY,
  patient_id INTEGER NOT NULL REFERENCES patient (id),
  number TEXT NOT NULL,
  day TEXT NOT NULL,
  total_in_cents INTEGER NOT NULL
);
