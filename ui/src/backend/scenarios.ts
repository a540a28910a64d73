// The canned views. Everybody here is made up.
import type {
  AccountView,
  AppView,
  BookingHistory,
  BookingView,
  CandidateView,
  ComparedField,
  DocumentPlace,
  DocumentView,
  CorrectionView,
  FieldView,
  FreeTimesView,
  FreeTimeView,
  HalfHourView,
  HistoryEntry,
  ListenerInput,
  ListenerView,
  LiveHours,
  NeedView,
  PartnerCardView,
  PracticeView,
  PractitionerView,
  ProfileView,
  ValdView,
  WebhooksView,
} from "./index";

export interface Scenario {
  view: AppView;
  finished: BookingView[];
  /** The program cannot be asked. */
  failing?: boolean;
  /** The program never answers. */
  loading?: boolean;
  /** Lists and files fail. */
  failingLists?: boolean;
  /** Who is in the book is not known yet. */
  readingPeople?: boolean;
  /** The time that is chosen has been taken a moment ago. */
  takenMeanwhile?: boolean;
  /** "Done" does not find the appointment. */
  notInBook?: boolean;
}

const ZONE = "Australia/Melbourne";
/** Friday 20 November 2026, 8:52:12 am in Melbourne. */
export const NOW = "2026-11-19T21:52:12.000Z";

function before(seconds: number): string {
  return new Date(Date.parse(NOW) - seconds * 1000).toISOString();
}
function after(seconds: number): string {
  return before(-seconds);
}

const WEEK = [{ start: "07:30", end: "18:30" }];
const HOURS: LiveHours = {
  monday: WEEK,
  tuesday: WEEK,
  wednesday: WEEK,
  thursday: WEEK,
  friday: WEEK,
  saturday: [{ start: "08:30", end: "12:30" }],
  sunday: [],
  publicHolidays: [],
};

const PROFILES: ProfileView[] = [
  {
    id: "openemr",
    name: "OpenEMR",
    engine: "mysql",
    makesOwnFile: false,
    canWrite: true,
    takesDocuments: true,
    own: false,
    problem: null,
  },
  {
    id: "demo",
    name: "Demo clinic",
    engine: "sqlite",
    makesOwnFile: true,
    canWrite: true,
    takesDocuments: false,
    own: false,
    problem: null,
  },
  {
    id: "provet",
    name: "Provet Cloud",
    engine: "provet",
    makesOwnFile: false,
    canWrite: true,
    takesDocuments: false,
    own: false,
    problem: null,
  },
  {
    id: "frontdesk",
    name: "frontdesk",
    engine: "mysql",
    makesOwnFile: false,
    canWrite: false,
    takesDocuments: false,
    own: true,
    problem: {
      code: "profileInvalid",
      message:
        "frontdesk.toml, line 14, column 9: the statement “appointments” does not name its column “status”",
      since: null,
    },
  },
];

const LISTENER: ListenerInput = {
  address: "127.0.0.1:8765",
  sources: ["13.55.48.1", "52.62.53.70", "13.54.122.64"],
  checkSources: true,
};

function person(
  id: string,
  name: string,
  role: string | null,
  freeToday: number | null,
  placesToday: number | null,
  checked: number,
): PractitionerView {
  return {
    id,
    name,
    role,
    light: "ok",
    freshness: { kind: "inStep", checkedAt: before(checked) },
    freeToday,
    placesToday,
  };
}

