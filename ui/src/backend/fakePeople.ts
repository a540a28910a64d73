// Made-up patients for the fake backend: one for each way in which a profile can stand.
import type {
  ConsentInput,
  LinkView,
  PatientCardView,
  PatientView,
  PracticeView,
  PractitionerView,
  TodayView,
  ValdPatientState,
  VisitView,
} from "./index";

interface Person {
  id: string;
  given: string;
  family: string;
  born: string | null;
  state: ValdPatientState;
  reason?: string;
  minor?: boolean;
}

const PEOPLE: Person[] = [
  { id: "5521", given: "Sam", family: "Nguyen", born: "1984-11-09", state: "linked" },
  { id: "1207", given: "Thị Lan", family: "Nguyễn", born: "1970-02-02", state: "onItsWay" },
  { id: "9001", given: "Alice", family: "Nagangu", born: "2012-06-30", state: "notAsked", minor: true },
  { id: "77", given: "Priya", family: "Raman", born: "1991-06-17", state: "linked" },
  {
    id: "78",
    given: "Jo",
    family: "O’Brien",
    born: null,
    state: "needsPerson",
    reason: "The record has no birth date.",
    minor: true,
  },
  {
    id: "79",
    given: "Zoë",
    family: "Wärn",
    born: "1980-12-03",
    state: "refused",
    reason:
      "VALD refuses the profile. GivenName: must not be empty. Correct the record; it is sent again by itself.",
  },
  { id: "80", given: "יעל", family: "כהן", born: "1975-05-05", state: "notAsked" },
  {
    id: "81",
    given: "Bartholomew Maximilian",
    family: "Featherstonehaugh-Cholmondeley",
    born: "1949-01-31",
    state: "withdrawn",
  },
];

const RECORDED_AT = "2026-11-18T02:10:00.000Z";
const LINKS: Record<ValdPatientState, string> = {
  notAsked: "pending",
  withdrawn: "ended",
  onItsWay: "pending",
  linked: "linked",
  needsPerson: "needs_person",
  refused: "failed",
  ended: "ended",
};

/** What the fake backend knows of patients. */
export class FakePeople {
  #people = PEOPLE.map((each) => ({ ...each }));
  readonly #practiceId: string;
  readonly #hasVald: boolean;
  readonly #hasDevices: boolean;
  readonly #agreed = new Set(["5521"]);
  readonly #refused = new Set<string>();
  readonly #registered = new Map<string, number>();
  readonly #practitioners: PractitionerView[];

  constructor(practice: PracticeView) {
    this.#practiceId = practice.id;
    this.#hasVald = practice.vald !== null;
    this.#hasDevices = practice.accounts.some((each) => each.partner === "validic");
    this.#practitioners = practice.practitioners.slice(0, 2);
  }

