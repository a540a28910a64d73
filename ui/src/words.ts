// The sentences a person reads, chosen by the codes that the program sends. No text is ever compared.
import type {
  AccountView,
  AppView,
  BookingAction,
  BookingState,
  BookingView,
  DeadlinesView,
  DocumentPlace,
  DocumentView,
  CorrectionOver,
  DevicesView,
  ErrorCode,
  FailedDeliveriesView,
  FeatureName,
  FeatureView,
  FormerFitView,
  FormerNamesView,
  Freshness,
  Headline,
  HistoryEntry,
  JoinedView,
  JoiningView,
  JoinNameView,
  Light,
  ListKind,
  ListenerView,
  LogLevel,
  NeedView,
  OutageView,
  PatientMatch,
  PersonField,
  ProgressView,
  ReasonCode,
  ReasonView,
  RoundTripsView,
  SystemTest,
  UiError,
  ConsentHowView,
  ValdPatientState,
  ValdView,
  Verdict,
  WaitingView,
  RightView,
  WebhooksView,
  WriteAbility,
} from "./backend";
import {
  ago,
  count,
  counted,
  fileSize,
  dayAndTime,
  dayName,
  duration,
  hourOfDay,
  listed,
  localDate,
  minutesAndSeconds,
  plainDate,
  secondsLeft,
  span,
  timeOfDay,
  timeWithSeconds,
  wallClock,
} from "./format";

/** What is wrong, and what to do about it. */
export interface Sentence {
  wrong: string;
  todo: string;
}

const ERRORS: Record<ErrorCode, Sentence> = {
  keyringLocked: {
    wrong: "This computer’s keychain is locked.",
    todo: "Unlock it, or sign in again. Then press Try again.",
  },
  keyringMissing: {
    wrong: "This computer has no keychain to keep our key in.",
    todo: "Ask your IT to set one up, or to name a key file.",
  },
  storeWrongKey: {
    wrong: "This computer’s keychain no longer holds the key to our records.",
    todo: "Restore the keychain from a backup. Until then nothing is changed or lost.",
  },
  storeTooNew: {
    wrong: "These records were written by a newer version of Clinic Companion.",
    todo: "Install the newest version on this computer.",
  },
  storeDamaged: {
    wrong: "Our records were damaged. They were moved aside, and new ones were begun.",
    todo: "Link your practice again. Waiting bookings are looked up in your book before anything is written.",
  },
  storeGone: {
    wrong: "Our records are gone from the data folder. New ones were begun.",
    todo: "Link your practice again. Waiting bookings are looked up in your book before anything is written.",
  },
  keyFileTooOpen: {
    wrong: "Other people may read the key file.",
    todo: "Allow only its owner to read it, then start again.",
  },
  diskFull: {
    wrong: "This computer’s disk is full.",
    todo: "Free some space. We go on by ourselves.",
  },
  folderReadOnly: {
    wrong: "Our data folder cannot be written.",
    todo: "Ask your IT to allow this account to write to it.",
  },
  practiceUnreachable: {
    wrong: "Your practice system does not answer.",
    todo: "Check that its computer is on and that this PC is on the network. We keep trying.",
  },
  practiceCredentialsRefused: {
    wrong: "Your practice system refuses this user name or password.",
    todo: "Type the password of the database account again.",
  },
  signInNeeded: {
    wrong: "Nobody is signed in to your practice system.",
    todo: "Open Connections, “Change” at the practice, and sign in there. What waits here is kept.",
  },
  practiceWriteRefused: {
    wrong: "This account may read your book, but not write into it.",
    todo: "Ask your IT for the missing rights, or choose “Read only” in Connections.",
  },
  practiceSchemaUnknown: {
    wrong: "Your practice system’s tables are not the ones we know, perhaps after an upgrade.",
    todo: "Nothing is read or written until it is checked. Send this to support.",
  },
  profileInvalid: {
    wrong: "The profile of your practice system has a mistake.",
    todo: "Correct the place named below, then test again.",
  },
  partnerUnreachable: {
    wrong: "Healthengine does not answer.",
    todo: "Check this PC’s internet connection. We keep trying, and nothing is lost meanwhile.",
  },
  partnerKeyRefused: {
    wrong: "Healthengine does not know this API key, or not together with this practice (401).",
    todo: "Copy the API key again from the message of Healthengine’s integrations team, and the practice id and key from the consent page.",
  },
  partnerConsentMissing: {
    wrong: "Healthengine has no consent of your practice for these keys (403).",
    todo: "In Practice Admin grant consent again, then paste the practice id and the practice key that are shown there. If the consent page is not there, call Healthengine on 1300 377 639. What waits here is kept.",
  },
  partnerBusy: {
    wrong: "Healthengine asks us to slow down.",
    todo: "Nothing to do: we go on at the pace it wants.",
  },
  partnerGarbled: {
    wrong: "Healthengine has a fault of its own: its answer cannot be understood.",
    todo: "We keep trying. If it lasts, ring Healthengine on 1300 377 639.",
  },
  addressInvalid: {
    wrong: "This address cannot be used.",
    todo: "It needs https://, except on this computer. Check its spelling.",
  },
  timeZoneUnknown: {
    wrong: "This time zone is not known.",
    todo: "Choose the city whose time your practice keeps.",
  },
  inputInvalid: {
    wrong: "Something in these fields cannot be accepted.",
    todo: "Correct what is named below.",
  },
  alreadyLinked: {
    wrong: "This practice is already linked.",
    todo: "Open it in Connections to change it.",
  },
  bookingChanged: {
    wrong: "This booking changed a moment ago.",
    todo: "Look at it again: it is shown as it is now.",
  },
  patientStays: {
    wrong: "The patient of this booking cannot be changed here any more.",
    todo: "Change it in your practice system.",
  },
  bookingUnknown: {
    wrong: "This booking is no longer here.",
    todo: "Its personal details were removed after the retention time.",
  },
  timeNotFree: {
    wrong: "That time has been taken a moment ago.",
    todo: "Choose another one.",
  },
  appointmentNotFound: {
    wrong: "We do not see this appointment in your book yet.",
    todo: "Check day, time and practitioner, and save it in your practice system. Then press the button again.",
  },
  practiceUnknown: {
    wrong: "This practice is no longer linked.",
    todo: "Open Connections to see those that are.",
  },
  fileFailed: {
    wrong: "The file or folder could not be opened or written.",
    todo: "Check that the disk has space and that this account may use the folder.",
  },
  valdUnreachable: {
    wrong: "VALD does not answer.",
    todo: "Check this PC’s internet connection. We keep trying, and nothing is lost meanwhile.",
  },
  valdKeyRefused: {
    wrong: "VALD refuses this client id and secret.",
    todo: "Those of before March 2026 and expired ones do not work any more: ask support@vald.com for new ones.",
  },
  valdTenantRefused: {
    wrong: "VALD does not know this organisation for these credentials.",
    todo: "Compare the organisation id with the one in VALD Hub, or ask support@vald.com to open it for them.",
  },
  accountUnreachable: {
    wrong: "A partner does not answer.",
    todo: "Check this PC’s internet connection. We keep trying, and nothing is lost meanwhile.",
  },
  accountRefused: {
    wrong: "A partner refuses what it was asked.",
    todo: "Open Connections to renew what it was given to sign in with.",
  },
  notLinkedYet: {
    wrong: "This patient is not linked yet.",
    todo: "See what is missing below.",
  },
  patientUnknown: {
    wrong: "This patient is not in your book any more.",
    todo: "Search again.",
  },
  landingInvalid: {
    wrong: "This landing address cannot be used.",
    todo: "Copy it from VALD’s guide for practice systems, or ask support@vald.com.",
  },
  engineStopped: {
    wrong: "Clinic Companion has stopped working on this computer.",
    todo: "Quit it in the tray and start it again. Bookings wait at Healthengine meanwhile.",
  },
  unknown: {
    wrong: "Something went wrong.",
    todo: "Try again. The log has the details: Settings, Logs.",
  },
};