function practice(): PracticeView {
  return {
    id: "richmond",
    name: "Richmond Physiotherapy",
    timeZone: ZONE,
    enabled: true,
    light: "ok",
    system: {
      name: "OpenEMR",
      place: "reception-server",
      light: "ok",
      lastReadAt: before(2),
      latencyMs: 4,
      writes: true,
      problem: null,
      webhooks: null,
    },
    healthengine: {
      light: "ok",
      consent: "granted",
      lastPollAt: before(3),
      lastAvailabilityAt: before(371),
      counts: { confirmed: 148, rejected: 6, cancelled: 11, pending: 0, attention: 0 },
      problem: null,
      features: [
        { feature: "attachDocuments", wanted: true, on: true, lacks: null },
        { feature: "clientSnapshots", wanted: false, on: false, lacks: null },
        {
          feature: "documents",
          wanted: true,
          on: false,
          lacks: "documents needs a folder into which the practice lays scripts and referrals.",
        },
      ],
      documentsProblem: null,
      webhooks: null,
    },
    vald: {
      light: "ok",
      linked: 310,
      pending: 4,
      needsPerson: 1,
      failed: 1,
      progress: null,
      lastAnswerAt: before(90),
      canOpen: true,
      unknownGroups: [],
      problem: null,
    },
    accounts: [],
    practitioners: [
      person("11", "Dr Mei Lee", "physiotherapist", 7, 16, 2),
      person("12", "Tom Okafor", "exercise physiologist", 2, 14, 2),
      person("13", "Ana Petrović", "physiotherapist", 5, 12, 3),
      person("14", "Jo O’Brien", "hand therapist", 0, 11, 2),
      person("15", "Zoë Wärn", null, null, null, 3),
      person("16", "Room 2", "massage", 9, 9, 2),
    ],
    publishedTo: "2027-01-19",
    waiting: [],
    progress: null,
    shrunkLists: [],
    setup: {
      profile: "openemr",
      address: {
        engine: "mysql",
        host: "reception-server",
        port: 3306,
        user: "companion",
        database: "openemr",
      },
      hasPassword: true,
      write: true,
      locations: [],
      documentsIn: "",
      documentsOut: "",
      documentsApi: null,
      healthengine: {
        practiceId: "1234567",
        baseUrl: "https://healthengine.com.au/pms-api/v1",
        contactEmail: "support@example.com.au",
        environment: "PROD",
        horizonDays: 60,
        features: ["attachDocuments", "documents"],
        webhookUrl: null,
      },
      vald: {
        tenantId: "11111111-2222-4333-8444-555555555555",
        region: "aue",
        hasCredentials: true,
        hubUrl: "https://hub.valdperformance.com/?tenantId={tenantId}&syncId={syncId}",
        groups: [],
        staffAreAdults: true,
      },
      accounts: [],
      liveHours: HOURS,
    },
  };
}

/** Heights that look like a real day; the same each time. */
function halfHours(): HalfHourView[] {
  const start = Date.parse("2026-11-18T22:00:00.000Z");
  return Array.from({ length: 48 }, (_, index) => {
    const hour = (9 + index / 2) % 24;
    const open = hour >= 7.5 && hour < 21;
    const bookings = open ? (index * 7) % 6 : 0;
    const down = index === 10;
    return {
      startsAt: new Date(start + index * 1_800_000).toISOString(),
      light: down ? "down" : index === 11 ? "attention" : hour >= 22.5 || hour < 6 ? "unknown" : "ok",
      bookings: down ? 0 : bookings,
      slowestMs: down || bookings === 0 ? null : index === 11 ? 6100 : 1400 + ((index * 997) % 2900),
    };
  });
}

function view(): AppView {
  return {
    revision: 1,
    now: NOW,
    timeZone: ZONE,
    headline: "inStep",
    problem: null,
    notices: [],
    demo: false,
    practices: [practice()],
    attention: [],
    openBookings: [],
    ledgerRevision: 1,
    roundTrips: {
      halfHours: halfHours(),
      medianMs: 2600,
      slowestMs: 6100,
      bookings: 148,
      outages: [
        {
          from: "2026-11-19T03:02:00.000Z",
          to: "2026-11-19T03:05:00.000Z",
          code: "partnerUnreachable",
          bookingsWaited: 2,
        },
      ],
    },
    switchOff: { safe: true, waiting: [] },
    settings: {
      autostart: true,
      retentionDays: 30,
      minutesToDecide: 8,
      logLevel: "info",
      logsFolder: "AppData\\Roaming\\au.cliniccompanion.desktop\\logs",
      listener: null,
      offeredListener: LISTENER,
      quickOpenKeys: "Ctrl+Alt+V",
      quickOpenProblem: null,
    },
    profiles: PROFILES,
    registrations: [],
    partners: PARTNERS,
    about: { version: "0.1.0", dataFolder: "AppData\\Roaming\\au.cliniccompanion.desktop" },
  };
}

function booking(
  number: number,
  patient: string,
  startsAt: string,
  given: Partial<BookingView> = {},
): BookingView {
  return {
    practiceId: "richmond",
    timeZone: ZONE,
    bookingId: String(36_127_000 + number),
    revision: 4,
    state: "confirmed",
    patientName: patient,
    patientPhone: "0491 570 156",
    startsAt,
    startsWritten: "2026-11-20 10:30",
    minutes: 30,
    practitioner: "Dr Mei Lee",
    appointmentType: "Standard consultation",
    bookedAt: before(3600 * number + 5),
    receivedAt: before(3600 * number + 2),
    answeredAt: before(3600 * number - 0.6),
    patientMatch: "existing",
    patientNumber: String(4000 + number * 37),
    vald: { state: "linked", reason: null, canOpen: true, canLink: false },
    reason: null,
    needs: null,
    deadlines: null,
    asked: null,
    documents: [],
    ...given,
  };
}

function document(id: string, kind: string, name: string, place: DocumentPlace): DocumentView {
  return { id, kind, name, bytes: 240_000 + Number(id), receivedAt: before(3000), place };
}