  #view(person: Person): PatientView {
    return {
      practiceId: this.#practiceId,
      patientId: person.id,
      givenName: person.given,
      familyName: person.family,
      birthDate: person.born,
      number: person.id,
      inactive: false,
      minor: person.minor ?? false,
      vald: this.#hasVald
        ? {
            state: person.state,
            reason: person.reason ?? null,
            canOpen: person.state === "linked",
            canLink: person.state === "onItsWay",
          }
        : null,
    };
  }

  find(text: string): { hits: PatientView[]; patients: number } {
    const bare = (word: string) => word.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    const fits = (person: Person) =>
      bare(text)
        .split(/\s+/)
        .every((word) =>
          `${bare(person.given)} ${bare(person.family)} ${person.id}`
            .split(/[ -]/)
            .some((each) => each.startsWith(word)),
        );
    const hits = this.#people.filter(fits).map((each) => this.#view(each));
    return { hits, patients: 14_310 };
  }

  patient(id: string): PatientView | undefined {
    const person = this.#people.find((each) => each.id === id);
    return person && this.#view(person);
  }

  #visit(person: Person, starts: string): VisitView {
    return {
      appointmentId: `a${person.id}`,
      day: "2026-11-20",
      starts,
      length: 30,
      resource: this.#practitioners[0]?.name ?? "Dr Mei Lee",
      appointmentType: "Standard consultation",
      patient: this.#view(person),
    };
  }

  card(id: string): PatientCardView | undefined {
    const person = this.#people.find((each) => each.id === id);
    if (!person) return undefined;
    const agreed = person.state !== "notAsked";
    const at = RECORDED_AT;
    return {
      patient: this.#view(person),
      devices: this.#hasDevices
        ? [
            {
              partner: "validic",
              title: "Validic",
              allowed: this.#agreed.has(id),
              withdrawn: this.#refused.has(id),
              registered: this.#registered.has(id),
              reason: null,
              devices: this.#registered.has(id) ? ["withings"] : [],
            },
          ]
        : [],
      links: agreed ? [this.#link(person)] : [],
      consents: agreed
        ? [
            {
              number: 12,
              partner: "vald",
              given: person.state !== "withdrawn",
              guardian: null,
              photoAndVideo: false,
              how: "atDesk",
              recordedBy: "Kim",
              wording: "2026-1",
              at,
            },
          ]
        : [],
      left: agreed
        ? [
            {
              number: 31,
              at,
              partner: "vald",
              what: "sent",
              fields: ["tenantId", "syncId", "givenName", "familyName", "dateOfBirth", "sex"],
              consent: 12,
              by: null,
            },
          ]
        : [],
      visits: [this.#visit(person, "10:30")],
    };
  }

  /** Those of one state, or those that wait for somebody. */
  links(state: string | null): LinkView[] {
    return this.#people
      .map((each) => this.#link(each))
      .filter((link) =>
        state === null ? ["needs_person", "failed"].includes(link.state) : link.state === state,
      );
  }

  #link(person: Person): LinkView {
    return {
      patientId: person.id,
      patientName: `${person.given} ${person.family}`,
      partner: "vald",
      state: LINKS[person.state],
      partnerId: person.state === "linked" ? "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee" : null,
      since: RECORDED_AT,
      reason: person.reason ?? null,
      acceptedAt: person.state === "linked" ? RECORDED_AT : null,
    };
  }

  today(readAt: string | null): TodayView {
    const half = Math.ceil(this.#people.length / 2);
    const visits = (some: Person[]) =>
      some.map((each, index) => this.#visit(each, `${String(9 + index).padStart(2, "0")}:00`));
    const count = (state: ValdPatientState) => this.#people.filter((each) => each.state === state).length;
    return {
      practiceId: this.#practiceId,
      day: "2026-11-20",
      readAt,
      practitioners: this.#practitioners.map((each, index) => ({
        resourceId: each.id,
        name: each.name,
        visits: visits(this.#people.slice(index * half, (index + 1) * half)),
      })),
      patients: this.#people.length,
      linked: this.#hasVald ? count("linked") : 0,
      canLink: this.#hasVald ? count("onItsWay") : 0,
      hasVald: this.#hasVald,
    };
  }

  #become(id: string, state: ValdPatientState, reason?: string): boolean {
    const person = this.#people.find((each) => each.id === id);
    if (!person) return false;
    person.state = state;
    delete person.reason;
    if (reason !== undefined) person.reason = reason;
    return true;
  }

  /** The patient's token at the page, a new one where that is wanted. */
  connectDevice(id: string, anew: boolean): string | undefined {
    if (!this.#people.some((each) => each.id === id)) return undefined;
    const number = (this.#registered.get(id) ?? 1) + Number(anew);
    this.#registered.set(id, number);
    return `made-up-${number}`;
  }

  give(id: string, partner: string, consent: ConsentInput): "ok" | "unknown" | "guardian" {
    const person = this.#people.find((each) => each.id === id);
    if (!person) return "unknown";
    if (person.minor && consent.guardian === null) return "guardian";
    if (partner !== "vald") {
      this.#refused.delete(id);
      this.#agreed.add(id);
      return "ok";
    }
    this.#become(id, "onItsWay");
    return "ok";
  }

  withdraw(id: string, partner: string): boolean {
    if (partner !== "vald") {
      this.#refused.add(id);
      this.#registered.delete(id);
      return this.#agreed.delete(id);
    }
    const wasThere = this.#people.some((each) => each.id === id && each.state === "linked");
    return this.#become(
      id,
      "withdrawn",
      wasThere
        ? "Consent was withdrawn. Nothing more is sent; remove the profile in VALD Hub by hand if it must not stay there."
        : undefined,
    );
  }

  link(ids: string[]): number {
    return ids.filter((id) => this.#become(id, "linked")).length;
  }
}
