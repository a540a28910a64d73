// What is typed on the linking screen before it is saved. Secrets live here only, until they are sent.
import type {
  DocumentApiInput,
  Environment,
  FeatureName,
  HealthengineInput,
  LiveHours,
  PracticeInput,
  PracticeView,
  ProfileView,
  SystemAddress,
  SystemInput,
  TimeRange,
  ValdInput,
  ValdSetupView,
} from "./backend";
import { DAYS, rangeWords, type Day } from "./hours";

export { DAYS, type Day };

const OFFICE_HOURS: TimeRange = { start: "08:00", end: "18:00" };

function usualHours(): LiveHours {
  const week = () => [{ ...OFFICE_HOURS }];
  return {
    monday: week(),
    tuesday: week(),
    wednesday: week(),
    thursday: week(),
    friday: week(),
    saturday: [],
    sunday: [],
    publicHolidays: [],
  };
}

function copyOfHours(hours: LiveHours): LiveHours {
  const copy = usualHours();
  for (const day of DAYS) copy[day] = hours[day].map((range) => ({ ...range }));
  return copy;
}

/** A linked account as it stands: its credentials stay where they are. */
export function keptVald(setup: ValdSetupView): ValdInput {
  return {
    tenantId: setup.tenantId,
    clientId: null,
    clientSecret: null,
    region: setup.region,
    hubUrl: setup.hubUrl,
    groups: setup.groups.map((each) => ({ ...each })),
    staffAreAdults: setup.staffAreAdults,
  };
}

/** Where the browser comes back to on this PC, unless the clinic registered another address with Provet. */
const REDIRECT_URL = "http://127.0.0.1:47311/provet/signed-in";

export class PracticeDraft {
  name = $state("");
  timeZone = $state("");

  profile = $state<string | null>(null);
  path = $state("");
  host = $state("");
  port = $state("3306");
  user = $state("");
  database = $state("");
  provetHost = $state("https://provetcloud.com");
  provetId = $state("");
  clientId = $state("");
  provetWebhookUrl = $state("");
  /** Whether a person signs in; otherwise the account is the integration’s own. */
  asPerson = $state(false);
  provetRedirectUrl = $state(REDIRECT_URL);
  /** The registration that was accepted, whose secret stays where it is; null where the secret is typed. */
  registration = $state<string | null>(null);
  password = $state("");
  write = $state(false);
  locations = $state<string[]>([]);
  documentsIn = $state("");
  documentsOut = $state("");
  documentsUrl = $state("");
  documentsSite = $state("");
  documentsClientId = $state("");
  documentsClientSecret = $state("");
  documentsUser = $state("");
  documentsPassword = $state("");
  documentsCategory = $state("");
  hasDocumentSecrets = $state(false);

  wantsHealthengine = $state(true);
  practiceId = $state("");
  practiceKey = $state("");
  apiKey = $state("");
  baseUrl = $state("");
  contactEmail = $state("");
  environment = $state<Environment>("PROD");
  horizonDays = $state("60");
  features = $state<FeatureName[]>([]);
  webhookUrl = $state("");

  /** The VALD Hub account, which has a screen of its own; null where none is linked. */
  vald = $state.raw<ValdInput | null>(null);

  hours = $state<LiveHours>(usualHours());

  /** True where something is stored that an empty field keeps. */
  readonly hasPassword: boolean;
  readonly hasKeys: boolean;

  constructor(practice: PracticeView | undefined, timeZone: string) {
    this.timeZone = practice?.timeZone ?? timeZone;
    this.hasPassword = practice?.setup.hasPassword ?? false;
    this.hasKeys = Boolean(practice?.setup.healthengine);
    if (practice) this.#fill(practice);
  }