function finished(): BookingView[] {
  return [
    booking(1, "Priya Raman", "2026-11-22T22:00:00.000Z", {
      startsWritten: "2026-11-23 09:00",
      documents: [
        document("91", "NEW PATIENT FORM", "New Patient Form", "records"),
        document("92", "REFERRAL", "Knee scan.pdf", "practiceSystem"),
        document("93", "REFERRAL", "Letter", "waiting"),
      ],
    }),
    booking(2, "Wei Chen", "2026-11-24T03:30:00.000Z", {
      startsWritten: "2026-11-24 14:30",
      practitioner: "Tom Okafor",
      patientMatch: "created",
      patientNumber: "8310",
      vald: { state: "notAsked", reason: null, canOpen: false, canLink: false },
    }),
    booking(3, "L. Hart", "2026-11-22T23:15:00.000Z", {
      startsWritten: "2026-11-23 10:15",
      state: "rejected",
      patientMatch: null,
      patientNumber: null,
      vald: null,
      answeredAt: before(3600 * 3 + 0.6),
      reason: { code: "timeTaken", detail: "taken at the desk at 8:31:02 am" },
    }),
    booking(5, "Aoife Ní Bhriain", "2026-11-19T22:30:00.000Z", {
      startsWritten: "2026-11-20 09:30",
      practitioner: "Jo O’Brien",
    }),
    booking(20, "Mohammed al-Sayed", "2026-11-26T05:00:00.000Z", {
      startsWritten: "2026-11-26 16:00",
      state: "cancelled",
      reason: { code: "cancelledByPatient", detail: null },
    }),
    booking(23, "Ngaire Whitford", "2026-11-25T23:15:00.000Z", {
      startsWritten: "2026-11-26 10:15",
      state: "cancelled",
      reason: { code: "movedByPractice", detail: null },
    }),
    booking(26, "Declan Ó Sé", "2026-11-18T03:00:00.000Z", {
      startsWritten: "2026-11-18 14:00",
      reason: { code: "didNotAttend", detail: null },
    }),
    booking(800, "", "2026-10-20T05:00:00.000Z", {
      startsWritten: "2026-10-20 16:00",
      patientName: null,
      patientPhone: null,
      minutes: 45,
    }),
  ];
}

function candidate(
  id: string,
  name: string,
  verdicts: Partial<Record<ComparedField["field"], string>>,
): CandidateView {
  const compared = (
    field: ComparedField["field"],
    onBooking: string | null,
    inBook: string | null,
    verdict: ComparedField["verdict"],
  ): ComparedField => ({ field, onBooking, inBook, verdict });
  return {
    patientId: id,
    number: id,
    fields: [
      compared("name", "Sam Nguyen", name, name === "Sam Nguyen" ? "same" : "differs"),
      compared(
        "birthDate",
        "1984-11-09",
        verdicts.birthDate ?? "1984-11-09",
        verdicts.birthDate ? "near" : "same",
      ),
      compared(
        "phone",
        "0491 570 156",
        verdicts.phone ?? "+61 491 570 156",
        verdicts.phone ? "differs" : "same",
      ),
      compared("email", "sam.n@example.com", "samsmith@example.com", "differs"),
      compared("address", "Richmond 3121", "12 Sample St, Richmond 3121", "near"),
    ],
  };
}

const SAM = candidate("5521", "Samantha Smith", {});
const TWIN = candidate("5522", "Sam Nguyen", { birthDate: "1984-11-06", phone: "0491 570 110" });

const FIELDS: FieldView[] = [
  { field: "name", value: "Sam Nguyen" },
  { field: "birthDate", value: "1984-11-09" },
  { field: "phone", value: "0491 570 156" },
  { field: "email", value: "sam.n@example.com" },
  { field: "start", value: "2026-11-20 10:30" },
  { field: "minutes", value: "30" },
  { field: "practitioner", value: "Dr Mei Lee" },
  { field: "appointmentType", value: "Standard consultation" },
  { field: "notes", value: "Sore knee\nPrefers morning" },
];

/** A practice that was paused or resumed, all its lights with it. */
export function switched(practice: PracticeView, enabled: boolean): PracticeView {
  const light = enabled ? "ok" : "paused";
  return {
    ...practice,
    enabled,
    light,
    system: { ...practice.system, light },
    healthengine: practice.healthengine && { ...practice.healthengine, light },
    practitioners: practice.practitioners.map((each) => ({ ...each, light })),
  };
}

