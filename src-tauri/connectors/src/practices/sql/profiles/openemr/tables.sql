-- For tests: the tables and columns of OpenEMR 7.0.3 that the profile touches, with their names, types, defaults and
-- indexes. A real installation has more of each.
SET SESSION sql_mode = '';

CREATE TABLE version (
  v_major INT NOT NULL DEFAULT 0, v_minor INT NOT NULL DEFAULT 0, v_patch INT NOT NULL DEFAULT 0,
  v_realpatch INT NOT NULL DEFAULT 0, v_tag VARCHAR(31) NOT NULL DEFAULT '', v_database INT NOT NULL DEFAULT 0
) ENGINE = InnoDB;
INSERT INTO version (v_major, v_minor, v_patch, v_realpatch, v_database) VALUES (7, 0, 3, 3, 506);

CREATE TABLE globals (
  gl_name VARCHAR(63) NOT NULL, gl_index INT NOT NULL DEFAULT 0, gl_value VARCHAR(255) NOT NULL DEFAULT '',
  PRIMARY KEY (gl_name, gl_index)
) ENGINE = InnoDB;

CREATE TABLE categories (
  id INT NOT NULL DEFAULT 0 PRIMARY KEY, name VARCHAR(255), parent INT NOT NULL DEFAULT 0,
  lft INT NOT NULL DEFAULT 0, rght INT NOT NULL DEFAULT 0
) ENGINE = InnoDB;
INSERT INTO categories (id, name, parent) VALUES (1, 'Categories', 0), (2, 'Lab Report', 1), (3, 'Medical Record', 1);

CREATE TABLE documents (
  id INT NOT NULL DEFAULT 0 PRIMARY KEY, foreign_id BIGINT, name VARCHAR(255), mimetype VARCHAR(255), url VARCHAR(255),
  hash VARCHAR(255), docdate DATE, deleted TINYINT(1) NOT NULL DEFAULT 0, KEY foreign_id (foreign_id)
) ENGINE = InnoDB;

CREATE TABLE facility (
  id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255), service_location TINYINT(1) NOT NULL DEFAULT 1,
  inactive TINYINT(1) NOT NULL DEFAULT 0
) ENGINE = InnoDB;

CREATE TABLE users (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, username VARCHAR(255), authorized TINYINT, fname VARCHAR(255),
  lname VARCHAR(255), title VARCHAR(30), specialty VARCHAR(255), facility_id INT NOT NULL DEFAULT 0,
  active TINYINT(1) NOT NULL DEFAULT 1, calendar TINYINT(1) NOT NULL DEFAULT 0,
  last_updated DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
) ENGINE = InnoDB;

CREATE TABLE users_facility (
  tablename VARCHAR(64) NOT NULL, table_id INT NOT NULL, facility_id INT NOT NULL,
  warehouse_id VARCHAR(31) NOT NULL DEFAULT '', PRIMARY KEY (tablename, table_id, facility_id, warehouse_id)
) ENGINE = InnoDB;

CREATE TABLE openemr_postcalendar_categories (
  pc_catid INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, pc_catname VARCHAR(100),
  pc_duration BIGINT NOT NULL DEFAULT 0, pc_cattype INT NOT NULL, pc_active TINYINT(1) NOT NULL DEFAULT 1,
  pc_seq INT NOT NULL DEFAULT 0
) ENGINE = InnoDB;