  #fill(practice: PracticeView): void {
    const { setup } = practice;
    this.name = practice.name;
    this.profile = setup.profile;
    this.write = setup.write;
    this.locations = [...setup.locations];
    this.documentsIn = setup.documentsIn;
    this.documentsOut = setup.documentsOut;
    this.documentsUrl = setup.documentsApi?.url ?? "";
    this.documentsSite = setup.documentsApi?.site ?? "";
    this.documentsClientId = setup.documentsApi?.clientId ?? "";
    this.documentsUser = setup.documentsApi?.user ?? "";
    this.documentsCategory = setup.documentsApi?.category ?? "";
    this.hasDocumentSecrets = setup.documentsApi?.hasSecrets ?? false;
    this.hours = copyOfHours(setup.liveHours);
    switch (setup.address.engine) {
      case "sqlite":
        this.path = setup.address.path;
        break;
      case "mysql":
        this.host = setup.address.host;
        this.port = String(setup.address.port);
        this.user = setup.address.user;
        this.database = setup.address.database;
        break;
      case "provet":
        this.provetHost = setup.address.host;
        this.provetId = setup.address.provetId;
        this.clientId = setup.address.clientId;
        this.provetWebhookUrl = setup.address.webhookUrl;
        this.signInAs(setup.address.redirectUrl);
        break;
    }
    this.vald = setup.vald && keptVald(setup.vald);
    this.wantsHealthengine = setup.healthengine !== null;
    if (setup.healthengine) {
      this.practiceId = setup.healthengine.practiceId;
      this.baseUrl = setup.healthengine.baseUrl;
      this.contactEmail = setup.healthengine.contactEmail;
      this.environment = setup.healthengine.environment;
      this.horizonDays = String(setup.healthengine.horizonDays);
      this.features = [...setup.healthengine.features];
      this.webhookUrl = setup.healthengine.webhookUrl ?? "";
    }
  }

  /** Begins with a registration that was accepted. */
  accept(registration: string, address: SystemAddress): void {
    if (address.engine !== "provet") return;
    this.profile = "provet";
    this.provetHost = address.host;
    this.provetId = address.provetId;
    this.clientId = address.clientId;
    this.signInAs(address.redirectUrl);
    this.registration = registration;
  }

  /** In whose name: a person’s where there is an address to come back to. */
  signInAs(redirectUrl: string): void {
    this.asPerson = redirectUrl !== "";
    this.provetRedirectUrl = redirectUrl || REDIRECT_URL;
  }

  #address(profile: ProfileView): SystemAddress {
    switch (profile.engine) {
      case "sqlite":
        return { engine: "sqlite", path: this.path.trim() };
      case "mysql":
        return {
          engine: "mysql",
          host: this.host.trim(),
          port: Number(this.port),
          user: this.user.trim(),
          database: this.database.trim(),
        };
      case "provet":
        return {
          engine: "provet",
          host: this.provetHost.trim(),
          provetId: this.provetId.trim(),
          clientId: this.clientId.trim(),
          webhookUrl: this.provetWebhookUrl.trim(),
          redirectUrl: this.asPerson ? this.provetRedirectUrl.trim() : "",
        };
    }
  }

  system(profile: ProfileView): SystemInput {
    return {
      profile: profile.id,
      address: this.#address(profile),
      password: this.password === "" && this.hasPassword ? null : this.password,
      write: this.write,
      locations: [...this.locations],
      documentsIn: this.documentsIn.trim(),
      documentsOut: this.documentsOut.trim(),
      documentsApi: profile.takesDocuments ? this.documentsApi() : null,
      registration: this.registration,
    };
  }

  /** None where no address is given. */
  documentsApi(): DocumentApiInput | null {
    if (this.documentsUrl.trim() === "") return null;
    const secret = (typed: string) => (typed === "" && this.hasDocumentSecrets ? null : typed);
    return {
      url: this.documentsUrl.trim(),
      site: this.documentsSite.trim(),
      clientId: this.documentsClientId.trim(),
      clientSecret: secret(this.documentsClientSecret),
      user: this.documentsUser.trim(),
      password: secret(this.documentsPassword),
      category: this.documentsCategory.trim(),
    };
  }

  healthengine(): HealthengineInput {
    const typed = (value: string) => (value.trim() === "" ? null : value.trim());
    return {
      practiceId: this.practiceId.trim(),
      practiceKey: typed(this.practiceKey),
      apiKey: typed(this.apiKey),
      baseUrl: typed(this.baseUrl),
      contactEmail: typed(this.contactEmail),
      environment: this.environment,
      horizonDays: Number(this.horizonDays),
      features: [...this.features],
      webhookUrl: typed(this.webhookUrl),
    };
  }

  practice(profile: ProfileView): PracticeInput {
    return {
      name: this.name.trim(),
      timeZone: this.timeZone,
      system: this.system(profile),
      healthengine: this.wantsHealthengine ? this.healthengine() : null,
      vald: this.vald,
      liveHours: copyOfHours(this.hours),
    };
  }
}

/** What is wrong with a day's ranges; null if nothing. Times of day compare as text. */
export function dayProblem(ranges: TimeRange[]): string | null {
  if (ranges.some((each) => !/^\d\d:\d\d$/.test(each.start) || !/^\d\d:\d\d$/.test(each.end))) {
    return "Type times such as 8:00 or 5:30 pm.";
  }
  if (ranges.some((each) => each.start >= each.end)) return "The end must come after the start.";
  const sorted = [...ranges].sort((one, other) => one.start.localeCompare(other.start));
  for (const [index, each] of sorted.entries()) {
    const next = sorted[index + 1];
    if (next && next.start < each.end) return "These times overlap.";
  }
  return null;
}

const SHORT: Record<Day, string> = {
  monday: "Mon",
  tuesday: "Tue",
  wednesday: "Wed",
  thursday: "Thu",
  friday: "Fri",
  saturday: "Sat",
  sunday: "Sun",
  publicHolidays: "public holidays",
};

/** "Mon–Fri 8:00 am to 6:00 pm, Sat 9:00 am to 12:00 pm" */
export function hoursSummary(hours: LiveHours): string {
  const groups: { first: Day; last: Day; text: string }[] = [];
  for (const day of DAYS) {
    const text = hours[day].map(rangeWords).join(" and ");
    if (text === "") continue;
    const group = groups.at(-1);
    const follows = group && DAYS.indexOf(group.last) + 1 === DAYS.indexOf(day) && day !== "publicHolidays";
    if (group && follows && group.text === text) group.last = day;
    else groups.push({ first: day, last: day, text });
  }
  if (groups.length === 0) return "never";
  return groups
    .map(({ first, last, text }) => {
      const days = first === last ? SHORT[first] : `${SHORT[first]}–${SHORT[last]}`;
      return `${days} ${text}`;
    })
    .join(", ");
}