/** A view in which one booking needs a person. */
function needing(needs: NeedView, given: Partial<BookingView> = {}, number = 212): Scenario {
  const base = view();
  const one = booking(number, "Sam Nguyen", "2026-11-19T23:30:00.000Z", {
    state: "attention",
    bookedAt: before(18),
    receivedAt: before(15),
    answeredAt: null,
    patientMatch: null,
    patientNumber: null,
    vald: null,
    needs,
    // What is answered already has no clock.
    deadlines: needs.answerBy ? { repickUntil: after(2), answerBy: after(582) } : null,
    ...given,
  });
  return {
    view: {
      ...base,
      headline: "needsYou",
      attention: [{ kind: "booking", practiceId: one.practiceId, bookingId: one.bookingId }],
      openBookings: [one],
      practices: base.practices.map((each) => ({ ...each, light: "attention" })),
    },
    finished: finished(),
  };
}

function choosing(candidates: CandidateView[]): Scenario {
  return needing(
    {
      task: { kind: "choosePatient", candidates },
      answerBy: after(492),
      otherwise: "newRecord",
      actions: ["samePerson", "newPatient", "decline"],
    },
    { reason: { code: "patientAmbiguous", detail: null } },
  );
}

/** The time was taken, and it is too late for the patient to be asked again. */
function placing(
  actions: NeedView["actions"] = ["placeBeside", "placeElsewhere", "cancel", "tryAgain", "enteredByHand"],
  deadlines: BookingView["deadlines"] = { repickUntil: before(120), answerBy: after(460) },
): Scenario {
  return needing(
    { task: { kind: "notPlaced", fields: FIELDS }, answerBy: after(340), otherwise: "declines", actions },
    {
      reason: { code: "timeTaken", detail: null },
      bookedAt: before(140),
      receivedAt: before(137),
      deadlines,
    },
  );
}

/** The free times of a booking: every one of a day, or the nearest. */
export function freeTimesOf(booking: BookingView, day: string | null): FreeTimesView {
  const time = (date: string, at: string, who: string, resourceId: string): FreeTimeView => ({
    resourceId,
    practitioner: who,
    // Daylight saving: Melbourne is eleven hours ahead.
    startsAt: new Date(`${date}T${at}:00+11:00`).toISOString(),
    startsWritten: `${date} ${at}`,
  });
  const asked = booking.startsWritten.slice(0, 10);
  const own = ["11:15", "09:45", "11:30", "13:00"].map((at) => time(day ?? asked, at, "Dr Mei Lee", "11"));
  const bounds = { firstDay: "2026-11-20", lastDay: "2027-01-19" };
  if (day === "2026-11-22") return { times: [], ...bounds };
  if (day) return { times: [...own, time(day, "10:30", "Tom Okafor", "12")], ...bounds };
  const times = [
    ...own,
    time("2026-11-23", "10:30", "Dr Mei Lee", "11"),
    time("2026-11-24", "10:00", "Dr Mei Lee", "11"),
    time(asked, "10:30", "Ana Petrović", "13"),
  ];
  return { times, ...bounds };
}

/** A booking that a person put elsewhere: it stands, and the patient has to hear of it. */
export function placed(booking: BookingView, chosen: FreeTimeView): BookingView {
  return {
    ...booking,
    revision: booking.revision + 1,
    startsAt: chosen.startsAt,
    startsWritten: chosen.startsWritten,
    practitioner: chosen.practitioner,
    asked: {
      startsAt: booking.startsAt,
      startsWritten: booking.startsWritten,
      practitioner: booking.practitioner,
    },
    deadlines: null,
    reason: null,
    needs: {
      task: { kind: "tellPatient" },
      answerBy: null,
      otherwise: "stays",
      actions: ["patientTold"],
    },
  };
}

function entering(): Scenario {
  const scenario = needing(
    {
      task: { kind: "enterAppointment", fields: FIELDS },
      answerBy: after(301),
      otherwise: "declines",
      actions: ["enteredByHand", "decline"],
    },
    { reason: { code: "readOnly", detail: null } },
  );
  scenario.view.practices = scenario.view.practices.map((each) => ({
    ...each,
    system: { ...each.system, writes: false },
    setup: { ...each.setup, write: false },
  }));
  return scenario;
}