CREATE TABLE openemr_postcalendar_events (
  pc_eid INT UNSIGNED NOT NULL AUTO_INCREMENT,
  pc_catid INT NOT NULL DEFAULT 0,
  pc_multiple INT UNSIGNED NOT NULL,
  pc_aid VARCHAR(30),
  pc_pid VARCHAR(11),
  pc_gid INT DEFAULT 0,
  pc_title VARCHAR(150),
  pc_time DATETIME,
  pc_hometext TEXT,
  pc_informant VARCHAR(20),
  pc_eventDate DATE NOT NULL DEFAULT '0000-00-00',
  pc_endDate DATE NOT NULL DEFAULT '0000-00-00',
  pc_duration BIGINT NOT NULL DEFAULT 0,
  pc_recurrtype INT NOT NULL DEFAULT 0,
  pc_recurrspec TEXT,
  pc_startTime TIME,
  pc_endTime TIME,
  pc_alldayevent INT NOT NULL DEFAULT 0,
  pc_location TEXT,
  pc_eventstatus INT NOT NULL DEFAULT 0,
  pc_sharing INT NOT NULL DEFAULT 0,
  pc_apptstatus VARCHAR(15) NOT NULL DEFAULT '-',
  pc_prefcatid INT NOT NULL DEFAULT 0,
  pc_facility INT NOT NULL DEFAULT 0,
  pc_billing_location SMALLINT NOT NULL DEFAULT 0,
  pc_room VARCHAR(20) NOT NULL DEFAULT '',
  uuid BINARY(16),
  PRIMARY KEY (pc_eid),
  KEY basic_event (pc_catid, pc_aid, pc_eventDate, pc_endDate, pc_eventstatus, pc_sharing),
  KEY pc_eventDate (pc_eventDate),
  UNIQUE KEY uuid (uuid)
) ENGINE = InnoDB;

CREATE TABLE patient_data (
  id BIGINT NOT NULL AUTO_INCREMENT,
  uuid BINARY(16),
  fname VARCHAR(255) NOT NULL DEFAULT '',
  lname VARCHAR(255) NOT NULL DEFAULT '',
  DOB DATE,
  street VARCHAR(255) NOT NULL DEFAULT '',
  postal_code VARCHAR(255) NOT NULL DEFAULT '',
  city VARCHAR(255) NOT NULL DEFAULT '',
  state VARCHAR(255) NOT NULL DEFAULT '',
  country_code VARCHAR(255) NOT NULL DEFAULT '',
  phone_home VARCHAR(255) NOT NULL DEFAULT '',
  phone_biz VARCHAR(255) NOT NULL DEFAULT '',
  phone_cell VARCHAR(255) NOT NULL DEFAULT '',
  `date` DATETIME,
  sex VARCHAR(255) NOT NULL DEFAULT '',
  providerID INT,
  email VARCHAR(255) NOT NULL DEFAULT '',
  pubpid VARCHAR(255) NOT NULL DEFAULT '',
  pid BIGINT NOT NULL DEFAULT 0,
  hipaa_mail VARCHAR(3) NOT NULL DEFAULT '',
  hipaa_voice VARCHAR(3) NOT NULL DEFAULT '',
  hipaa_notice VARCHAR(3) NOT NULL DEFAULT '',
  hipaa_allowsms VARCHAR(3) NOT NULL DEFAULT 'NO',
  hipaa_allowemail VARCHAR(3) NOT NULL DEFAULT 'NO',
  usertext1 VARCHAR(255) NOT NULL DEFAULT '',
  usertext2 VARCHAR(255) NOT NULL DEFAULT '',
  regdate DATETIME,
  deceased_date DATETIME,
  created_by BIGINT,
  updated_by BIGINT,
  last_updated DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  UNIQUE KEY pid (pid),
  UNIQUE KEY uuid (uuid),
  KEY id (id)
) ENGINE = InnoDB;

CREATE TABLE pnotes (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, `date` DATETIME, body LONGTEXT, pid BIGINT, user VARCHAR(255),
  groupname VARCHAR(255), activity TINYINT, authorized TINYINT, title VARCHAR(255), assigned_to VARCHAR(255),
  message_status VARCHAR(20) NOT NULL DEFAULT 'New', update_by BIGINT, update_date DATETIME, KEY pid (pid)
) ENGINE = InnoDB;

CREATE TABLE uuid_registry (
  uuid BINARY(16) NOT NULL PRIMARY KEY, table_name VARCHAR(255) NOT NULL DEFAULT '', created TIMESTAMP NULL
) ENGINE = InnoDB;
