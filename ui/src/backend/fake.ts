// The same interface as the program, from canned views: for working on the screens, for their tests and pictures.
// Everybody here is made up. `?fake=decision&theme=dark` chooses; it exists in the fake build only.
import type {
  Answer,
  AppView,
  AttentionView,
  Backend,
  BookingDecision,
  BookingView,
  Commands,
  ErrorCode,
  PatientHits,
  PatientQuery,
  PracticeInput,
  PracticeView,
  RightView,
  PractitionerView,
} from "./index";
import { localDate } from "../format";
import { fakeDay, fakeStory } from "./fakeDay";
import { FakePeople } from "./fakePeople";
import {
  freeTimesOf,
  historyOf,
  placed,
  SCENARIOS,
  switched,
  type Scenario,
  type ScenarioName,
} from "./scenarios";

function ok<T>(data: T): Promise<Answer<T>> {
  return Promise.resolve({ status: "ok", data });
}
function refuse<T>(code: ErrorCode, message = ""): Promise<Answer<T>> {
  return Promise.resolve({ status: "error", error: { code, message } });
}

/** What was asked of it, for tests to look at. */
export type Asked = {
  [Name in keyof Commands]: { command: Name; with: Parameters<Commands[Name]> };
}[keyof Commands];

/** What the account of a practice at Provet Cloud may do. */
const RIGHTS: RightView[] = [
  {
    what: "departments",
    gains: "each of your locations is offered by itself",
    right: null,
    state: "works",
  },
  {
    what: "appointments",
    gains: "bookings stand in your calendar, and what is taken is not offered",
    right: "Calendar: Appointments",
    state: "works",
  },
  {
    what: "shifts",
    gains: "times are offered only while somebody works",
    right: "Calendar: Shifts",
    state: "missing",
  },
];

export class FakeBackend implements Backend {
  readonly asked: Asked[] = [];
  readonly commands: Commands;
  #view: AppView;
  /** Whether somebody signed in to a practice system in the browser. */
  #signedIn = false;
  #finished: BookingView[];
  readonly #scenario: Scenario;
  readonly #people: Map<string, FakePeople>;
  readonly #listeners = new Set<(view: AppView) => void>();

  constructor(name: ScenarioName) {
    this.#scenario = SCENARIOS[name]();
    this.#view = this.#scenario.view;
    this.#finished = this.#scenario.finished;
    this.#people = new Map(this.#view.practices.map((each) => [each.id, new FakePeople(each)] as const));
    this.commands = this.#record(this.#answers());
  }

  get view(): AppView {
    return this.#view;
  }

  onViewChanged(listener: (view: AppView) => void): Promise<() => void> {
    this.#listeners.add(listener);
    return Promise.resolve(() => this.#listeners.delete(listener));
  }

  /** Pushes a changed view, as the engine does. */
  push(change: (view: AppView) => Partial<AppView>): void {
    this.#view = { ...this.#view, ...change(this.#view), revision: this.#view.revision + 1 };
    for (const listener of this.#listeners) listener(this.#view);
  }

  #forgetRegistration(id: string): void {
    this.push((view) => ({ registrations: view.registrations.filter((each) => each.id !== id) }));
  }

  /** Keeps a list of what was asked. */
  #record(answers: Commands): Commands {
    const recorded = Object.entries(answers).map(([command, answer]) => [
      command,
      (...given: never[]) => {
        this.asked.push({ command, with: given } as unknown as Asked);
        return (answer as (...given: never[]) => unknown)(...given);
      },
    ]);
    return Object.fromEntries(recorded) as Commands;
  }

