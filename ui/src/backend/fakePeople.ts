// Made-up patients for the fake backend: one for each way in which a profile can stand.
import type {
  ConsentInput,
  FormerNamesView,
  JoinCandidateView,
  JoinChoice,
  JoinedView,
  JoinOtherView,
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
  /** VALD has a profile, though the patient is not linked any more. */
  hasPage?: boolean;
  /** The numbers of lines about what left that were changed. */
  unreadable?: number[];
}

const PEOPLE: Person[] = [
  { id: "5521", given: "Sam", family: "Nguyen", born: "1984-11-09", state: "linked" },
  { id: "1207", given: "Thị Lan", family: "Nguyễn", born: "1970-02-02", state: "onItsWay" },
  { id: "9001", given: "Alice", family: "Nagangu", born: "2012-06-30", state: "notAsked", minor: true },
  { id: "77", given: "Priya", family: "Raman", born: "1991-06-17", state: "linked", unreadable: [31, 30] },
  {
    id: "78",
    given: "Jo",
    family: "O’Brien",
    born: null,
    state: "needsPerson",
    reason: "The record has no birth date.",
    minor: true,
    hasPage: true,
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
  readonly #joins: boolean;
  /** Who is linked with a membership, by what it is called there. */
  readonly #joined = new Map([["77", "pat-77"]]);
  readonly #notMeant = new Set<string>();
  #undecidedStaff = true;
  readonly #agreed = new Set(["5521"]);
  readonly #refused = new Set<string>();
  readonly #registered = new Map<string, number>();
  readonly #practitioners: PractitionerView[];

  constructor(practice: PracticeView) {
    this.#practiceId = practice.id;
    this.#hasVald = practice.vald !== null;
    this.#hasDevices = practice.accounts.some((each) => each.partner === "validic");
    this.#joins = practice.accounts.some((each) => each.partner === "hint");
    if (this.#joins) for (const id of ["77", "78", "1207"]) this.#agreed.add(id);
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
            canOpen: this.#canOpen(person),
            canLink: person.state === "onItsWay",
          }
        : null,
    };
  }

  #canOpen(person: Person): boolean {
    return person.state === "linked" || (person.hasPage === true && person.state === "needsPerson");
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
      joined: this.#joins ? [this.#joinedView(id)] : [],
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
            ...(person.unreadable ?? []).map((number) => ({
              number,
              at: null,
              partner: "",
              what: "unreadable",
              fields: [],
              consent: null,
              by: null,
            })),
          ]
        : [],
      visits: [this.#visit(person, "10:30")],
    };
  }

  /** Who has an appointment at that time of any day: one who is linked. */
  visits(starts: string): VisitView[] {
    return this.#people.slice(0, 1).map((each) => this.#visit(each, starts));
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
      canOpen: this.#canOpen(person),
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

  #joinedView(id: string): JoinedView {
    const linked = this.#joined.has(id);
    const left = this.candidates(id).filter((each) => !each.linked);
    const undecided = this.#agreed.has(id) && !linked && left.length > 0;
    const taken = left.some((each) => each.taken);
    return {
      partner: "hint",
      title: "Hint",
      allowed: this.#agreed.has(id),
      withdrawn: this.#refused.has(id),
      linked,
      undecided,
      since: RECORDED_AT,
      reason: taken
        ? "The record there is linked to something else of ours already, and is left as it is."
        : undecided
          ? "It is likely the same person, but not all of it agrees: same birth date; surname not the same."
          : null,
    };
  }

  /** Whom a patient could be at Hint: one is likely, another is linked to something else. */
  candidates(id: string): JoinCandidateView[] {
    const person = this.#people.find((each) => each.id === id);
    if (!person || !this.#agreed.has(id)) return [];
    const recordId = `pat-${id}`;
    if (this.#notMeant.has(recordId)) return [];
    const [here, taken] = [`${person.given} ${person.family}`, id === "1207"];
    const linked = this.#joined.get(id) === recordId;
    return [
      {
        recordId,
        fields: [
          {
            field: "name",
            onBooking: here,
            inBook: linked ? here : `${here}-Holt`,
            verdict: linked ? "same" : "differs",
          },
          {
            field: "birthDate",
            onBooking: person.born,
            inBook: person.born,
            verdict: person.born === null ? "missing" : "same",
          },
          { field: "phone", onBooking: "0491 570 156", inBook: null, verdict: "missing" },
        ],
        explained: linked ? "same name and birth date" : "same birth date; surname not the same",
        linkedAs: taken ? "old-clinic-31" : linked ? `richmond-${id}` : null,
        taken,
        linked,
        archived: false,
      },
    ];
  }

  others(): JoinOtherView[] {
    const name = (text: string) => ({ name: text, date: null, totalInCents: null });
    const lee = { recordId: "pct-1", knownAs: name("Mei Lee"), linkedAs: null, taken: false, linked: false };
    const reason = "Names alone are not enough: say which practitioner at Hint this is.";
    const invoice = { name: "1001", date: "2026-11-02", totalInCents: 9500 };
    return [
      {
        kind: "practitioner",
        localId: "12",
        knownAs: name("Dr Mei Lee"),
        linked: !this.#undecidedStaff,
        reason: this.#undecidedStaff ? reason : null,
        candidates: [
          { ...lee, linked: !this.#undecidedStaff },
          { ...lee, recordId: "pct-2", knownAs: name("Robin Examplar"), taken: true, linkedAs: "richmond-9" },
        ],
      },
      {
        kind: "invoice",
        localId: "4",
        knownAs: invoice,
        linked: false,
        reason: "Day and amount agree, and something else does not: say which invoice it is.",
        candidates: [{ ...lee, recordId: "inv-1", knownAs: { ...invoice, name: "H-77" } }],
      },
    ];
  }

  decide(choice: JoinChoice) {
    if (choice.kind === "practitioner") this.#undecidedStaff = !choice.same;
    if (choice.kind !== "patient") return;
    if (choice.same) this.#joined.set(choice.localId, choice.recordId);
    else {
      this.#joined.delete(choice.localId);
      this.#notMeant.add(choice.recordId);
    }
  }

  /** What a former program left. */
  former(): FormerNamesView {
    const row = { left: "5521", field: "external_link_id", there: "Sam Nguyen" };
    return {
      fitting: 2,
      withoutConsent: 1,
      doubtful: 1,
      unknown: 1,
      ambiguous: 0,
      replaced: 4,
      rows: [
        { ...row, fit: "fits", here: "Sam Nguyen" },
        { ...row, fit: "doubtful", there: "Casey Examplar", left: "77", here: "Priya Raman" },
        { ...row, fit: "unknown", there: "Robin Examplar", left: "old-9", here: null },
      ],
    };
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