function several(): Scenario {
  const base = view();
  const burnley: PracticeView = {
    ...practice(),
    id: "burnley",
    name: "Burnley Hand Therapy",
    practitioners: [
      person("21", "Jo O’Brien", "hand therapist", 3, 10, 4),
      {
        ...person("22", "Ida Brandt", null, 4, 12, 4),
        light: "working",
        freshness: { kind: "onItsWay", changedAt: before(2) },
      },
    ],
    waiting: [{ kind: "daysToPublish", count: 1, oldestAt: before(2), answerBy: null }],
    setup: { ...practice().setup, locations: ["4"] },
  };
  const perth: PracticeView = {
    ...practice(),
    id: "perth",
    name: "Fremantle Physio",
    timeZone: "Australia/Perth",
    practitioners: [person("31", "Kwame Mensah", "physiotherapist", 6, 14, 900)],
  };
  const under: BookingView = booking(213, "Noor Haddad", "2026-11-20T02:00:00.000Z", {
    practiceId: "burnley",
    state: "inserted",
    startsWritten: "2026-11-20 13:00",
    practitioner: "Jo O’Brien",
    bookedAt: before(4),
    receivedAt: before(2),
    answeredAt: null,
    deadlines: { repickUntil: after(16), answerBy: after(596) },
  });
  return {
    view: {
      ...base,
      headline: "catchingUp",
      practices: [practice(), burnley, switched(perth, false)],
      openBookings: [under],
      switchOff: {
        safe: false,
        waiting: [
          { kind: "answersToSend", count: 1, oldestAt: before(2), answerBy: null },
          { kind: "daysToPublish", count: 1, oldestAt: before(2), answerBy: null },
        ],
      },
    },
    finished: [
      booking(4, "Tama Ngata", "2026-11-23T01:00:00.000Z", { practiceId: "burnley" }),
      ...finished(),
    ],
  };
}

function down(): Scenario {
  const base = view();
  const problem = {
    code: "partnerUnreachable" as const,
    message: "no answer from healthengine.com.au within 10 s",
    since: "2026-11-19T21:36:00.000Z",
  };
  const practices = base.practices.map((each): PracticeView => ({
    ...each,
    light: "down",
    healthengine: each.healthengine && {
      ...each.healthengine,
      light: "down",
      lastPollAt: before(972),
      problem,
    },
    practitioners: each.practitioners.map((one, index) => ({
      ...one,
      light: index < 2 ? "down" : "attention",
      freshness:
        index < 2 ? { kind: "behind", since: before(940) } : { kind: "inStep", checkedAt: before(972) },
    })),
    waiting: [
      { kind: "answersToSend", count: 1, oldestAt: before(930), answerBy: after(-330) },
      { kind: "daysToPublish", count: 2, oldestAt: before(940), answerBy: null },
    ],
  }));
  return {
    view: {
      ...base,
      headline: "down",
      practices,
      attention: [{ kind: "healthengine", practiceId: "richmond", also: [] }],
      roundTrips: {
        ...base.roundTrips,
        halfHours: base.roundTrips.halfHours.map((each, index) =>
          index === 47 ? { ...each, light: "down", slowestMs: null } : each,
        ),
        outages: [
          { from: problem.since, to: null, code: problem.code, bookingsWaited: 1 },
          ...base.roundTrips.outages,
        ],
      },
      switchOff: {
        safe: false,
        waiting: [{ kind: "answersToSend", count: 1, oldestAt: before(930), answerBy: after(-330) }],
      },
    },
    finished: finished(),
  };
}

function revoked(): Scenario {
  const scenario = down();
  const problem = { code: "partnerConsentMissing" as const, message: "", since: before(120) };
  scenario.view.practices = scenario.view.practices.map((each) => ({
    ...each,
    healthengine: each.healthengine && { ...each.healthengine, consent: "revoked", problem },
  }));
  return scenario;
}

function firstPublishing(): Scenario {
  const base = view();
  return {
    view: {
      ...base,
      headline: "catchingUp",
      demo: true,
      practices: base.practices.map((each) => ({
        ...each,
        name: "Demo clinic",
        light: "working",
        system: { ...each.system, name: "Demo clinic", place: "this PC" },
        practitioners: each.practitioners.map((one, index) => ({
          ...one,
          light: index < 2 ? "ok" : "working",
          freshness: index < 2 ? one.freshness : { kind: "notYet" },
        })),
        publishedTo: null,
        progress: { done: 120, total: 366 },
        waiting: [{ kind: "daysToPublish", count: 246, oldestAt: before(9), answerBy: null }],
      })),
      roundTrips: { halfHours: [], medianMs: null, slowestMs: null, bookings: 0, outages: [] },
      switchOff: {
        safe: false,
        waiting: [{ kind: "daysToPublish", count: 246, oldestAt: before(9), answerBy: null }],
      },
    },
    finished: [],
  };
}

function shrunk(): Scenario {
  const base = view();
  return {
    view: {
      ...base,
      headline: "needsYou",
      attention: [{ kind: "shrunkList", practiceId: "richmond", list: "resources" }],
      practices: base.practices.map((each) => ({
        ...each,
        light: "attention",
        shrunkLists: [
          {
            list: "resources",
            before: 6,
            now: 2,
            missing: ["Ana Petrović", "Jo O’Brien", "Zoë Wärn", "Room 2"],
            noticedAt: before(400),
          },
        ],
      })),
    },
    finished: finished(),
  };
}