  #answers(): Commands {
    return {
      currentView: () => {
        if (this.#scenario.loading) return new Promise(() => {});
        return this.#scenario.failing ? refuse("unknown", "the store did not answer") : ok(this.#view);
      },
      findBookings: (query) => {
        if (this.#scenario.failingLists) return refuse("unknown", "the store did not answer");
        const words = query.text.toLowerCase();
        const found = this.#finished.filter(
          (each) =>
            (query.practiceId === null || each.practiceId === query.practiceId) &&
            (query.state === null || each.state === query.state) &&
            `${each.patientName ?? ""} ${each.patientPhone ?? ""} ${each.bookingId}`
              .toLowerCase()
              .includes(words),
        );
        return ok({ bookings: found.slice(query.offset, query.offset + query.limit), total: found.length });
      },
      bookingHistory: (practiceId, bookingId) => {
        if (this.#scenario.failingLists) return refuse("unknown", "the store did not answer");
        const booking = this.#find(practiceId, bookingId);
        return booking ? ok(historyOf(booking)) : refuse("bookingUnknown");
      },
      freeTimes: (practiceId, bookingId, day) => {
        if (this.#scenario.failingLists) return refuse("practiceUnreachable");
        const booking = this.#find(practiceId, bookingId);
        return booking ? ok(freeTimesOf(booking, day)) : refuse("bookingUnknown");
      },
      dayBook: (practiceId, day) => {
        if (this.#scenario.failingLists) return refuse("unknown", "the store did not answer");
        const book = this.#day(practiceId, day);
        return book ? ok(book) : refuse("practiceUnknown");
      },
      slotStory: (practiceId, resourceId, day, start, end) => {
        const column = this.#day(practiceId, day)?.practitioners.find((each) => each.id === resourceId);
        const visits = this.#people.get(practiceId)?.visits(start) ?? [];
        return column
          ? ok(fakeStory(column, { start, end }, this.#view.now, visits))
          : refuse("practiceUnknown");
      },
      openDocument: (practiceId, documentId) => {
        const known = [...this.#view.openBookings, ...this.#finished].some(
          (each) => each.practiceId === practiceId && each.documents.some((one) => one.id === documentId),
        );
        return known ? ok(null) : refuse("fileFailed", "our records do not hold this document any more");
      },
      decideBooking: (practiceId, bookingId, decision) => this.#decide(practiceId, bookingId, decision),
      setPracticeEnabled: (practiceId, enabled) => {
        this.#changePractices((each) => (each.id === practiceId ? switched(each, enabled) : each));
        return ok(null);
      },
      setAllEnabled: (enabled) => {
        this.#changePractices((each) => switched(each, enabled));
        return ok(null);
      },
      resync: (practiceId) => (this.#practice(practiceId) ? ok(null) : refuse("practiceUnknown")),
      decideShrunkList: (practiceId, list) => {
        this.push((view) => ({
          attention: view.attention.filter((each) => each.kind !== "shrunkList"),
          practices: view.practices.map((each) =>
            each.id === practiceId
              ? { ...each, shrunkLists: each.shrunkLists.filter((one) => one.list !== list) }
              : each,
          ),
        }));
        return ok(null);
      },
      acknowledgeNotice: (practiceId, at) => {
        this.push((view) => ({
          attention: view.attention.filter(
            (each) => each.kind !== "notice" || each.practiceId !== practiceId || each.at !== at,
          ),
        }));
        return ok(null);
      },
      readRegistration: (text) => {
        if (!text.includes('"provet_id"')) return refuse("inputInvalid", '"provet_id" is missing');
        return ok({
          engine: "provet",
          host: "https://provetcloud.com",
          provetId: "9999",
          clientId: "a-client",
          webhookUrl: "",
          redirectUrl: text.includes("authorization-code") ? "http://127.0.0.1:9000/back" : "",
        });
      },
      hookupAddress: (publicAddress) => ok(`${publicAddress}/5d7b3a60c8e2140f3c9a517be24d0886a2c4e1f9`),
      acceptRegistration: (id) => {
        const found = this.#view.registrations.find((each) => each.id === id);
        if (!found) return refuse("inputInvalid", "This registration does not wait any more.");
        if (found.practice === null) {
          const { host, provetId, clientId } = found;
          return ok({ engine: "provet", host, provetId, clientId, webhookUrl: "", redirectUrl: "" });
        }
        this.#forgetRegistration(id);
        return ok(null);
      },
      refuseRegistration: (id) => {
        this.#forgetRegistration(id);
        return ok(null);
      },
      signInToSystem: (_practiceId, system) => {
        const { address } = system;
        if (address.engine !== "provet" || address.redirectUrl === "") return refuse("inputInvalid");
        if (address.clientId === "declines") {
          return refuse("signInNeeded", "The sign-in was declined in the browser, so nothing was changed.");
        }
        this.#signedIn = true;
        return ok(null);
      },
      cancelSignIn: () => ok(null),
      testPracticeSystem: (_practiceId, system) => {
        if (system.address.engine === "provet" && system.address.redirectUrl !== "" && !this.#signedIn) {
          return refuse("signInNeeded");
        }
        if (system.address.engine === "mysql" && system.address.host === "nowhere") {
          return refuse("practiceUnreachable", "no answer from nowhere:3306 within 5 s");
        }
        if (system.password === "wrong") return refuse("practiceCredentialsRefused", "access denied (1045)");
        if (system.address.engine === "mysql" && system.address.database === "old") {
          return refuse("practiceSchemaUnknown", "column patient_data.pid is missing");
        }
        const readsOnly = system.address.engine === "mysql" && system.address.user === "reader";
        return ok({
          version: system.profile === "demo" ? "Demo clinic" : "OpenEMR 7.0.3",
          practitioners: PEOPLE.map((each) => ({ id: each.id, name: each.name, role: each.role })),
          locations: [
            { id: "3", name: "Richmond", role: null },
            { id: "4", name: "Burnley", role: null },
          ],
          appointmentTypes: 9,
          patients: 14_310,
          nextAppointment: { startsWritten: "2026-11-20 09:00", practitioner: "Dr Mei Lee" },
          latencyMs: 4,
          writeAbility: readsOnly ? "accountReadsOnly" : "possible",
          missingRights: readsOnly
            ? [
                "GRANT INSERT, UPDATE ON openemr.openemr_postcalendar_events TO 'reader'@'%';",
                "GRANT INSERT ON openemr.patient_data TO 'reader'@'%';",
              ]
            : [],
          rights: system.address.engine === "provet" ? RIGHTS : [],
          features: [
            system.documentsApi?.clientSecret === "wrong"
              ? {
                  feature: "attachDocuments",
                  served: false,
                  said: "OpenEMR at emr.example.com does not take the client id or the client secret.",
                }
              : { feature: "attachDocuments", served: true, said: "It can be served." },
            { feature: "clientSnapshots", served: true, said: "It can be served." },
            system.documentsOut === ""
              ? {
                  feature: "documents",
                  served: false,
                  said: "documents needs a folder into which the practice lays scripts and referrals.",
                }
              : {
                  feature: "documents",
                  served: true,
                  said: `The folder ${system.documentsOut} can be used.`,
                },
          ],
        });
      },
      testHealthengine: (_practiceId, account) => {
        if (account.apiKey === "wrong") return refuse("partnerKeyRefused", "401");
        if (account.practiceKey === "wrong") return refuse("partnerConsentMissing", "403");
        if (account.baseUrl?.startsWith("http://example")) return refuse("addressInvalid", account.baseUrl);
        return ok({ requestsWaiting: 2, latencyMs: 61 });
      },
      linkPractice: (practice) => {
        if (this.#view.practices.some((each) => each.name === practice.name)) return refuse("alreadyLinked");
        const id = practice.name.toLowerCase().replace(/[^a-z0-9]+/g, "-");
        this.push((view) => ({
          headline: "catchingUp",
          practices: [...view.practices, linked(id, practice, view.now)],
        }));
        return ok(id);
      },
      updatePractice: (practiceId, practice) => {
        if (!this.#practice(practiceId)) return refuse("practiceUnknown");
        this.#changePractices((each) =>
          each.id === practiceId
            ? {
                ...each,
                name: practice.name,
                timeZone: practice.timeZone,
                setup: linked(each.id, practice, this.#view.now).setup,
              }
            : each,
        );
        return ok(null);
      },
      unlinkPractice: (practiceId) => {
        this.push((view) => {
          const practices = view.practices.filter((each) => each.id !== practiceId);
          return {
            practices,
            headline: practices.length === 0 ? "notLinked" : view.headline,
            attention: view.attention.filter((each) => each.practiceId !== practiceId),
            openBookings: view.openBookings.filter((each) => each.practiceId !== practiceId),
          };
        });
        return ok(null);
      },
      changeSettings: (settings) => {
        this.push((view) => ({
          settings: {
            ...view.settings,
            ...settings,
            listener: settings.listener && {
              chosen: settings.listener,
              openToOthers: !settings.listener.address.startsWith("127."),
              problem: null,
              wrongSources: 0,
            },
          },
        }));
        return ok(null);
      },
      webhookAddress: (practiceId, book) => {
        const setup = this.#practice(practiceId)?.setup;
        const address = setup?.address;
        const url = book
          ? address?.engine === "provet" && address.webhookUrl
          : setup?.healthengine?.webhookUrl;
        return ok(url ? `${url}/0f3c9a517be24d0886a2c4e1f95d7b3a60c8e214` : null);
      },
      openLogsFolder: () => ok(null),
      exportLogs: () =>
        this.#scenario.failingLists ? refuse("diskFull") : ok("Downloads/clinic-companion-logs.zip"),
      findPatients: (query) =>
        this.#scenario.failingLists ? refuse("practiceUnreachable") : ok(this.#findPatients(query)),
      patientCard: (practiceId, patientId) => {
        const card = this.#people.get(practiceId)?.card(patientId);
        return card ? ok(card) : refuse("patientUnknown");
      },
      patientLinks: (practiceId, state) =>
        this.#scenario.failingLists
          ? refuse("unknown")
          : ok(this.#people.get(practiceId)?.links(state) ?? []),
      today: (practiceId) => {
        if (this.#scenario.failingLists) return refuse("practiceUnreachable");
        const people = this.#people.get(practiceId);
        const readAt = this.#practice(practiceId)?.system.lastReadAt ?? null;
        return people ? ok(people.today(readAt)) : refuse("practiceUnknown");
      },
      giveConsent: (practiceId, patientId, partner, consent) => {
        const given = this.#people.get(practiceId)?.give(patientId, partner, consent) ?? "unknown";
        if (given === "guardian") return refuse("inputInvalid", "A guardian has to agree for a minor.");
        return given === "ok" ? ok(null) : refuse("patientUnknown");
      },
      withdrawConsent: (practiceId, patientId, partner) =>
        this.#people.get(practiceId)?.withdraw(patientId, partner) ? ok(null) : refuse("patientUnknown"),
      testAccount: (_practiceId, account) =>
        account.secrets.token === "wrong"
          ? refuse(
              "accountRefused",
              "Validic refuses what it was given to sign in with. Renew it in Connections. What waits here is kept.",
            )
          : ok({ name: null, latencyMs: 240 }),
      saveAccount: () => ok(null),
      unlinkAccount: (practiceId, partner) => {
        this.#changePractices((each) =>
          each.id === practiceId
            ? { ...each, accounts: each.accounts.filter((account) => account.partner !== partner) }
            : each,
        );
        return ok(null);
      },
      connectDevice: (practiceId, patientId, _partner, anew) => {
        const token = this.#people.get(practiceId)?.connectDevice(patientId, anew);
        if (token === undefined) return refuse("patientUnknown");
        // Not a code that a camera could read: only its corners, so that it looks like one.
        const corner = (x: number, y: number) => `M${x} ${y}h7v7h-7zM${x + 2} ${y + 2}h3v3h-3z`;
        const path = corner(0, 0) + corner(18, 0) + corner(0, 18);
        return ok({ address: `https://syncmydevice.com/?token=${token}`, size: 25, path });
      },
      joinCandidates: (practiceId, patientId) =>
        ok(this.#people.get(practiceId)?.candidates(patientId) ?? []),
      joinOthers: (practiceId) => ok(this.#people.get(practiceId)?.others() ?? []),
      decideJoined: (practiceId, choice) => {
        this.#people.get(practiceId)?.decide(choice);
        return ok(null);
      },
      openAtPartner: () => ok(null),
      formerNames: (practiceId) => {
        const found = this.#people.get(practiceId)?.former();
        return found ? ok(found) : refuse("practiceUnknown");
      },
      carryOverFormerNames: (practiceId) => ok(this.#people.get(practiceId)?.former().fitting ?? 0),
      linkPatients: (practiceId, patientIds) => ok(this.#people.get(practiceId)?.link(patientIds) ?? 0),
      openInVald: (practiceId, patientId, linkFirst) => {
        const people = this.#people.get(practiceId);
        const patient = people?.patient(patientId);
        if (!patient) return refuse("patientUnknown");
        if (linkFirst && patient.vald?.canLink) people?.link([patientId]);
        else if (!patient.vald?.canOpen) return refuse("notLinkedYet", "Consent is not recorded.");
        return ok(null);
      },
      testVald: (_practiceId, account) => {
        if (account.clientSecret === "wrong") return refuse("valdKeyRefused", "401");
        if (!/^[0-9a-f-]{36}$/i.test(account.tenantId)) return refuse("inputInvalid", "Organisation id");
        return ok({
          tenantName: "Richmond Physiotherapy Group",
          region: "aue",
          groups: [
            { id: "99999999-0000-4000-8000-000000000001", name: "All clients", role: null },
            { id: "99999999-0000-4000-8000-000000000002", name: "Knees", role: null },
          ],
        });
      },
      checkLanding: (_practiceId, hubUrl) =>
        hubUrl.startsWith("https://hub.valdperformance.com/")
          ? ok(null)
          : refuse("landingInvalid", "The address does not lead to VALD Hub."),
      removeFormerLinks: (_practiceId, typed) =>
        typed === "Richmond Physiotherapy Group" ? ok(null) : refuse("inputInvalid", "Another name."),
      exportAudit: () => ok("Downloads/what-left.csv"),
      closeQuickOpen: () => ok(null),
      openLink: () => ok(null),
    };
  }

  #findPatients(query: PatientQuery): PatientHits {
    if (this.#scenario.readingPeople) return { hits: [], reading: true, patients: 0 };
    const found = [...this.#people]
      .filter(([practiceId]) => query.practiceId === null || query.practiceId === practiceId)
      .map(([, people]) => people.find(query.text));
    return {
      hits: found.flatMap((each) => each.hits).slice(0, query.limit),
      reading: false,
      patients: found.reduce((sum, each) => sum + each.patients, 0),
    };
  }

  #practice(id: string): PracticeView | undefined {
    return this.#view.practices.find((each) => each.id === id);
  }

  #day(practiceId: string, day: string) {
    const practice = this.#practice(practiceId);
    const { now } = this.#view;
    return practice && fakeDay(practice, day, localDate(now, practice.timeZone), now);
  }

  #find(practiceId: string, bookingId: string): BookingView | undefined {
    return [...this.#view.openBookings, ...this.#finished].find(
      (each) => each.practiceId === practiceId && each.bookingId === bookingId,
    );
  }

  #changePractices(change: (practice: PracticeView) => PracticeView): void {
    this.push((view) => {
      const practices = view.practices.map(change);
      const paused = practices.length > 0 && practices.every((each) => !each.enabled);
      const before = this.#scenario.view.headline;
      return { practices, headline: paused ? "paused" : before === "paused" ? "inStep" : before };
    });
  }

  /** The booking stands for another patient from now on. */
  #correct(practiceId: string, bookingId: string, patientId: string | null): Promise<Answer<null>> {
    const is = (each: BookingView) => each.practiceId === practiceId && each.bookingId === bookingId;
    if (!this.#finished.some(is)) return refuse("patientStays");
    this.#finished = this.#finished.map((each) =>
      is(each)
        ? {
            ...each,
            revision: each.revision + 1,
            patientNumber: patientId ?? "8311",
            patientMatch: patientId === null ? "created" : "existing",
          }
        : each,
    );
    this.push((view) => ({ ledgerRevision: view.ledgerRevision + 1 }));
    return ok(null);
  }

  #decide(practiceId: string, bookingId: string, decision: BookingDecision): Promise<Answer<null>> {
    if (decision.kind === "notThisPatient") return this.#correct(practiceId, bookingId, decision.patientId);
    const booking = this.#view.openBookings.find(
      (each) => each.practiceId === practiceId && each.bookingId === bookingId,
    );
    if (!booking?.needs) return refuse("bookingChanged");
    if (decision.kind === "placeElsewhere") {
      const { resourceId, startsWritten } = decision;
      const chosen = freeTimesOf(booking, startsWritten.slice(0, 10)).times.find(
        (each) => each.resourceId === resourceId && each.startsWritten === startsWritten,
      );
      if (!chosen || this.#scenario.takenMeanwhile) return refuse("timeNotFree");
      this.push((view) => ({
        openBookings: view.openBookings.map((each) => (each === booking ? placed(each, chosen) : each)),
        ledgerRevision: view.ledgerRevision + 1,
      }));
      return ok(null);
    }
    if (decision.kind === "enteredByHand" && this.#scenario.notInBook) return refuse("appointmentNotFound");
    const away =
      decision.kind === "decline" || decision.kind === "cancel" || decision.kind === "patientPhoned";
    const finished: BookingView = {
      ...booking,
      revision: booking.revision + 1,
      needs: null,
      deadlines: null,
      state: decision.kind === "cancel" ? "cancelled" : away ? "rejected" : "confirmed",
      reason: away ? { code: "declinedByPerson", detail: null } : null,
      answeredAt: this.#view.now,
      patientMatch: away ? null : decision.kind === "samePerson" ? "existing" : "created",
      patientNumber: away ? null : decision.kind === "samePerson" ? decision.patientId : "8311",
    };
    this.#finished = [finished, ...this.#finished];
    this.push((view) => {
      const attention = view.attention.filter(
        (each: AttentionView) => each.kind !== "booking" || each.bookingId !== bookingId,
      );
      return {
        attention,
        headline: attention.length === 0 ? "inStep" : view.headline,
        openBookings: view.openBookings.filter((each) => each !== booking),
        ledgerRevision: view.ledgerRevision + 1,
      };
    });
    return ok(null);
  }
}

const PEOPLE: { id: string; name: string; role: string | null }[] = [
  { id: "11", name: "Dr Mei Lee", role: "physiotherapist" },
  { id: "12", name: "Tom Okafor", role: "exercise physiologist" },
  { id: "13", name: "Ana Petrović", role: "physiotherapist" },
  { id: "14", name: "Jo O’Brien", role: "hand therapist" },
  { id: "15", name: "Zoë Wärn", role: null },
  { id: "16", name: "Room 2", role: "massage" },
];

/** A practice as it stands right after it was linked. */
function linked(id: string, practice: PracticeInput, now: string): PracticeView {
  const practitioners: PractitionerView[] = PEOPLE.map((each) => ({
    ...each,
    light: "working",
    freshness: { kind: "notYet" },
    freeToday: null,
    placesToday: null,
  }));
  return {
    id,
    name: practice.name,
    timeZone: practice.timeZone,
    enabled: true,
    light: "working",
    system: {
      name: practice.system.profile === "demo" ? "Demo clinic" : "OpenEMR",
      place: practice.system.address.engine === "sqlite" ? "this PC" : practice.system.address.host,
      light: "ok",
      lastReadAt: now,
      latencyMs: 4,
      writes: practice.system.write,
      problem: null,
      webhooks: null,
    },
    healthengine: practice.healthengine
      ? {
          light: "working",
          consent: "granted",
          lastPollAt: now,
          lastAvailabilityAt: null,
          counts: { confirmed: 0, rejected: 0, cancelled: 0, pending: 0, attention: 0 },
          problem: null,
          features: [],
          documentsProblem: null,
          webhooks: null,
        }
      : null,
    vald: null,
    accounts: [],
    practitioners,
    publishedTo: null,
    waiting: [{ kind: "daysToPublish", count: 366, oldestAt: now, answerBy: null }],
    progress: { done: 0, total: 366 },
    shrunkLists: [],
    setup: {
      profile: practice.system.profile,
      address: practice.system.address,
      hasPassword: practice.system.password !== "",
      write: practice.system.write,
      locations: practice.system.locations,
      documentsIn: practice.system.documentsIn,
      documentsOut: practice.system.documentsOut,
      documentsApi: practice.system.documentsApi && {
        url: practice.system.documentsApi.url,
        site: practice.system.documentsApi.site || "default",
        clientId: practice.system.documentsApi.clientId,
        user: practice.system.documentsApi.user,
        category: practice.system.documentsApi.category || "Medical Record",
        hasSecrets: true,
      },
      healthengine: practice.healthengine
        ? {
            practiceId: practice.healthengine.practiceId,
            baseUrl: practice.healthengine.baseUrl ?? "https://healthengine.com.au/pms-api/v1",
            contactEmail: practice.healthengine.contactEmail ?? "support@example.com.au",
            environment: practice.healthengine.environment,
            horizonDays: practice.healthengine.horizonDays,
            features: practice.healthengine.features,
            webhookUrl: practice.healthengine.webhookUrl,
          }
        : null,
      accounts: [],
      vald: practice.vald && {
        tenantId: practice.vald.tenantId,
        region: practice.vald.region ?? "aue",
        hasCredentials: true,
        hubUrl: practice.vald.hubUrl,
        groups: practice.vald.groups,
        staffAreAdults: practice.vald.staffAreAdults,
      },
      liveHours: practice.liveHours,
    },
  };
}

/** Chooses scenario and theme from the page's address. */
export function fakeFromAddress(search: string): FakeBackend {
  const wanted = new URLSearchParams(search);
  const theme = wanted.get("theme");
  if (theme === "dark" || theme === "light") wearTheme(theme);
  const name = wanted.get("fake") ?? "healthy";
  return new FakeBackend(name in SCENARIOS ? (name as ScenarioName) : "healthy");
}

/** Makes the rules for one colour scheme hold always, so that no style of the real build is needed for it. */
function wearTheme(theme: "dark" | "light"): void {
  document.documentElement.style.colorScheme = theme;
  for (const sheet of document.styleSheets) {
    for (const rule of sheet.cssRules) {
      if (!(rule instanceof CSSMediaRule) || !rule.conditionText.includes("prefers-color-scheme")) continue;
      rule.media.mediaText = theme === "dark" ? "all" : "not all";
    }
  }
}
