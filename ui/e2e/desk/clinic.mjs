// The made-up clinic: its simulator of Healthengine, and its book.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { until } from "./until.mjs";

const PRACTICE = "demo";
/** Python has SQLite on every desk; the statement and its values come as arguments. */
const ASK_SQLITE = `
import json, sqlite3, sys
book = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True, timeout=5)
book.row_factory = sqlite3.Row
print(json.dumps([dict(row) for row in book.execute(sys.argv[2], json.loads(sys.argv[3]))]))
`;

const TELL_SQLITE = `
import json, sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=5) as book:
    book.execute(sys.argv[2], json.loads(sys.argv[3]))
`;

/** Practitioner, day and minute of an offered time. */
function placeOf({ resourceId, start }) {
  const [day, time] = start.split("T");
  const [hours, minutes] = time.split(":").map(Number);
  return [Number(resourceId), day, hours * 60 + minutes];
}

/** A made-up clinic's book in this folder. */
export class Book {
  constructor(folder, name = "clinic.sqlite") {
    this.path = join(folder, name);
  }

  async rows(statement, ...values) {
    const words = ["-c", ASK_SQLITE, this.path, statement, JSON.stringify(values)];
    return JSON.parse((await promisify(execFile)("python3", words)).stdout);
  }

  /** The appointments that stand at a practitioner's time. */
  async at(time) {
    return (await this.everAt(time)).filter((each) => each.status !== "cancelled");
  }

  /** The same with those that were cancelled, of which the made-up book has some from the beginning. */
  everAt(time) {
    return this.rows(
      `SELECT a.*, p.first_name, p.last_name, p.birth_date FROM appointment a LEFT JOIN patient p ON p.id = a.patient_id
        WHERE a.practitioner_id = ? AND a.day = ? AND a.start_minute = ?`,
      ...placeOf(time),
    );
  }

  /** Somebody at the desk gives that time to a patient of the clinic. */
  async take(time) {
    const statement = `INSERT INTO appointment (practitioner_id, day, start_minute, minutes, patient_id, type_id, title)
        SELECT ?, ?, ?, 30, (SELECT min(id) FROM patient), min(id), 'Walk-in' FROM appointment_type`;
    const words = ["-c", TELL_SQLITE, this.path, statement, JSON.stringify(placeOf(time))];
    await promisify(execFile)("python3", words);
  }
}

/** "Act as a patient". */
export class PatientPage {
  #address;

  /** The page of the demo that runs in this folder, once its simulator listens. */
  static async of(folder, seconds = 30) {
    const page = new PatientPage();
    await until("the simulator listens", seconds, async () => {
      try {
        const port = (await readFile(join(folder, "healthengine.port"), "utf8")).trim();
        page.#address = `http://127.0.0.1:${port}`;
        return port && (await page.state());
      } catch {
        return false;
      }
    });
    return page;
  }

  get address() {
    return this.#address;
  }

  async #call(path, body) {
    const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const response = await fetch(this.#address + path, {
      ...request,
      headers: { "content-type": "application/json" },
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${path}: ${answer.error}`);
    return answer;
  }

  /** What the simulator knows of the practice. */
  async state(days = 14) {
    const { apiUrl, practices } = await this.#call(`/sim/state?days=${days}`);
    return { apiUrl, ...practices.find((each) => each.practiceId === PRACTICE) };
  }

  /** A time that is offered, tomorrow or later, as `{ resourceId, start, appointmentTypeId }`; `skip` leaves earlier ones out. */
  async freeTime(seconds = 30, skip = 0) {
    return until("a time is offered", seconds, async () => {
      const { resources, localNow } = await this.state();
      const times = resources.flatMap(({ id, days }) =>
        days
          .filter(({ date }) => date > localNow.slice(0, 10))
          .flatMap(({ times }) =>
            times.map(({ start, appointmentTypeIds }) => ({
              resourceId: id,
              start,
              appointmentTypeId: appointmentTypeIds?.[0],
            })),
          ),
      );
      return times[skip];
    });
  }

  async book(time, patient) {
    return (await this.#call("/sim/book", { practiceId: PRACTICE, ...time, patient })).bookingId;
  }

  cancel(bookingId) {
    return this.#call("/sim/cancel", { practiceId: PRACTICE, bookingId });
  }

  fault(rule) {
    return this.#call("/sim/faults", { add: rule });
  }

  heal() {
    return this.#call("/sim/faults", { clear: null });
  }

  /** The practice's consent, as Practice Admin would have it: "granted", "revoked" or "neverGranted". */
  consent(is) {
    return this.#call("/sim/faults", { consent: { practiceId: PRACTICE, is } });
  }

  async booking(bookingId) {
    return (await this.state(1)).bookings.find((each) => each.bookingId === bookingId);
  }

  /** The booking, once the simulator says this of it. */
  async whenBooking(bookingId, what, seconds, holds) {
    let last;
    try {
      return await until(what, seconds, async () => {
        last = await this.booking(bookingId);
        return holds(last) && last;
      });
    } catch (error) {
      throw new Error(`${error.message}; the booking is ${JSON.stringify(last)}`, { cause: error });
    }
  }

  confirmed(bookingId, seconds = 20) {
    return this.whenBooking(bookingId, "the booking is confirmed", seconds, (each) => each?.confirmedAt);
  }
}