/** Most appointments of bookings are gone from the book at once, as after an old backup. */
function bookingsGone(): Scenario {
  const base = shrunk();
  const missing = ["booking 36127201, 24 November 2026, 09:15", "booking 36127207, 25 November 2026, 14:00"];
  return {
    ...base,
    view: {
      ...base.view,
      attention: [{ kind: "shrunkList", practiceId: "richmond", list: "appointments" }],
      practices: base.view.practices.map((each) => ({
        ...each,
        shrunkLists: [{ list: "appointments", before: 9, now: 3, missing, noticedAt: before(30) }],
      })),
    },
  };
}

/** Somebody emptied the column in which the practice system holds consents. */
function consentsGone(): Scenario {
  const base = shrunk();
  const missing = Array.from({ length: 20 }, (_, at) => `record ${at + 1}`);
  return {
    ...base,
    view: {
      ...base.view,
      attention: [{ kind: "shrunkList", practiceId: "richmond", list: "consents" }],
      practices: base.view.practices.map((each) => ({
        ...each,
        light: "ok",
        shrunkLists: [{ list: "consents", before: 310, now: 4, missing, noticedAt: before(30) }],
      })),
    },
  };
}

function without(headline: AppView["headline"], problem: AppView["problem"] = null): Scenario {
  return {
    view: {
      ...view(),
      headline,
      problem,
      practices: [],
      roundTrips: { halfHours: [], medianMs: null, slowestMs: null, bookings: 0, outages: [] },
    },
    finished: [],
  };
}

function changed(change: (base: AppView) => Partial<AppView>): Scenario {
  const base = view();
  return { view: { ...base, ...change(base) }, finished: finished() };
}

/** A practice with a public address, its webhooks as given. */
function withWebhooks(given: Partial<WebhooksView>, listening: Partial<ListenerView> = {}): Scenario {
  const base = view();
  const webhooks: WebhooksView = {
    state: { kind: "reliable" },
    askedEvery: 3600,
    lastDeliveryAt: before(612),
    subscribedUntil: after(5 * 86_400),
    failed: [],
    ...given,
  };
  return {
    view: {
      ...base,
      practices: base.practices.map((each) => ({
        ...each,
        healthengine: each.healthengine && { ...each.healthengine, webhooks },
        setup: {
          ...each.setup,
          healthengine: each.setup.healthengine && {
            ...each.setup.healthengine,
            webhookUrl: "https://hooks.richmond-physio.example",
          },
        },
      })),
      settings: {
        ...base.settings,
        listener: { chosen: LISTENER, openToOthers: false, problem: null, wrongSources: 0, ...listening },
      },
    },
    finished: finished(),
  };
}

/** Each scenario by the name that `?fake=` takes. */
/** A time that was taken at the desk a moment ago is still offered. */
function onItsWay(): Scenario {
  return changed((base) => ({
    headline: "catchingUp",
    practices: base.practices.map((each) => ({
      ...each,
      light: "working",
      practitioners: each.practitioners.map((one) =>
        one.id === "13"
          ? { ...one, light: "working", freshness: { kind: "onItsWay", changedAt: before(2) } }
          : one,
      ),
    })),
  }));
}

/** A partner whose form is drawn from its card. */
export const PARTNERS: PartnerCardView[] = [
  {
    name: "validic",
    title: "Validic",
    purpose:
      "Lets patients who agreed to that connect their own devices, under a name that tells nobody who they are.",
    fields: [
      {
        key: "organization_id",
        label: "Organisation id",
        kind: "text",
        choices: [],
        default: null,
        optional: false,
        whereToFind: ["Sign in to the Validic dashboard as an administrator.", "Open the settings."],
      },
      {
        key: "token",
        label: "Token",
        kind: "secret",
        choices: [],
        default: null,
        optional: false,
        whereToFind: ["It stands in the Validic dashboard beside the organisation id."],
      },
      {
        key: "api",
        label: "Form of the API",
        kind: "choice",
        choices: ["inform-v2", "legacy-v1"],
        default: "inform-v2",
        optional: false,
        whereToFind: ["Leave it as it is."],
      },
      {
        key: "base_url",
        label: "Address",
        kind: "address",
        choices: [],
        default: null,
        optional: true,
        whereToFind: ["Leave it empty, unless Validic told you another address."],
      },
    ],
    whenUnlinked: "Patients stay registered at Validic, and who is who stays on record here.",
  },
  {
    name: "hint",
    title: "Hint",
    purpose:
      "Joins each patient who agreed to that with their membership, so that either system finds the other’s record.",
    fields: [
      {
        key: "access_token",
        label: "Access token",
        kind: "secret",
        choices: [],
        default: null,
        optional: false,
        whereToFind: ["Sign in to Hint as an administrator of the practice."],
      },
      {
        key: "base_url",
        label: "Address",
        kind: "address",
        choices: [],
        default: "https://api.hint.com/api",
        optional: false,
        whereToFind: ["Leave it as it is."],
      },
    ],
    whenUnlinked: "The links stay at Hint as they are, and are not kept in step any more.",
  },
];