/** Failures of which the program's own words say more than ours do. */
const SAYS_MORE: ErrorCode[] = [
  "practiceWriteRefused",
  "profileInvalid",
  "addressInvalid",
  "timeZoneUnknown",
  "inputInvalid",
  "valdTenantRefused",
  "notLinkedYet",
  "landingInvalid",
  "alreadyLinked",
  "fileFailed",
  "unknown",
];
/** Failures that the program's own words name whole: what, where and since when. */
const SAYS_ALL: ErrorCode[] = [
  "storeDamaged",
  "practiceSchemaUnknown",
  "engineStopped",
  "signInNeeded",
  "accountUnreachable",
  "accountRefused",
];

/** A failure with each fact once. */
export function errorWords(error: UiError): Sentence & { detail: string | null } {
  const { wrong, todo } = ERRORS[error.code];
  if (!error.message) return { wrong, todo, detail: null };
  if (error.code === "practiceSchemaUnknown") return { wrong: error.message, todo, detail: null };
  if (SAYS_ALL.includes(error.code)) return { wrong: error.message, todo: "", detail: null };
  return { wrong, todo, detail: SAYS_MORE.includes(error.code) ? error.message : null };
}

export function errorSentence(code: ErrorCode): Sentence {
  return ERRORS[code];
}

const LIGHTS: Record<Light, string> = {
  ok: "in step",
  working: "on its way",
  attention: "needs you",
  down: "not working",
  paused: "paused",
  unknown: "not known yet",
};

export function lightWord(light: Light): string {
  return LIGHTS[light];
}

const HEADLINES: Record<Headline, string> = {
  starting: "Starting up.",
  notLinked: "Welcome.",
  down: "Something is not working.",
  needsYou: "Something needs you.",
  paused: "Everything is paused.",
  catchingUp: "Catching up.",
  inStep: "Everything is in step.",
};

export function greeting(now: number, zone: string): string {
  const hour = hourOfDay(now, zone);
  if (hour < 12) return "Good morning.";
  return hour < 18 ? "Good afternoon." : "Good evening.";
}

export function headline(view: AppView, now: number): string {
  if (view.headline === "notLinked") return HEADLINES.notLinked;
  if (view.headline === "needsYou" && view.attention.length > 1) {
    return `${greeting(now, view.timeZone)} ${count(view.attention.length)} things need you.`;
  }
  return `${greeting(now, view.timeZone)} ${HEADLINES[view.headline]}`;
}

