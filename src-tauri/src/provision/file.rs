//! The provisioning file (`interface.md`): its words, and every mistake in them by line and column.

mod accounts;
mod vald;

use super::secret::{GivenSecret, SecretSources};
use crate::compose::{Sockets, SystemSecrets};
use crate::inputs;
use accounts::RawAccount;
use connectors::http::sign_in;
use connectors::partners::healthengine;
use connectors::practices::provet;
use domain::ids::{LocationRef, PracticeId};
use domain::private::SecretString;
use domain::settings::{
    DocumentApi, DocumentRoutes, Feature, HealthengineSettings, ListenerSettings, LiveDay, LiveHours,
    PracticeSettings, ProvetSettings, SecretKind, SystemSettings, WriteMode,
};
use domain::time::{DayRange, MinuteOfDay, PracticeZone};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use std::path::Path;
use toml::Spanned;
use toml::de::DeTable;
use url::Url;
use vald::RawVald;

/// A mistake in the file, where it is, and what to do about it. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Mistake {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What the file wants.
#[derive(Debug)]
pub struct WantedFile {
    /// Of each practice.
    pub practices: Vec<Wanted>,
    /// Of the listener for webhooks; none is switched off.
    pub listener: Option<ListenerSettings>,
}

/// What the file wants of one practice.
#[derive(Debug)]
pub struct Wanted {
    /// The settings.
    pub settings: PracticeSettings,
    /// Its secrets, resolved.
    pub secrets: Vec<(SecretKind, SecretString)>,
}