/** A clinic whose patients are being joined with their memberships. */
function joining(): Scenario {
  return changed((base) => ({
    practices: base.practices.map((each) => ({
      ...each,
      accounts: [
        {
          partner: "hint",
          title: "Hint",
          light: "attention" as const,
          linked: 41,
          pending: 12,
          needsPerson: 2,
          failed: 1,
          joining: { progress: { done: 44, total: 56 }, records: 60, former: 5 },
          lastAnswerAt: before(20),
          problem: null,
        },
      ],
      setup: {
        ...each.setup,
        accounts: [
          { partner: "hint", fields: { base_url: "https://api.hint.com/api" }, secrets: ["access_token"] },
        ],
      },
    })),
  }));
}

function withValidic(account: Partial<AccountView>, rest: Partial<AppView> = {}): Scenario {
  return changed((base) => ({
    ...rest,
    practices: base.practices.map((each) => ({
      ...each,
      light: account.light ?? each.light,
      accounts: [
        {
          partner: "validic",
          title: "Validic",
          light: "ok" as const,
          linked: 12,
          pending: 0,
          needsPerson: 0,
          failed: 0,
          joining: null,
          lastAnswerAt: before(600),
          problem: null,
          ...account,
        },
      ],
      setup: {
        ...each.setup,
        accounts: [
          {
            partner: "validic",
            fields: { organization_id: "60c76d42c31ed70001926000", api: "inform-v2" },
            secrets: ["token"],
          },
        ],
      },
    })),
  }));
}

function withVald(vald: Partial<ValdView>, rest: Partial<AppView> = {}): Scenario {
  return changed((base) => ({
    ...rest,
    practices: base.practices.map((each) => ({ ...each, vald: each.vald && { ...each.vald, ...vald } })),
  }));
}