/** Without a green light beside it a proof is a thing of the past, and is told as one. */
export function freshness(value: Freshness, now: number, zone: string, light: Light): string {
  switch (value.kind) {
    case "inStep":
      return light === "ok"
        ? `Healthengine shows what your book shows, checked ${ago(value.checkedAt, now)}`
        : `Healthengine showed what your book shows when last checked, ${ago(value.checkedAt, now)}`;
    case "onItsWay": {
      const seconds = Math.max(0, (now - Date.parse(value.changedAt)) / 1000);
      return `a change from ${timeWithSeconds(value.changedAt, zone)} is on its way, ${span(seconds)}`;
    }
    case "behind":
      return `Healthengine may not show what your book shows since ${timeOfDay(value.since, zone)}; we keep trying`;
    case "refused":
      return `Healthengine refuses these times since ${timeOfDay(value.since, zone)}: ${value.message}`;
    case "notYet":
      return "nothing published yet";
  }
}

export function waiting(value: WaitingView): string {
  switch (value.kind) {
    case "bookingsToPlace":
      return `${counted(value.count, "booking")} to put into your book`;
    case "answersToSend":
      return `${counted(value.count, "answer")} for Healthengine`;
    case "changesToApply":
      return `${counted(value.count, "cancellation or move", "cancellations or moves")} to carry out`;
    case "decisionsToMake":
      return `${counted(value.count, "booking")} that only a person can decide`;
    case "freeTimesToSend":
      return "free times that Healthengine asks for";
    case "daysToPublish":
      return `${counted(value.count, "day")} of free times to publish`;
  }
}

export function switchOff(view: AppView): string {
  if (view.switchOff.safe) return "Safe to switch off: nothing is waiting.";
  const things = view.switchOff.waiting.map(waiting);
  if (things.length === 0) return "Please leave this PC on for a moment.";
  const undecided = view.switchOff.waiting.some((each) => each.kind === "decisionsToMake");
  return `Please leave this PC on ${undecided ? "until that is done" : "for a moment"}: ${listed(things)}.`;
}

export function progress(value: ProgressView): string {
  return `Publishing free times: ${count(value.done)} of ${count(value.total)} days`;
}

/** How far the profiles of a practice are. */
export function valdCounts(vald: ValdView): string {
  const needing = vald.needsPerson + vald.failed;
  return [
    `${counted(vald.linked, "profile")} linked`,
    ...(vald.pending > 0 ? [`${count(vald.pending)} on their way`] : []),
    ...(needing > 0 ? [`${count(needing)} ${needing === 1 ? "needs" : "need"} somebody`] : []),
  ].join(", ");
}

/** Who or what is linked with a partner. */
export function accountCounts(account: AccountView): string {
  const needing = account.needsPerson + account.failed;
  return [
    `${count(account.linked)} linked`,
    ...(account.pending > 0 ? [`${count(account.pending)} on their way`] : []),
    ...(needing > 0 ? [`${count(needing)} ${needing === 1 ? "needs" : "need"} somebody`] : []),
  ].join(", ");
}

/** The name of a partner that people know. */
export function partnerTitle(view: AppView, partner: string): string {
  if (partner === "vald") return "VALD Hub";
  return view.partners.find((each) => each.name === partner)?.title ?? partner;
}

/** How it stands with a patient's devices. */
export function devicesState(devices: DevicesView): string {
  if (devices.devices.length > 0) return `Connected: ${counted(devices.devices.length, "kind")} of device.`;
  if (devices.registered) return "Registered, and nothing is connected yet.";
  if (devices.withdrawn) return "Consent was refused or withdrawn.";
  if (devices.allowed) return "Consent is recorded. Nothing is registered until a device is to be connected.";
  return "Nobody has asked for consent yet.";
}