const POLL_SYSTEM: RangeInclusive<i64> = 1..=300;
const POLL_HEALTHENGINE: RangeInclusive<i64> = 1..=5;
/// With webhooks Healthengine wants to be asked once an hour at least (sheet §6).
const POLL_WITH_WEBHOOKS: RangeInclusive<i64> = 1..=3600;
const HORIZON: RangeInclusive<i64> = 1..=365;
const LONGEST_NAME: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a file of tables")]
struct RawFile {
    #[serde(default)]
    practice: Vec<RawPractice>,
    listener: Option<RawListener>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawListener {
    address: Spanned<String>,
    sources: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default = "yes")]
    check_sources: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawPractice {
    id: Spanned<String>,
    name: Spanned<String>,
    timezone: Spanned<String>,
    #[serde(default = "yes")]
    enabled: bool,
    system: RawSystem,
    healthengine: Option<RawHealthengine>,
    vald: Option<RawVald>,
    provet: Option<Spanned<RawProvet>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawSystem {
    profile: Spanned<String>,
    url: Spanned<String>,
    password: Option<Spanned<GivenSecret>>,
    write: Option<Spanned<String>>,
    locations: Option<Spanned<Vec<Spanned<String>>>>,
    poll_seconds: Option<Spanned<i64>>,
    documents_in: Option<Spanned<String>>,
    documents_out: Option<Spanned<String>>,
    documents_api: Option<Spanned<RawDocumentApi>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawDocumentApi {
    url: Spanned<String>,
    site: Option<Spanned<String>>,
    client_id: Spanned<String>,
    client_secret: Spanned<GivenSecret>,
    user: Spanned<String>,
    password: Spanned<GivenSecret>,
    category: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawHealthengine {
    base_url: Option<Spanned<String>>,
    api_key: Spanned<GivenSecret>,
    practice_id: Spanned<String>,
    practice_key: Spanned<GivenSecret>,
    user_agent_email: Spanned<String>,
    environment: Option<Spanned<String>>,
    horizon_days: Option<Spanned<i64>>,
    poll_seconds: Option<Spanned<i64>>,
    #[serde(default)]
    features: Vec<Spanned<String>>,
    webhook_url: Option<Spanned<String>>,
    #[serde(default)]
    live_hours: BTreeMap<Spanned<String>, Vec<RawRange>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with start and end")]
struct RawRange {
    start: Spanned<String>,
    end: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct RawProvet {
    provet_id: Spanned<i64>,
    client_id: Spanned<String>,
    client_secret: Option<Spanned<GivenSecret>>,
    token_url: Option<Spanned<String>>,
    webhook_url: Option<Spanned<String>>,
    sign_in: Option<Spanned<String>>,
    redirect_url: Option<Spanned<String>>,
}

fn yes() -> bool {
    true
}

/// The practice among `others` that is linked with the same Healthengine account. Two of them would take each other's
/// bookings.
pub fn same_account<'a>(
    settings: &PracticeSettings,
    others: impl IntoIterator<Item = &'a PracticeSettings>,
) -> Option<&'a PracticeSettings> {
    let account = settings.healthengine.as_ref()?;
    others.into_iter().find(|other| {
        other.id != settings.id
            && other.healthengine.as_ref().is_some_and(|known| {
                known.practice_id == account.practice_id && known.base_url == account.base_url
            })
    })
}

fn already_linked(twin: &PracticeSettings) -> String {
    format!(
        "this Healthengine practice is linked as \"{}\" already: give each practice its own practice_id",
        twin.id
    )
}

/// Reads the text of a provisioning file. `folder` is the file's own, from which relative paths start; `stored` are the
/// practices that are linked already.
pub fn read(
    text: &str,
    folder: &Path,
    sources: &SecretSources<'_>,
    sockets: &Sockets,
    stored: &[PracticeSettings],
) -> Result<WantedFile, Mistake> {
    let reader = Reader { text, folder, sources, sockets, stored };
    let unreadable = |error: toml::de::Error| {
        reader.mistake(&error.span().unwrap_or_default(), in_our_words(error.message()))
    };
    let mut whole = DeTable::parse(text).map_err(unreadable)?;
    let accounts = accounts::take(whole.get_mut());
    let raw = RawFile::deserialize(toml::Deserializer::from(whole)).map_err(unreadable)?;
    let listener = raw.listener.as_ref().map(|listener| reader.listener(listener)).transpose()?;
    if raw.practice.is_empty() && listener.is_none() {
        return Err(reader.mistake(&(0..0), "the file names no practice: add a [[practice]] table".into()));
    }
    let mut taken = BTreeSet::new();
    let mut wanted: Vec<Wanted> = Vec::with_capacity(raw.practice.len());
    for (number, practice) in raw.practice.iter().enumerate() {
        let accounts = accounts.get(number).map(Vec::as_slice).unwrap_or_default();
        let read = reader.practice(practice, accounts, &wanted)?;
        let others = wanted.iter().map(|wanted| &wanted.settings);
        if let (Some(account), Some(twin)) = (&practice.healthengine, same_account(&read.settings, others)) {
            return Err(reader.mistake(&account.practice_id.span(), already_linked(twin)));
        }
        wanted.push(read);
        if !taken.insert(practice.id.get_ref().as_str()) {
            let message =
                format!("the id \"{}\" is given twice: give each practice its own", practice.id.get_ref());
            return Err(reader.mistake(&practice.id.span(), message));
        }
    }
    // Those of the store are looked at when the whole file is known: it may have given an account to another practice.
    for (practice, read) in raw.practice.iter().zip(&wanted) {
        let others =
            stored.iter().filter(|stored| !wanted.iter().any(|wanted| wanted.settings.id == stored.id));
        if let (Some(account), Some(twin)) = (&practice.healthengine, same_account(&read.settings, others)) {
            return Err(reader.mistake(&account.practice_id.span(), already_linked(twin)));
        }
    }
    Ok(WantedFile { practices: wanted, listener })
}

struct Reader<'a> {
    text: &'a str,
    folder: &'a Path,
    sources: &'a SecretSources<'a>,
    sockets: &'a Sockets,
    /// The practices that are linked already.
    stored: &'a [PracticeSettings],
}

impl Reader<'_> {
    fn mistake(&self, at: &Range<usize>, message: String) -> Mistake {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Mistake { line, column, message }
    }
    fn listener(&self, raw: &RawListener) -> Result<ListenerSettings, Mistake> {
        let address = inputs::listen_address(raw.address.get_ref())
            .map_err(|wrong| self.mistake(&raw.address.span(), wrong.to_owned()))?;
        let mut settings = ListenerSettings::at(address.to_string());
        settings.check_sources = raw.check_sources;
        if let Some(sources) = &raw.sources {
            if sources.get_ref().is_empty() {
                let message = "no source is named: name one, leave \"sources\" out for Healthengine's own, or set check_sources = false".to_owned();
                return Err(self.mistake(&sources.span(), message));
            }
            self.distinct(sources.get_ref(), "source")?;
            let source = |text: &Spanned<String>| {
                inputs::source_address(text.get_ref())
                    .map(|address| address.to_string())
                    .map_err(|wrong| self.mistake(&text.span(), wrong.to_owned()))
            };
            settings.sources = sources.get_ref().iter().map(source).collect::<Result<_, _>>()?;
        }
        Ok(settings)
    }

    /// A practice. `earlier` stand before it in the file.
    fn practice(
        &self,
        raw: &RawPractice,
        accounts: &[RawAccount<'_>],
        earlier: &[Wanted],
    ) -> Result<Wanted, Mistake> {
        if !PracticeId::is_valid(raw.id.get_ref()) {
            let message = "an id holds 1 to 40 small letters, digits and \"-\", nothing else".to_owned();
            return Err(self.mistake(&raw.id.span(), message));
        }
        let id = PracticeId::new(raw.id.get_ref());
        let name = self.words(&raw.name, "name")?;
        if name.chars().count() > LONGEST_NAME {
            return Err(
                self.mistake(&raw.name.span(), format!("a name has at most {LONGEST_NAME} characters"))
            );
        }
        let zone = PracticeZone::parse(raw.timezone.get_ref()).ok_or_else(|| {
            let message = format!(
                "\"{}\" is no time zone: give its IANA name, such as \"Australia/Melbourne\"",
                raw.timezone.get_ref().escape_debug()
            );
            self.mistake(&raw.timezone.span(), message)
        })?;
        let mut secrets = Vec::new();
        let system = self.system(&raw.system, raw.provet.as_ref(), &mut secrets)?;
        let mut settings = PracticeSettings {
            id,
            name,
            zone,
            enabled: raw.enabled,
            system,
            healthengine: None,
            vald: None,
            accounts: BTreeMap::new(),
        };
        let given = |kind| secrets.iter().find(|(of, _)| *of == kind).map(|(_, secret)| secret.clone());
        let given = SystemSecrets {
            sign_in: None,
            password: given(SecretKind::SystemPassword),
            api_client_secret: given(SecretKind::DocumentApiClientSecret),
            api_password: given(SecretKind::DocumentApiPassword),
        };
        self.sockets
            .open_practice(&settings, given)
            .map_err(|problem| self.mistake(&raw.system.profile.span(), without_stop(problem.sentence)))?;
        if let Some(raw) = &raw.healthengine {
            settings.healthengine = Some(self.healthengine(raw, &settings, &mut secrets)?);
        }
        if let Some(raw) = &raw.vald {
            settings.vald = Some(self.vald(raw, &settings, earlier, &mut secrets)?);
        }
        settings.accounts = self.accounts(accounts, &settings, &mut secrets)?;
        Ok(Wanted { settings, secrets })
    }

    fn system(
        &self,
        raw: &RawSystem,
        account: Option<&Spanned<RawProvet>>,
        secrets: &mut Vec<(SecretKind, SecretString)>,
    ) -> Result<SystemSettings, Mistake> {
        let profile = self.words(&raw.profile, "profile")?;
        let provet = match (profile == provet::NAME, account) {
            (true, Some(account)) => Some(self.provet(account.get_ref(), raw, secrets)?),
            (true, None) => {
                let message = "the account at Provet Cloud is missing: add [practice.provet]".to_owned();
                return Err(self.mistake(&raw.profile.span(), message));
            }
            (false, Some(account)) => {
                let message =
                    "[practice.provet] belongs to the profile \"provet\": choose it, or remove the table"
                        .to_owned();
                return Err(self.mistake(&account.span(), message));
            }
            (false, None) => None,
        };
        let url = match &provet {
            Some(account) => self.provet_host(&raw.url, account.provet_id)?,
            None => self.system_url(&raw.url)?,
        };
        if let Some(password) = &raw.password {
            secrets.push((SecretKind::SystemPassword, self.secret(password)?));
        }
        let write = match raw.write.as_ref().map(|write| write.get_ref().as_str()) {
            None | Some("none") => WriteMode::None,
            Some("sql") => WriteMode::Sql,
            Some("api") => WriteMode::Api,
            Some(_) => {
                let at = raw.write.as_ref().map(Spanned::span).unwrap_or_default();
                return Err(self.mistake(&at, "write is \"none\", \"sql\" or \"api\"".into()));
            }
        };
        let locations = raw.locations.as_ref().map(|list| self.locations(list)).transpose()?;
        let poll_seconds = self.number(raw.poll_seconds.as_ref(), "poll_seconds", POLL_SYSTEM, 5)?;
        if let (Some(api), Some(_)) = (&raw.documents_api, &raw.documents_in) {
            let message =
                "documents from patients go into documents_in or through documents_api: take one of them out";
            return Err(self.mistake(&api.span(), message.to_owned()));
        }
        let api =
            raw.documents_api.as_ref().map(|api| self.document_api(api.get_ref(), secrets)).transpose()?;
        let documents = DocumentRoutes {
            api,
            inward: raw.documents_in.as_ref().map(|path| self.document_folder(path)).transpose()?,
            outward: raw.documents_out.as_ref().map(|path| self.document_folder(path)).transpose()?,
        };
        Ok(SystemSettings { profile, url, write, locations, poll_seconds, documents, provet })
    }

    /// An account at Provet Cloud. Its secret takes the place of a password.
    fn provet(
        &self,
        raw: &RawProvet,
        system: &RawSystem,
        secrets: &mut Vec<(SecretKind, SecretString)>,
    ) -> Result<ProvetSettings, Mistake> {
        if let Some(password) = &system.password {
            let message =
                "Provet Cloud has no password: remove it; the secret stands in [practice.provet]".to_owned();
            return Err(self.mistake(&password.span(), message));
        }
        let provet_id =
            u32::try_from(*raw.provet_id.get_ref()).ok().filter(|id| *id > 0).ok_or_else(|| {
                let message =
                    "provet_id is the number of the practice in the address of Provet Cloud".to_owned();
                self.mistake(&raw.provet_id.span(), message)
            })?;
        let redirect_url = self.redirect_url(raw)?;
        match &raw.client_secret {
            Some(secret) => secrets.push((SecretKind::SystemPassword, self.secret(secret)?)),
            None if redirect_url.is_some() => {}
            None => {
                let message =
                    "client_secret is missing: only with sign_in = \"person\" it may be left out".to_owned();
                return Err(self.mistake(&raw.client_id.span(), message));
            }
        }
        Ok(ProvetSettings {
            redirect_url,
            provet_id,
            client_id: self.words(&raw.client_id, "client_id")?,
            token_url: raw.token_url.as_ref().map(|url| self.token_address(url)).transpose()?,
            webhook_url: raw.webhook_url.as_ref().map(|url| self.web_address(url)).transpose()?,
        })
    }

    /// Where a person's sign-in comes back to; none where the account is the integration's own.
    fn redirect_url(&self, raw: &RawProvet) -> Result<Option<String>, Mistake> {
        let as_person = match raw.sign_in.as_ref().map(|chosen| (chosen.get_ref().as_str(), chosen)) {
            None | Some(("integration", _)) => false,
            Some(("person", _)) => true,
            Some((_, chosen)) => {
                let message = "sign_in is \"integration\" (the default) or \"person\"".to_owned();
                return Err(self.mistake(&chosen.span(), message));
            }
        };
        match &raw.redirect_url {
            Some(url) if !as_person => {
                let message =
                    "redirect_url belongs to sign_in = \"person\": add that, or remove it".to_owned();
                Err(self.mistake(&url.span(), message))
            }
            Some(url) => match sign_in::redirect(url.get_ref()) {
                Ok(_) => Ok(Some(url.get_ref().trim().to_owned())),
                Err(wrong) => Err(self.mistake(&url.span(), wrong.to_string())),
            },
            None => Ok(as_person.then(|| provet::REDIRECT_URL.to_owned())),
        }
    }

    /// The address of tokens keeps the slash at its end, without which Provet answers with a redirect.
    fn token_address(&self, raw: &Spanned<String>) -> Result<String, Mistake> {
        let address = self.web_address(raw)?;
        Ok(if raw.get_ref().trim().ends_with('/') {
            format!("{}/", address.trim_end_matches('/'))
        } else {
            address
        })
    }

    /// The host of Provet Cloud, without anything behind it.
    fn provet_host(&self, raw: &Spanned<String>, provet_id: u32) -> Result<String, Mistake> {
        let host = self.web_address(raw)?;
        match provet::check_host(&host, provet_id) {
            Ok(()) => Ok(host),
            Err(wrong) => Err(self.mistake(&raw.span(), wrong.to_string())),
        }
    }

    fn document_api(
        &self,
        raw: &RawDocumentApi,
        secrets: &mut Vec<(SecretKind, SecretString)>,
    ) -> Result<DocumentApi, Mistake> {
        let site = raw.site.as_ref().map(|site| {
            inputs::site(site.get_ref()).map_err(|wrong| self.mistake(&site.span(), wrong.to_owned()))
        });
        let category = raw.category.as_ref().map(|category| self.words(category, "category"));
        secrets.push((SecretKind::DocumentApiClientSecret, self.secret(&raw.client_secret)?));
        secrets.push((SecretKind::DocumentApiPassword, self.secret(&raw.password)?));
        Ok(DocumentApi {
            url: self.web_address(&raw.url)?,
            site: site.transpose()?.unwrap_or_else(|| DocumentApi::USUAL_SITE.to_owned()),
            client_id: self.words(&raw.client_id, "client_id")?,
            user: self.words(&raw.user, "user")?,
            category: category.transpose()?.unwrap_or_else(|| DocumentApi::USUAL_CATEGORY.to_owned()),
        })
    }

    /// A folder for documents; one that is not whole starts from the file's own.
    fn document_folder(&self, raw: &Spanned<String>) -> Result<String, Mistake> {
        let typed = self.words(raw, "folder")?;
        let whole = self.folder.join(typed);
        inputs::document_folder(&whole.display().to_string())
            .map_err(|wrong| self.mistake(&raw.span(), wrong.to_owned()))
    }

    fn locations(&self, list: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<LocationRef>, Mistake> {
        if list.get_ref().is_empty() {
            let message =
                "no location is named: name one, or leave \"locations\" out for all of them".to_owned();
            return Err(self.mistake(&list.span(), message));
        }
        self.distinct(list.get_ref(), "location")?;
        list.get_ref().iter().map(|id| Ok(LocationRef::new(self.words(id, "location")?))).collect()
    }

    fn system_url(&self, raw: &Spanned<String>) -> Result<String, Mistake> {
        let wrong = |message: &str| Err(self.mistake(&raw.span(), message.to_owned()));
        let text = self.words(raw, "url")?;
        let scheme = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
        match scheme.as_str() {
            "sqlite" => {
                let (_, path) = text.split_once(':').unwrap_or_default();
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() {
                    return wrong("the url names no file: write \"sqlite:\" and the file's whole path");
                }
                let whole = self.folder.join(path);
                Ok(format!("sqlite:{}", whole.display()))
            }
            "mysql" => match Url::parse(&text) {
                Ok(url) if url.password().is_some() => {
                    wrong("a password stands in the url: take it out, and give it as \"password\" instead")
                }
                Ok(url) if url.host().is_none() || url.path().trim_matches('/').is_empty() => {
                    wrong("the url has the form mysql://USER@HOST:PORT/DATABASE")
                }
                Ok(_) => Ok(text),
                Err(_) => wrong("the url has the form mysql://USER@HOST:PORT/DATABASE"),
            },
            "odbc" => wrong("this version does not speak ODBC yet; use sqlite: or mysql://"),
            "https" => wrong(
                "https:// is for Provet Cloud: choose the profile \"provet\", or use sqlite: or mysql://",
            ),
            "http" => wrong("http:// is not accepted here; use sqlite: or mysql://"),
            _ => wrong("the url begins with sqlite: or mysql://"),
        }
    }

    fn healthengine(
        &self,
        raw: &RawHealthengine,
        practice: &PracticeSettings,
        secrets: &mut Vec<(SecretKind, SecretString)>,
    ) -> Result<HealthengineSettings, Mistake> {
        let base_url = match &raw.base_url {
            Some(url) => self.web_address(url)?,
            None => healthengine::BASE_URL.to_owned(),
        };
        let webhook_url = raw.webhook_url.as_ref().map(|url| self.web_address(url)).transpose()?;
        let poll_seconds = match (&raw.poll_seconds, &webhook_url) {
            (Some(raw), None) if *raw.get_ref() > *POLL_HEALTHENGINE.end() => {
                let message = "poll_seconds lies between 1 and 5; with webhook_url, up to 3600".to_owned();
                return Err(self.mistake(&raw.span(), message));
            }
            (raw, _) => self.number(raw.as_ref(), "poll_seconds", POLL_WITH_WEBHOOKS, 5)?,
        };
        self.distinct(&raw.features, "feature")?;
        for feature in &raw.features {
            let names = Feature::ALL.map(Feature::name);
            if !names.contains(&feature.get_ref().as_str()) {
                let message = format!("there is no such feature: choose from {}", names.join(", "));
                return Err(self.mistake(&feature.span(), message));
            }
        }
        let environment = match &raw.environment {
            Some(name) => name.get_ref().clone(),
            None => "PROD".to_owned(),
        };
        if !["DEV", "UAT", "PROD"].contains(&environment.as_str()) {
            let at = raw.environment.as_ref().map(Spanned::span).unwrap_or_default();
            return Err(self.mistake(&at, "environment is \"DEV\", \"UAT\" or \"PROD\"".into()));
        }
        let account = HealthengineSettings {
            base_url,
            practice_id: self.words(&raw.practice_id, "practice_id")?,
            user_agent_email: self.email(&raw.user_agent_email)?,
            environment,
            horizon_days: self.number(raw.horizon_days.as_ref(), "horizon_days", HORIZON, 60)?,
            poll_seconds,
            webhook_url,
            features: raw.features.iter().map(|feature| feature.get_ref().clone()).collect(),
            live_hours: self.live_hours(&raw.live_hours)?,
        };
        let api_key = self.secret(&raw.api_key)?;
        let practice_key = self.secret(&raw.practice_key)?;
        self.sockets
            .healthengine(&account, &practice.id, practice.zone, &api_key, &practice_key)
            .map_err(|problem| self.mistake(&raw.practice_id.span(), without_stop(problem.sentence)))?;
        secrets.push((SecretKind::HealthengineApiKey, api_key));
        secrets.push((SecretKind::HealthenginePracticeKey, practice_key));
        Ok(account)
    }

    fn web_address(&self, raw: &Spanned<String>) -> Result<String, Mistake> {
        let text = self.words(raw, "address")?;
        inputs::web_address(&text).map_err(|wrong| self.mistake(&raw.span(), wrong.to_owned()))
    }

    fn email(&self, raw: &Spanned<String>) -> Result<String, Mistake> {
        if inputs::is_email(raw.get_ref()) {
            return Ok(raw.get_ref().clone());
        }
        Err(self.mistake(&raw.span(), "this is not an e-mail address, such as it@example.com.au".into()))
    }

    fn live_hours(&self, raw: &BTreeMap<Spanned<String>, Vec<RawRange>>) -> Result<LiveHours, Mistake> {
        let mut weekdays = BTreeMap::new();
        for (name, ranges) in raw {
            let day = LiveDay::ALL.into_iter().find(|day| day.name() == name.get_ref()).ok_or_else(|| {
                let days = LiveDay::ALL.map(LiveDay::name).join(", ");
                self.mistake(&name.span(), format!("there is no such day: the days are {days}"))
            })?;
            let ranges = ranges.iter().map(|range| self.range(range)).collect::<Result<_, _>>()?;
            weekdays.insert(day, ranges);
        }
        Ok(LiveHours { weekdays })
    }

    fn range(&self, raw: &RawRange) -> Result<DayRange, Mistake> {
        let time = |text: &Spanned<String>| {
            MinuteOfDay::parse(text.get_ref())
                .ok_or_else(|| self.mistake(&text.span(), "a time has the form \"HH:MM\"".into()))
        };
        let (start, end) = (time(&raw.start)?, time(&raw.end)?);
        DayRange::new(start, end).ok_or_else(|| {
            let message = "a stretch ends after it begins and does not go past midnight: split it in two";
            self.mistake(&raw.end.span(), message.into())
        })
    }

    fn secret(&self, given: &Spanned<GivenSecret>) -> Result<SecretString, Mistake> {
        self.sources
            .resolve(given.get_ref())
            .map_err(|problem| self.mistake(&given.span(), problem.to_string()))
    }

    fn number(
        &self,
        raw: Option<&Spanned<i64>>,
        key: &str,
        range: RangeInclusive<i64>,
        default: u32,
    ) -> Result<u32, Mistake> {
        let Some(raw) = raw else { return Ok(default) };
        let fitting = range.contains(raw.get_ref()).then(|| u32::try_from(*raw.get_ref()).ok()).flatten();
        fitting.ok_or_else(|| {
            let message = format!("{key} lies between {} and {}", range.start(), range.end());
            self.mistake(&raw.span(), message)
        })
    }

    /// Text for people or programs: not empty, on one line, without blanks around it.
    fn words(&self, raw: &Spanned<String>, key: &str) -> Result<String, Mistake> {
        let text = raw.get_ref().trim();
        if text.is_empty() {
            return Err(self.mistake(&raw.span(), format!("{key} is empty: fill it in")));
        }
        if text.chars().any(char::is_control) {
            return Err(self.mistake(&raw.span(), format!("{key} holds a character that cannot be shown")));
        }
        Ok(text.to_owned())
    }

    fn distinct(&self, list: &[Spanned<String>], what: &str) -> Result<(), Mistake> {
        let mut seen = BTreeSet::new();
        match list.iter().find(|item| !seen.insert(item.get_ref())) {
            None => Ok(()),
            Some(twice) => {
                Err(self.mistake(&twice.span(), format!("this {what} is given twice: remove one")))
            }
        }
    }
}

/// The parser's words as advice. The value that stands there is left out, because it may be a secret in the wrong place.
fn in_our_words(message: &str) -> String {
    let message = message.trim();
    let advice = if message.starts_with("missing field") {
        "add it"
    } else if message.starts_with("unknown field") {
        "correct or remove it"
    } else {
        ""
    };
    if !advice.is_empty() {
        return format!("{}; {advice}", message.replace("field", "key").replace('`', "\""));
    }
    let Some(rest) = message.strip_prefix("invalid type: ") else { return message.to_owned() };
    let found = rest.split(['`', '"', ',']).next().unwrap_or_default().trim();
    let found = match found {
        "map" => "a table",
        "sequence" => "a list",
        "string" => "a text",
        "integer" => "a number",
        "floating point" => "a number with a point",
        "boolean" => "true or false",
        other => other,
    };
    let expected = rest.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
    let expected = match expected {
        "a string" => "a text in quotes",
        "a sequence" => "a list ([[…]] or […])",
        "a boolean" => "true or false",
        "i64" => "a whole number",
        "f64" => "a number",
        other => other,
    };
    format!("{found} stands where {expected} belongs")
}

fn without_stop(mut sentence: String) -> String {
    if sentence.ends_with('.') {
        sentence.pop();
    }
    sentence
}