export const SCENARIOS = {
  healthy: () => changed(() => ({})),
  empty: () => without("notLinked"),
  starting: () => without("starting"),
  publishing: firstPublishing,
  decision: () => choosing([SAM]),
  twins: () => choosing([TWIN, SAM]),
  "read-only": entering,
  "read-only-missing": () => ({ ...entering(), notInBook: true }),
  "not-placed": () =>
    needing(
      {
        task: { kind: "notPlaced", fields: FIELDS },
        answerBy: after(64),
        otherwise: "declines",
        actions: ["placeElsewhere", "cancel", "tryAgain", "enteredByHand"],
      },
      {
        reason: { code: "other", detail: "the practice system has no calendar category for it" },
        deadlines: { repickUntil: before(500), answerBy: after(100) },
      },
    ),
  placing,
  "placing-taken": () => ({ ...placing(), takenMeanwhile: true }),
  "placing-read-only": () => {
    const scenario = placing(["enteredByHand", "cancel"]);
    scenario.view.practices = entering().view.practices;
    return scenario;
  },
  "placing-overdue": () => placing(undefined, { repickUntil: before(700), answerBy: before(130) }),
  told: () =>
    needing(
      { task: { kind: "tellPatient" }, answerBy: null, otherwise: "stays", actions: ["patientTold"] },
      {
        startsAt: "2026-11-20T00:15:00.000Z",
        startsWritten: "2026-11-20 11:15",
        asked: {
          startsAt: "2026-11-19T23:30:00.000Z",
          startsWritten: "2026-11-20 10:30",
          practitioner: "Dr Mei Lee",
        },
      },
    ),
  late: () =>
    needing(
      { task: { kind: "phonePatient" }, answerBy: null, otherwise: "stays", actions: ["patientPhoned"] },
      { reason: { code: "timeTaken", detail: null }, bookedAt: before(2400) },
    ),
  "cancel-by-hand": () =>
    needing(
      {
        task: { kind: "cancelAppointment", fields: FIELDS.slice(0, 5) },
        answerBy: null,
        otherwise: "stays",
        actions: ["cancelledByHand"],
      },
      { reason: { code: "cancelledByPatient", detail: null } },
    ),
  stuck: () =>
    needing(
      {
        task: { kind: "notPlaced", fields: FIELDS },
        answerBy: null,
        otherwise: "stays",
        actions: ["tryAgain", "cancel", "patientPhoned"],
      },
      {
        reason: {
          code: "outcomeUnknown",
          detail: "the practice system stopped answering while it was written",
        },
      },
    ),
  duplicate: () =>
    needing({
      task: { kind: "checkDuplicate", newNumber: "8311", candidates: [SAM] },
      answerBy: null,
      otherwise: "stays",
      actions: ["duplicateHandled"],
    }),
  down,
  revoked,
  paused: () =>
    changed((base) => ({
      headline: "paused",
      practices: base.practices.map((each) => switched(each, false)),
    })),
  several,
  "on-its-way": onItsWay,
  shrunk,
  "bookings-gone": () => bookingsGone(),
  "consents-gone": () => consentsGone(),
  webhooks: () => withWebhooks({}),
  "webhooks-silent": () =>
    withWebhooks(
      {
        state: { kind: "silent", since: before(1300) },
        askedEvery: 5,
        lastDeliveryAt: before(9 * 3600),
        failed: [
          { count: 3, firstAt: before(20 * 3600), lastAt: before(1260), why: "time-out" },
          { count: 1, firstAt: before(22 * 3600), lastAt: before(22 * 3600), why: "" },
        ],
      },
      { openToOthers: true, wrongSources: 14 },
    ),
  "no-vald": () => ({
    ...changed((base) => ({
      practices: base.practices.map((each) => ({
        ...each,
        vald: null,
        setup: { ...each.setup, vald: null },
      })),
    })),
    finished: finished().map((each) => ({ ...each, vald: null })),
  }),
  devices: () => withValidic({}),
  joining,
  "validic-silent": () => ({
    ...withValidic(
      {
        light: "down",
        problem: {
          code: "accountUnreachable",
          message: "Validic does not answer. We keep trying.",
          since: before(4000),
        },
      },
      { headline: "down", attention: [{ kind: "account", practiceId: "richmond", partner: "validic" }] },
    ),
  }),
  "vald-sending": () =>
    withVald(
      { light: "working", linked: 1204, pending: 7106, progress: { done: 1204, total: 8310 } },
      { headline: "catchingUp" },
    ),
  "vald-refused": () => ({
    ...withVald(
      {
        light: "down",
        unknownGroups: ["Shoulders"],
        problem: { code: "valdKeyRefused", message: "401", since: before(4000) },
      },
      { headline: "down", attention: [{ kind: "vald", practiceId: "richmond" }] },
    ),
  }),
  "book-unreachable": () =>
    changed((base) => ({
      headline: "down",
      attention: [{ kind: "system", practiceId: "richmond" }],
      practices: base.practices.map((each) => ({
        ...each,
        light: "down",
        system: {
          ...each.system,
          light: "down",
          lastReadAt: before(1900),
          problem: { code: "practiceUnreachable", message: "no answer within 5 s", since: before(1890) },
        },
      })),
    })),
  "reading-people": () => ({ ...changed(() => ({})), readingPeople: true }),
  locked: () => without("down", { code: "storeWrongKey", message: "", since: null }),
  error: () => ({ ...changed(() => ({})), failing: true }),
  "list-error": () => ({ ...changed(() => ({})), failingLists: true }),
  loading: () => ({ ...changed(() => ({})), loading: true }),
} satisfies Record<string, () => Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;

/** What happened to a booking, made up from how it ended. */
export function historyOf(booking: BookingView): BookingHistory {
  const from = Date.parse(booking.receivedAt);
  const entries: HistoryEntry[] = [];
  const add = (milliseconds: number, sentence: string) =>
    entries.push({ at: new Date(from + milliseconds).toISOString(), sentence });
  add(Date.parse(booking.bookedAt) - from, "The patient booked on Healthengine.");
  add(0, "Clinic Companion saw the booking.");
  if (booking.state === "rejected") {
    add(41, "Writing it into the book began.");
    add(58, "The book did not take it: somebody else has that time.");
    add(1400, "Healthengine was told that it is declined.");
  } else if (booking.needs) {
    add(12, "More than one patient could be meant.");
    add(40, "The time is held in the book until a person decides.");
  } else {
    add(12, booking.patientMatch === "created" ? "Nobody in the book is alike." : "All fields agree.");
    add(41, "Writing it into the book began.");
    add(63, "The appointment stands in the book.");
    add(231, "Healthengine has the confirmation.");
    add(402, "Fresh free times of that day were published.");
  }
  const compared = booking.patientMatch === "existing" ? SAM.fields.slice(0, 4) : [];
  return { entries, compared, correction: correctionOf(booking) };
}

function correctionOf(booking: BookingView): CorrectionView | null {
  if (booking.state !== "confirmed" || booking.needs) return null;
  if (booking.patientName === null) return { kind: "over", why: "tooOld" };
  const others = [SAM, TWIN].filter((each) => each.patientId !== booking.patientNumber);
  return {
    kind: "offered",
    until: new Date(Date.parse(booking.receivedAt) + 30 * 86_400_000).toISOString(),
    candidates: others.slice(0, 1),
  };
}