/** A kind of device, as people write it. */
export function deviceName(kind: string): string {
  const words = kind.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What somebody agrees to where devices are connected. */
export function consentWords(title: string): string {
  return `The patient connects devices of their own at ${title}. It learns neither who the patient is nor anything from the record: a random name stands for the patient, and only this PC knows whose it is.`;
}

/** How it stands with a patient's record at a partner that joins records. */
export function joinedState(joined: JoinedView): string {
  if (joined.linked) return `Linked: either system finds the other’s record.`;
  if (joined.withdrawn) return "Consent was refused or withdrawn.";
  if (joined.undecided) return "Somebody has to say who is meant.";
  if (joined.allowed) return "Consent is recorded. The record is looked for.";
  return "Nobody has asked for consent yet.";
}

/** What somebody agrees to where records are joined. */
export function joinConsentWords(title: string): string {
  return `${title} is asked whether it has the patient: name, birth date, e-mail address and phone numbers go there for that. Our number for the patient is kept beside the record there, until consent is withdrawn.`;
}

/** How many a partner has, and what former programs left beside them. */
export function joiningCounts(title: string, joining: JoiningView): string {
  return [
    `${title} has ${counted(joining.records, "patient")}`,
    ...(joining.former > 0 ? [`${counted(joining.former, "link")} of a former program`] : []),
  ].join(", ");
}

export function joiningProgress(title: string, value: ProgressView): string {
  return `Joining with ${title}: ${count(value.done)} of ${counted(value.total, "patient")}`;
}

/** What can be said of what a former program left. */
export const FORMER_FITS: Record<FormerFitView, string> = {
  fits: "can be carried over",
  withoutConsent: "waits for consent",
  doubtful: "may be somebody else",
  ambiguous: "named twice",
  unknown: "not in your book",
};

/** What is found before anything is carried over. */
export function formerCounts(found: FormerNamesView): string[] {
  const line = (words: string, many: number) => (many > 0 ? [`${words}: ${count(many)}`] : []);
  return [
    ...line("Can be carried over, because the name leads to the same person in your book", found.fitting),
    ...line("Would fit, and wait for the patient’s consent", found.withoutConsent),
    ...line("May be somebody else; say so on the patient’s card", found.doubtful),
    ...line("Left alone, because two records name the same patient", found.ambiguous),
    ...line("Left alone, because they name nobody in your book", found.unknown),
    ...line("Linked already", found.replaced),
  ];
}

/** A practitioner by name; an invoice by its number, day and total. */
export function joinName(name: JoinNameView): string {
  if (name.date === null && name.totalInCents === null) return name.name || "without a name";
  return [
    name.name === "" ? "without a number" : `no. ${name.name}`,
    ...(name.date === null ? [] : [plainDate(name.date)]),
    ...(name.totalInCents === null ? [] : [(name.totalInCents / 100).toFixed(2)]),
  ].join(", ");
}

export function valdProgress(value: ProgressView): string {
  return `Bringing patients to VALD Hub: ${count(value.done)} of ${counted(value.total, "patient")}`;
}

const LISTS: Record<ListKind, string> = {
  resources: "practitioners",
  appointmentTypes: "appointment types",
  appointments: "booked appointments",
  consents: "consents for VALD Hub",
};

export function listName(list: ListKind): string {
  return LISTS[list];
}

/** How somebody says that so many really left a list, and what comes of it. */
export function shrunkWords(list: ListKind, gone: number): { label: string; question: string; yes: string } {
  switch (list) {
    case "appointments":
      return {
        label: "They are off",
        question: `Healthengine cancels ${counted(gone, "booking")}, and the patients hear of it.`,
        yes: "Cancel them",
      };
    case "consents":
      return {
        label: "They withdrew",
        question: `${counted(gone, "consent")} count as withdrawn, and those profiles are kept in step no longer.`,
        yes: "Withdraw them",
      };
    case "resources":
    case "appointmentTypes":
      return {
        label: "They have left",
        question: `Healthengine takes ${counted(gone, "entry", "entries")} off your list, with all their free times.`,
        yes: "Send the shorter list",
      };
  }
}

const STATES: Record<BookingState, string> = {
  received: "on its way into your book",
  inserted: "in your book, being confirmed",
  confirmed: "confirmed",
  rejected: "declined",
  cancelled: "cancelled",
  attention: "needs you",
};

export function bookingState(state: BookingState): string {
  return STATES[state];
}

const STATE_LIGHTS: Record<BookingState, Light> = {
  received: "working",
  inserted: "working",
  confirmed: "ok",
  rejected: "unknown",
  cancelled: "unknown",
  attention: "attention",
};

export function bookingLight(state: BookingState): Light {
  return STATE_LIGHTS[state];
}

const REASONS: Record<ReasonCode, string> = {
  timeTaken: "somebody else has that time in your book",
  chosenTimeTaken: "somebody else has taken the time that was chosen for it",
  outsideHours: "the time is outside working hours",
  practitionerGone: "the practitioner is not in your book any more",
  typeGone: "the appointment type is not in your book any more",
  timeInvalid: "the time or the length cannot be right",
  patientInvalid: "the patient’s name or birth date cannot be used",
  patientAmbiguous: "more than one patient could be meant",
  readOnly: "this practice is read-only, so a person enters each booking",
  outcomeUnknown: "it is not known whether the appointment was written",
  declinedByPerson: "declined at the desk",
  undecided: "nobody decided in time",
  cancelledByPatient: "the patient cancelled",
  cancelledByPractice: "cancelled in your book",
  removedByPractice: "taken out of your book",
  movedByPractice: "moved in your book, so cancelled on Healthengine",
  didNotAttend: "did not attend",
  other: "for another reason",
};

export function reason(value: ReasonView): string {
  if (value.code === "other" && value.detail) return value.detail;
  return value.detail ? `${REASONS[value.code]}: ${value.detail}` : REASONS[value.code];
}

const MATCHES: Record<PatientMatch, string> = {
  existing: "existing patient",
  created: "new patient",
  possibleDuplicate: "new patient, possibly a duplicate",
};

export function patientMatch(match: PatientMatch, number: string | null): string {
  return number ? `${MATCHES[match]}, no. ${number}` : MATCHES[match];
}

export function patientName(booking: BookingView): string {
  return booking.patientName ?? `Booking ${booking.bookingId}`;
}

/** "today 10:30 am"; a time that does not exist, or exists twice, is shown as it was written. */
export function bookingTime(booking: BookingView, now: number): string {
  return booking.startsAt
    ? dayAndTime(booking.startsAt, booking.timeZone, now)
    : `${wallClock(booking.startsWritten)} (not a time in this zone)`;
}

/** "today 10:30 am, Dr Lee" */
export function bookingPlace(booking: BookingView, now: number): string {
  const parts = [bookingTime(booking, now)];
  if (booking.practitioner) parts.push(booking.practitioner);
  if (booking.appointmentType) parts.push(booking.appointmentType);
  return parts.join(", ");
}

/** "8:51 am", or with its day if that was not today */
export function bookedWhen(booking: BookingView, now: number): string {
  const today = localDate(now, booking.timeZone) === localDate(booking.bookedAt, booking.timeZone);
  return today
    ? timeOfDay(booking.bookedAt, booking.timeZone)
    : dayAndTime(booking.bookedAt, booking.timeZone, now);
}

export function bookingEnd(booking: BookingView): string {
  const parts = [bookingState(booking.state)];
  if (booking.answeredAt && (booking.state === "confirmed" || booking.state === "rejected")) {
    parts[0] += ` after ${duration(Date.parse(booking.answeredAt) - Date.parse(booking.receivedAt))}`;
  }
  if (booking.reason) parts[0] += `: ${reason(booking.reason)}`;
  if (booking.patientMatch) parts.push(patientMatch(booking.patientMatch, booking.patientNumber));
  return parts.join(" · ");
}

/** The question at the top of a booking that needs a person. */
export function needTitle(booking: BookingView, need: NeedView): string {
  const name = patientName(booking);
  switch (need.task.kind) {
    case "choosePatient":
      return need.task.candidates.length > 1 ? `Which ${name} is this?` : `Is this the same ${name}?`;
    case "enterAppointment":
      return `Enter this appointment: ${name}`;
    case "notPlaced":
      return `${name} could not be put into your book`;
    case "tellPatient":
      return `Tell ${name} the new time`;
    case "phonePatient":
      return `Phone ${name}: the appointment does not stand`;
    case "cancelAppointment":
      return `Cancel this appointment: ${name}`;
    case "checkDuplicate":
      return `Is ${name} in your book twice?`;
  }
}

/** What Healthengine still shows the patient. */
function askedPlace(booking: BookingView): string {
  if (!booking.asked) return "the old time";
  const { practitioner, startsWritten } = booking.asked;
  return practitioner ? `${wallClock(startsWritten)}, ${practitioner}` : wallClock(startsWritten);
}

/** What each way to place a booking means, before it is done. */
export function placingWords(booking: BookingView, now: number) {
  const phone = booking.patientPhone ? `: ${booking.patientPhone}` : "";
  return {
    beside: `It goes into your book at the time that the patient asked for, beside what stands there, and is confirmed. Nobody has to be told.`,
    elsewhere: `It goes into your book there and is confirmed. Healthengine goes on showing the patient ${bookingTime(booking, now)}, so phone them${phone}. We remind you.`,
    cancel: "Healthengine tells the patient that the appointment is cancelled.",
    readsOnly:
      "We may only read your book, so only a person can put it there. Enter it at this time with this practitioner, also beside what stands there, then press “I have entered it”: we look again and confirm it. For another time cancel it here, and phone the patient.",
  };
}

export interface DeadlineWords {
  words: string;
  tone: "wait" | "stop";
}

/** Healthengine's clock: another time can still be offered, an answer is due, or overdue. */
export function deadline(value: DeadlinesView, now: number, coarse = false): DeadlineWords {
  const repick = value.repickUntil ? secondsLeft(value.repickUntil, now) : 0;
  if (repick > 0) {
    const left = coarse ? "a few seconds" : minutesAndSeconds(repick);
    return { words: `Healthengine can still offer another time for ${left}`, tone: "wait" };
  }
  const left = secondsLeft(value.answerBy, now);
  if (left > 0) {
    const minutes = Math.floor(left / 60);
    const words = !coarse ? minutesAndSeconds(left) : minutes === 0 ? "less than a minute" : span(left);
    return { words: `answer due in ${words}`, tone: left <= 120 ? "stop" : "wait" };
  }
  const late = Math.max(0, (now - Date.parse(value.answerBy)) / 1000);
  return { words: late < 60 ? "answer overdue" : `answer overdue for ${span(late)}`, tone: "stop" };
}

/** The same for the ear: it changes a few times, not every second. */
export function deadlineSpoken(value: DeadlinesView, now: number): string {
  if (value.repickUntil && secondsLeft(value.repickUntil, now) > 0) {
    return "Healthengine can still offer the patient another time.";
  }
  const left = secondsLeft(value.answerBy, now);
  if (left > 300) return "The answer to Healthengine is due within ten minutes.";
  if (left > 120) return "The answer to Healthengine is due within five minutes.";
  if (left > 60) return "The answer to Healthengine is due within two minutes.";
  return left > 0
    ? "The answer to Healthengine is due within a minute."
    : "Healthengine’s answer is overdue.";
}

export function needExplanation(booking: BookingView, need: NeedView): string {
  switch (need.task.kind) {
    case "choosePatient":
      return "The time is held in your book. Healthengine waits for an answer.";
    case "enterAppointment":
      return "Type these values into your practice system, save, then press Done. We look for it in your book and confirm it.";
    case "notPlaced":
      return booking.reason ? `Because ${reason(booking.reason)}.` : "Healthengine waits for an answer.";
    case "tellPatient":
      return `The appointment stands in your book, and Healthengine knows. But it still shows the patient ${askedPlace(booking)}. Phone them.`;
    case "phonePatient":
      return booking.reason
        ? `Healthengine told the patient that it stands, but ${reason(booking.reason)}. Offer another time on the phone.`
        : "Healthengine told the patient that it stands. Offer another time on the phone.";
    case "cancelAppointment":
      return "The patient cancelled online. Cancel the appointment in your practice system, then press Done. We look into your book and tell Healthengine.";
    case "checkDuplicate":
      return "Nobody decided in time, so the appointment was made under a new record. Open both records in your practice system and merge them there if they are one person.";
  }
}

/** The short line on the overview. */
export function needShort(booking: BookingView, need: NeedView, now: number): string {
  const place = bookingPlace(booking, now);
  if (need.task.kind === "choosePatient" && need.task.candidates[0]) {
    const best = need.task.candidates[0];
    const same = best.fields
      .filter((each) => each.verdict === "same")
      .map((each) => FIELD_NOUNS[each.field] ?? fieldName(each.field).toLowerCase());
    if (same.length > 0) {
      return `Booked for ${place}. Same ${listed(same)}.`;
    }
  }
  const phoning = need.task.kind === "phonePatient" || need.task.kind === "tellPatient";
  if (phoning && booking.patientPhone) return `${booking.patientPhone} · ${place}`;
  return `Booked for ${place}.`;
}

export function needButton(need: NeedView): string {
  switch (need.task.kind) {
    case "choosePatient":
      return "Decide";
    case "enterAppointment":
      return "Enter";
    case "notPlaced":
      return "Decide";
    case "tellPatient":
    case "phonePatient":
      return "Phone";
    case "cancelAppointment":
      return "Cancel";
    case "checkDuplicate":
      return "Compare";
  }
}

export function otherwise(need: NeedView): string {
  switch (need.otherwise) {
    case "newRecord":
      return "If nobody answers, we make a new record and mark it as a possible duplicate.";
    case "declines":
      // By then it is too late for Healthengine to ask the patient for another time.
      return "If nobody decides, we decline, and ask you to phone the patient.";
    case "stays":
      return "If nobody answers, it stays here, in red.";
  }
}

const ACTIONS: Record<BookingAction, string> = {
  samePerson: "Same person",
  newPatient: "New patient",
  decline: "Decline",
  cancel: "Cancel the booking",
  tryAgain: "Try again",
  enteredByHand: "I have entered it",
  placeBeside: "Put it beside",
  placeElsewhere: "Put it at another time",
  patientTold: "I have told the patient",
  patientPhoned: "I have phoned the patient",
  cancelledByHand: "Done",
  duplicateHandled: "Handled",
};

export function actionWord(action: BookingAction, need: NeedView): string {
  if (action === "enteredByHand" && need.task.kind === "enterAppointment") return "Done";
  return ACTIONS[action];
}

/** What declining or cancelling does, before it is done. What is declined late is cancelled there. */
export function actionQuestion(
  action: BookingAction,
  deadlines: DeadlinesView | null,
  now: number,
): string | null {
  if (action !== "decline" && action !== "cancel") return null;
  const repick = deadlines?.repickUntil ? secondsLeft(deadlines.repickUntil, now) : 0;
  return action === "decline" && repick > 0
    ? "Healthengine asks the patient to choose another time."
    : "Healthengine tells the patient that the appointment is cancelled.";
}

const CORRECTION_OVER: Record<CorrectionOver, string> = {
  tooOld: "The patient of a booking can be changed here for 30 days. Change it in your practice system.",
  readOnly: "We may only read your book, so the patient is changed in your practice system.",
};

export function correctionOver(why: CorrectionOver): string {
  return CORRECTION_OVER[why];
}

export function correctionDone(number: string | null): string {
  return number === null ? "Noted: a new record." : `Noted: it is no. ${number}.`;
}

export function actionDone(action: BookingAction): string {
  return `Noted: ${ACTIONS[action].toLowerCase()}.`;
}

const FIELDS: Record<PersonField, string> = {
  name: "Name",
  birthDate: "Born",
  phone: "Mobile",
  email: "E-mail",
  address: "Address",
  gender: "Gender",
  medicare: "Medicare",
  practitioner: "With",
  appointmentType: "Type",
  start: "Starts",
  minutes: "Minutes",
  notes: "Notes",
};

export function fieldName(field: PersonField): string {
  return FIELDS[field];
}

/** A value as a person reads it. */
export function fieldValue(field: PersonField, value: string): string {
  if (field === "birthDate") return plainDate(value);
  if (field === "start") return wallClock(value);
  return value;
}

/** The word for a field within a sentence. */
const FIELD_NOUNS: Partial<Record<PersonField, string>> = {
  birthDate: "birth date",
  phone: "mobile",
  email: "e-mail",
};

const VERDICTS: Record<Verdict, string> = {
  same: "same",
  near: "nearly same",
  differs: "differs",
  missing: "",
};

export function verdict(value: Verdict): string {
  return VERDICTS[value];
}

/** The whole timeline as one paragraph, to be pasted into a message. */
export function historyParagraph(booking: BookingView, entries: HistoryEntry[]): string {
  const sentences = entries.map((entry) => {
    const day = plainDate(localDate(entry.at, booking.timeZone));
    return `${day}, ${timeWithSeconds(entry.at, booking.timeZone)}: ${entry.sentence}`;
  });
  const title = `Healthengine booking ${booking.bookingId}, ${wallClock(booking.startsWritten)}.`;
  return [title, ...sentences].join(" ");
}

export function outage(value: OutageView, zone: string, now: number): string {
  const from = timeOfDay(value.from, zone);
  const day = dayName(localDate(value.from, zone), localDate(now, zone));
  const waited =
    value.bookingsWaited > 0 ? ` ${counted(value.bookingsWaited, "booking")} waited; none was lost.` : "";
  const what = errorSentence(value.code).wrong;
  return value.to
    ? `${from} to ${timeOfDay(value.to, zone)} ${day}: ${what}${waited}`
    : `Since ${from} ${day}: ${what}${waited}`;
}

export function roundTripsSummary(value: RoundTripsView): string {
  if (value.bookings === 0) return "no bookings yet";
  const parts: string[] = [];
  if (value.medianMs !== null) parts.push(`median ${duration(value.medianMs)}`);
  if (value.slowestMs !== null) parts.push(`slowest ${duration(value.slowestMs)}`);
  parts.push(`${counted(value.bookings, "booking")} answered`);
  return parts.join(" · ");
}

/** The strip in words, for those who cannot see it. */
export function roundTripsPicture(value: RoundTripsView): string {
  const number = (light: Light) => value.halfHours.filter((each) => each.light === light).length;
  const parts = [`${counted(number("ok"), "half hour")} without a hitch`];
  if (number("attention") > 0) parts.push(`${number("attention")} with delays`);
  if (number("down") > 0) parts.push(`${number("down")} with an interruption`);
  if (number("unknown") > 0) parts.push(`${number("unknown")} with this PC off`);
  return `Round trips by half hour: ${listed(parts)}.`;
}

/** "6 practitioners, 2 locations, 14,310 patients. Next appointment today 9:00 am, Dr Lee." */
export function systemTest(test: SystemTest): string {
  const found = [
    counted(test.practitioners.length, "practitioner"),
    counted(test.locations.length, "location"),
    counted(test.appointmentTypes, "appointment type"),
    counted(test.patients, "patient"),
  ].join(", ");
  const next = test.nextAppointment
    ? ` Next appointment ${wallClock(test.nextAppointment.startsWritten)}, ${test.nextAppointment.practitioner}.`
    : " No appointment lies ahead.";
  return `${test.version}: ${found}.${next}`;
}

const WRITE_ABILITY: Record<WriteAbility, string> = {
  possible: "This account may read and write.",
  accountReadsOnly:
    "This account may only read. To let Clinic Companion enter bookings, ask your IT for the rights below, then test again.",
  profileReadsOnly:
    "Clinic Companion can only read this practice system. A person enters each booking; we find it and confirm it.",
  versionNotTried:
    "Clinic Companion has not been tried with this version of your practice system, so it only reads. A person enters each booking; we find it and confirm it.",
  databaseReadOnly:
    "The database takes no writing at the moment, perhaps during a backup. Ask your IT, then test again.",
};

export function writeAbility(value: WriteAbility): string {
  return WRITE_ABILITY[value];
}

const FEATURES: Record<FeatureName, { title: string; does: string }> = {
  attachDocuments: {
    title: "Documents from patients",
    does: "Forms and referrals that patients send with a booking are filed for your practice.",
  },
  clientSnapshots: {
    title: "Days with their patients",
    does: "Healthengine reads whole days of your book, with names and phone numbers.",
  },
  documents: {
    title: "Documents for patients",
    does: "Scripts and referrals that your practice lays out are shown to their patients.",
  },
};

export function featureTitle(feature: FeatureName): string {
  return FEATURES[feature].title;
}

export function featureDoes(feature: FeatureName): string {
  return FEATURES[feature].does;
}

/** "on", or why not. */
export function featureState(feature: FeatureView): string {
  if (feature.on) return feature.wanted ? "on" : "being switched off";
  return feature.lacks ?? (feature.wanted ? "being switched on" : "off");
}

/** "REFERRAL · Knee scan", or whichever of the two there is. */
export function documentTitle(document: DocumentView): string {
  const words = [document.kind, document.name].filter((each) => each.trim() !== "");
  return words.length > 0 ? words.join(" · ") : "Document";
}

const PLACES: Record<DocumentPlace, string> = {
  waiting: "on its way",
  practiceSystem: "in your practice system",
  records: "kept here",
};

/** "240 KB, came in today 9:12 am, kept here" */
export function documentLine(document: DocumentView, zone: string, now: number): string {
  const size = document.bytes === null ? [] : [fileSize(document.bytes)];
  return [...size, `came in ${dayAndTime(document.receivedAt, zone, now)}`, PLACES[document.place]].join(
    ", ",
  );
}

const LOG_LEVELS: Record<LogLevel, string> = {
  warn: "Problems only",
  info: "Every change (usual)",
  debug: "Every step (for support)",
};

export function logLevel(level: LogLevel): string {
  return LOG_LEVELS[level];
}

/** How webhooks are doing: one word for the dot, and a sentence that says how often we ask meanwhile. */
export function webhooks(
  value: WebhooksView,
  zone: string,
  teller = "Healthengine",
): { word: string; sentence: string } {
  const asked = `We ask ${teller} every ${span(value.askedEvery)}.`;
  const what = teller === "Healthengine" ? "booking" : "change";
  switch (value.state.kind) {
    case "listenerOff":
      return { word: "off", sentence: `Nothing receives them: switch that on in Settings. ${asked}` };
    case "notReceiving":
      return { word: "not received", sentence: `${value.state.message} ${asked}` };
    case "notSubscribed":
      return {
        word: "not subscribed",
        sentence: `${value.state.message ?? `${teller} is being asked to send them.`} ${asked}`,
      };
    case "unproven":
      return { word: "not proven yet", sentence: `They prove themselves with the next ${what}. ${asked}` };
    case "reliable":
      return {
        word: "arriving",
        sentence: `${what === "booking" ? "Bookings" : "Changes"} are announced at once. ${asked}`,
      };
    case "silent":
      return {
        word: "silent",
        sentence: `Silent since ${timeOfDay(value.state.since, zone)}: a ${what} was found by asking. ${asked} Nothing is lost.`,
      };
  }
}

/** "We may read appointments, so that bookings stand in your calendar." */
export function rightLine(value: RightView): string {
  const right = value.right === null ? "" : ` “${value.right}”`;
  switch (value.state) {
    case "works":
      return `We may read ${value.what}, so that ${value.gains}.`;
    case "unlisted":
      return `We may read ${value.what}, but the right${right} is not listed as ours. Give it to the account, so that ${value.gains}.`;
    case "missing":
      return `We may not read ${value.what}. ${value.right === null ? "Ask Provet Cloud’s support why" : `Give the account the right${right}`}, so that ${value.gains}.`;
  }
}

export function webhooksLight(value: WebhooksView): Light {
  switch (value.state.kind) {
    case "reliable":
      return "ok";
    case "unproven":
    case "notSubscribed":
      return "unknown";
    case "listenerOff":
    case "notReceiving":
    case "silent":
      return "attention";
  }
}

export function webhooksDelivered(value: WebhooksView, zone: string, now: number): string {
  return value.lastDeliveryAt
    ? `Last delivery ${dayAndTime(value.lastDeliveryAt, zone, now)}.`
    : "Nothing was delivered yet.";
}

/** "3 deliveries failed since yesterday 4:10 pm: time-out" */
export function failedDeliveries(value: FailedDeliveriesView, zone: string, now: number): string {
  const why = value.why ? `: ${value.why}` : "";
  const when =
    value.count === 1
      ? dayAndTime(value.firstAt, zone, now)
      : `since ${dayAndTime(value.firstAt, zone, now)}, the last ${dayAndTime(value.lastAt, zone, now)}`;
  return `${counted(value.count, "delivery", "deliveries")} failed ${when}${why}`;
}

/** What there is to say about the listener; nothing while all is well. */
export function listenerState(value: ListenerView): string[] {
  const said: string[] = [];
  if (value.problem) said.push(value.problem);
  if (value.openToOthers) {
    said.push(
      "Other computers can connect to this address. Ask your IT to let nobody but your proxy through.",
    );
  }
  if (value.wrongSources > 0) {
    said.push(
      `${counted(value.wrongSources, "delivery", "deliveries")} turned away since the start, because they came from other addresses.`,
    );
  }
  return said;
}

/** How far a patient's profile in VALD Hub is: an icon, a word and a colour. */
export const VALD_STATES: Record<
  ValdPatientState,
  { word: string; icon: "tick" | "turning" | "question" | "bang" | "dash"; colour: string }
> = {
  linked: { word: "linked", icon: "tick", colour: "ok" },
  onItsWay: { word: "on its way", icon: "turning", colour: "wait" },
  notAsked: { word: "not asked", icon: "question", colour: "quiet" },
  withdrawn: { word: "consent refused or withdrawn", icon: "dash", colour: "quiet" },
  needsPerson: { word: "something is missing", icon: "bang", colour: "wait" },
  refused: { word: "refused by VALD", icon: "bang", colour: "stop" },
  ended: { word: "not kept in step any more", icon: "dash", colour: "quiet" },
};

/** How consent came to us. */
export const CONSENT_HOWS: Record<ConsentHowView, string> = {
  atDesk: "asked at the desk",
  form: "on a form",
  collectedBefore: "collected before",
  practiceSystem: "recorded in the practice system",
};

const LEFT: Record<string, (partner: string) => string> = {
  sent: (partner) => `Sent to ${partner}`,
  not_sent: () => "What was announced did not leave",
  refused: (partner) => `Refused by ${partner}`,
  opened: (partner) => `Page opened in ${partner}`,
  ended: () => "Not kept in step any more",
  consent_given: (partner) => `Consent for ${partner} recorded`,
  consent_withdrawn: (partner) => `Consent for ${partner} refused or withdrawn`,
  unreadable: () => "A line that cannot be read: it was changed, or a newer version wrote it",
  matched: (partner) => `Somebody said which record at ${partner} it is`,
  not_matched: (partner) => `Somebody said which record at ${partner} it is not`,
};

/** What happened, for the list of what left this PC. */
export function leftWords(what: string, partner: string): string {
  return LEFT[what]?.(partner) ?? what;
}

const LINKS: Record<string, string> = {
  linked: "linked",
  pending: "on its way",
  needs_person: "needs somebody",
  conflict: "linked otherwise there",
  failed: "refused",
  ended: "not kept in step any more",
};

/** How far a link to a partner is. */
export function linkWords(state: string): string {
  return LINKS[state] ?? state;
}

/** What somebody presses to choose keys: a chord, one that lacks a key to hold, or keys that mean something else. */
export type PressedKeys = { kind: "others" | "held" } | { kind: "lacking" | "keys"; words: string };

/** By the names that keys are written with; letters and digits come from where they lie on the keyboard. */
const KEY_CODES =
  /^(?:Key([A-Z])|Digit(\d)|(F\d{1,2}|Space|Arrow(?:Up|Down|Left|Right)|Home|End|PageUp|PageDown|Insert))$/;
const HELD_KEYS = ["Control", "Alt", "Shift", "Meta", "AltGraph"];

/** A pressed chord as it is written: "Ctrl+Alt+V". */
export function keysOf(
  event: Pick<KeyboardEvent, "code" | "key" | "ctrlKey" | "altKey" | "shiftKey" | "metaKey">,
): PressedKeys {
  const held = [
    ...(event.ctrlKey ? ["Ctrl"] : []),
    ...(event.altKey ? ["Alt"] : []),
    ...(event.shiftKey ? ["Shift"] : []),
    ...(event.metaKey ? ["Super"] : []),
  ];
  if (HELD_KEYS.includes(event.key)) return { kind: "held" };
  const [, letter, digit, named] = KEY_CODES.exec(event.code) ?? [];
  const key = letter ?? digit ?? named;
  if (key === undefined) return { kind: "others" };
  const words = [...held, key].join("+");
  return { kind: event.ctrlKey || event.altKey || event.metaKey ? "keys" : "lacking", words };
}
