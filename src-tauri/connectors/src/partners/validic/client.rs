//! The requests: the token in every address, which is never written down, the budget of an hour, and what a failure means
//! for this partner.

use chrono::NaiveDate;
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ids::{ForeignProfileId, SyncId};
use domain::ports::enrolment::{DeviceChange, DevicePage, Enrolled, Enrolling};
use domain::private::{ExposeSecret, SecretString};
use reqwest::Method;

use super::{Account, INFORM_V2, LEGACY_V1, SetupError, TOKEN, translate, wire};
use crate::card::FieldMistake;
use crate::http::{Endpoint, Http, NOTHING, Reply, fingerprint};

/// Where requests go unless the settings say otherwise (contract sheet §1, §9).
const BASE_URL: &str = "https://api.v2.validic.com";
const LEGACY_BASE_URL: &str = "https://api.validic.com";

/// Requests in each full hour for one token, of all computers (contract sheet §7).
const PER_HOUR: u32 = 2000;

/// Entries on one page. As many as the list of users takes (contract sheet §3); fewer may come.
const PAGE: &str = "1000";
/// The same for users in the form of 2015, which gives out no more.
const LEGACY_PAGE: &str = "200";
/// More pages than these no clinic has.
const MOST_PAGES: u64 = 100;

/// Nobody's id: in the form of 2015, asking for it tells whether the token is taken.
const NOBODY: &str = "000000000000000000000000";

/// A request without a body.
const NO_BODY: Option<&()> = None;

/// One organisation.
pub struct Client {
    endpoint: Endpoint,
    writing: Endpoint,
    form: Form,
    organisation_id: String,
    token: SecretString,
    zone: String,
    organisation: String,
    fingerprint: String,
}

/// Which of the two forms of the API it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    InformV2,
    LegacyV1,
}

impl Client {
    pub fn new(account: &Account<'_>, http: &Http) -> Result<Self, SetupError> {
        let (form, usual) = match account.text("api") {
            LEGACY_V1 => (Form::LegacyV1, LEGACY_BASE_URL),
            INFORM_V2 | "" => (Form::InformV2, BASE_URL),
            _ => {
                let why = format!("api: it is {INFORM_V2} or {LEGACY_V1}");
                return Err(FieldMistake { key: Some("api"), why }.into());
            }
        };
        let organisation_id = checked_organisation(account.text("organization_id"))?;
        let token = account.secret(&TOKEN)?;
        let host = Some(account.text("base_url")).filter(|url| !url.is_empty()).unwrap_or(usual);
        let fingerprint =
            fingerprint(&[host, &organisation_id, account.text("api"), token.expose_secret().trim()]);
        // Its id is one in all the world, and outlasts a move to another address or form (contract sheet §1, §9). Who is
        // who there would be lost with it.
        let organisation = crate::http::fingerprint(&[&organisation_id]);
        let key = crate::http::fingerprint(&[host, token.expose_secret().trim()]);
        let base = if form == Form::LegacyV1 { format!("{host}/v1") } else { host.to_owned() };
        let endpoint = http.endpoint(&base)?;
        let named = if form == Form::LegacyV1 { "access_token" } else { "token" };
        let bare = endpoint.with_shared_key(&key).with_budget(http, &key, PER_HOUR).with_plain_bodies();
        let endpoint = bare.clone().secret_query(named, "token", token)?;
        Ok(Self {
            // The form of 2015 wants the token in the body of what is written.
            writing: if form == Form::LegacyV1 { bare } else { endpoint.clone() },
            endpoint,
            form,
            organisation_id,
            token: token.expose_secret().trim().into(),
            zone: account.zone.name().to_owned(),
            organisation,
            fingerprint,
        })
    }

    /// A short text that differs whenever address, organisation, form or token differ, and tells none of them.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The same for the organisation alone.
    pub fn organisation(&self) -> &str {
        &self.organisation
    }

    /// Sends nothing any more.
    pub fn retire(&self) {
        self.endpoint.retire(NOTHING);
        self.writing.retire(NOTHING);
    }

    /// What is sent of somebody who is registered.
    pub fn fields(&self) -> Vec<&'static str> {
        match self.form {
            Form::InformV2 => vec!["uid", "location.timezone", "location.country_code"],
            Form::LegacyV1 => vec!["uid"],
        }
    }

    fn users<'a>(&'a self, further: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["organizations", self.organisation_id.as_str()];
        path.extend(further);
        path
    }

    async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Reply, ReadError> {
        match self.endpoint.ask(Method::GET, path, query, NO_BODY).await {
            Ok(reply) => Ok(reply),
            Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => Err(ours(error)),
            Err(WriteError::Refused(refusal)) => Err(ReadError::Invalid(refusal.to_string())),
        }
    }

    /// Whether the token is taken for this organisation.
    pub async fn check(&self) -> Result<(), ReadError> {
        match self.form {
            Form::InformV2 => read(self.get(&self.users(&["users"]), &[("limit", "1")]).await?).map(drop),
            Form::LegacyV1 => {
                let path = self.users(&["users", NOBODY, "refresh_token.json"]);
                match read(self.get(&path, &[]).await?) {
                    Ok(_) | Err(ReadError::NotFound) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    pub async fn enrol(&self, name: &SyncId) -> Result<Enrolling, WriteError> {
        let uid = name.as_str();
        let reply = match self.form {
            Form::InformV2 => {
                let country_code = translate::country(&self.zone);
                let location = wire::Location { timezone: &self.zone, country_code };
                let user = wire::NewUser { uid, location };
                self.writing.ask(Method::POST, &self.users(&["users"]), &[], Some(&user)).await
            }
            Form::LegacyV1 => {
                let access_token = self.token.expose_secret();
                let user = wire::LegacyNewUser { user: wire::LegacyUid { uid }, access_token };
                self.writing.ask(Method::POST, &self.users(&["users.json"]), &[], Some(&user)).await
            }
        };
        let reply = reply.map_err(our_write)?;
        if is_taken(&reply) {
            return Ok(Enrolling::NameTaken);
        }
        let reply = written(reply)?;
        // It is done, whatever the answer looks like: a look tells the rest.
        let enrolled = match self.form {
            Form::InformV2 => reply.json().and_then(|user| translate::enrolled(user, name)),
            Form::LegacyV1 => reply.json().and_then(|made| self.legacy_enrolled(made)),
        };
        enrolled.map(Enrolling::New).map_err(WriteError::Unknown)
    }

    fn legacy_enrolled(&self, made: wire::LegacyMade) -> Result<Enrolled, ReadError> {
        let page = self.legacy_page(&made.user.access_token)?;
        Ok(Enrolled { id: ForeignProfileId::new(made.user.id), page: Some(page), devices: None })
    }

    /// Where a patient connects devices, in the form of 2015 (contract sheet §9).
    fn legacy_page(&self, token: &str) -> Result<DevicePage, ReadError> {
        translate::page(&format!("https://app.validic.com/{}/{token}", self.organisation_id))
    }

    /// Who is registered under a name. By its name: the partner's own id in its place is answered with 404 (contract
    /// sheet §3).
    pub async fn enrolled(&self, name: &SyncId) -> Result<Option<Enrolled>, ReadError> {
        if self.form == Form::LegacyV1 {
            return self.legacy_listed(name).await;
        }
        match read(self.get(&self.users(&["users", name.as_str()]), &[]).await?) {
            Ok(reply) => translate::enrolled(reply.json()?, name).map(Some),
            Err(ReadError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The form of 2015 cannot be asked for a name, but lists everybody, a page at a time. That is dear, and done only
    /// where an answer was lost.
    async fn legacy_listed(&self, name: &SyncId) -> Result<Option<Enrolled>, ReadError> {
        let mut seen = 0;
        for _ in 0..MOST_PAGES {
            let offset = seen.to_string();
            let query = [("limit", LEGACY_PAGE), ("offset", offset.as_str())];
            let reply = read(self.get(&self.users(&["users.json"]), &query).await?)?;
            let wire::LegacyUsers { users } = reply.json()?;
            if users.is_empty() {
                return Ok(None);
            }
            seen += users.len();
            for user in users {
                match user.uid {
                    Some(uid) if uid == name.as_str() => {
                        let id = ForeignProfileId::new(user.id);
                        return Ok(Some(Enrolled { id, page: None, devices: None }));
                    }
                    Some(_) => {}
                    None => return Err(ReadError::Invalid("its list of patients names nobody".to_owned())),
                }
            }
        }
        Ok(None)
    }

    pub async fn renew_page(&self, name: &SyncId, id: &ForeignProfileId) -> Result<DevicePage, WriteError> {
        match self.form {
            Form::InformV2 => {
                let path = self.users(&["users", name.as_str(), "marketplace"]);
                let reply = self.writing.ask(Method::POST, &path, &[], NO_BODY).await.map_err(our_write)?;
                let renewed = written(reply)?.json::<wire::Renewed>();
                renewed
                    .and_then(|renewed| translate::page(&renewed.marketplace.url))
                    .map_err(WriteError::Unknown)
            }
            Form::LegacyV1 => {
                let path = self.users(&["users", id.as_str(), "refresh_token.json"]);
                let reply = self.endpoint.ask(Method::GET, &path, &[], NO_BODY).await.map_err(our_write)?;
                let renewed = written(reply)?.json::<wire::LegacyRenewed>();
                let page = renewed.and_then(|renewed| self.legacy_page(&renewed.user.authentication_token));
                page.map_err(WriteError::Unknown)
            }
        }
    }

    /// Removes somebody. Nobody there is as good.
    pub async fn remove(&self, name: &SyncId, id: Option<&ForeignProfileId>) -> Result<(), WriteError> {
        let reply = match (self.form, id) {
            (Form::InformV2, _) => {
                let path = self.users(&["users", name.as_str()]);
                self.writing.ask(Method::DELETE, &path, &[], NO_BODY).await
            }
            (Form::LegacyV1, Some(id)) => {
                let file = format!("{id}.json");
                let path = self.users(&["users", &file]);
                let body = wire::LegacyToken { access_token: self.token.expose_secret() };
                self.writing.ask(Method::DELETE, &path, &[], Some(&body)).await
            }
            // Without its id, which an answer that got lost would have said, nobody can be named to this form.
            (Form::LegacyV1, None) => {
                let why = "the answer that named the patient's id was lost; ask Validic's support to remove the name";
                return Err(WriteError::Refused(Refusal::Other(why.to_owned())));
            }
        };
        match written(reply.map_err(our_write)?) {
            Ok(_) | Err(WriteError::Untouched(ReadError::NotFound)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What was connected from `first` to `last`. Whether pages can be asked for is not written down: where an answer is
    /// another page than was asked for, the days are asked for in smaller pieces instead.
    pub async fn changes(&self, first: NaiveDate, last: NaiveDate) -> Result<Vec<DeviceChange>, ReadError> {
        if self.form == Form::LegacyV1 {
            // The form of 2015 has no such question; that it answers is worth knowing.
            return self.check().await.map(|()| Vec::new());
        }
        let mut found = Vec::new();
        let mut spans = vec![(first, last)];
        while let Some((first, last)) = spans.pop() {
            match self.changes_within(first, last).await? {
                Some(some) => found.extend(some),
                None => {
                    let middle = first + (last - first) / 2;
                    // The earlier half is taken first.
                    spans.push((middle.succ_opt().unwrap_or(last), last));
                    spans.push((first, middle));
                }
            }
        }
        Ok(found)
    }

    /// None where the days have to be asked for in smaller pieces.
    async fn changes_within(
        &self,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<Option<Vec<DeviceChange>>, ReadError> {
        let (from, to) = (first.to_string(), last.to_string());
        let mut found: Vec<DeviceChange> = Vec::new();
        let mut seen: u64 = 0;
        for page in 0..MOST_PAGES {
            let number = page.to_string();
            let mut query = vec![("start_date", from.as_str()), ("end_date", to.as_str()), ("limit", PAGE)];
            if page > 0 {
                query.push(("page", &number));
            }
            let reply = read(self.get(&self.users(&["connections"]), &query).await?)?;
            let wire::Connections { connections, meta } = reply.json()?;
            if page > 0 && meta.is_none_or(|meta| meta.page != page) {
                return Ok(if first < last { None } else { Some(found) });
            }
            let came = u64::try_from(connections.len()).unwrap_or(u64::MAX);
            seen = seen.saturating_add(came);
            found.extend(translate::changes(connections));
            if came == 0 || meta.is_none_or(|meta| seen >= meta.total) {
                break;
            }
        }
        Ok(Some(found))
    }
}

/// An organisation's id stands in the address of each request, so that it is nothing but letters and digits.
fn checked_organisation(typed: &str) -> Result<String, SetupError> {
    let typed = typed.trim();
    let valid =
        !typed.is_empty() && typed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if valid {
        return Ok(typed.to_owned());
    }
    let why = "organization_id: it is made of letters and digits alone; copy it again from the dashboard"
        .to_owned();
    Err(FieldMistake { key: Some("organization_id"), why }.into())
}

/// 401 is a token that does not belong to the organisation, 403 one that is not taken at all (contract sheet §3): both are
/// mended by entering the right one.
fn ours(error: ReadError) -> ReadError {
    if matches!(error, ReadError::NoConsent) { ReadError::NotAuthorised } else { error }
}

fn our_write(error: WriteError) -> WriteError {
    match error {
        WriteError::Untouched(error) => WriteError::Untouched(ours(error)),
        WriteError::Unknown(error) => WriteError::Unknown(ours(error)),
        WriteError::Refused(refusal) => WriteError::Refused(refusal),
    }
}

fn read(reply: Reply) -> Result<Reply, ReadError> {
    match written(reply) {
        Ok(reply) => Ok(reply),
        Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => Err(error),
        Err(WriteError::Refused(refusal)) => Err(ReadError::Invalid(refusal.to_string())),
    }
}

/// A reply that worked, or what it means that it did not.
fn written(reply: Reply) -> Result<Reply, WriteError> {
    let Some(failure) = reply.failure() else { return Ok(reply) };
    match our_write(failure) {
        // 400 and 422 say in words what is wrong (contract sheet §3).
        WriteError::Untouched(ReadError::Invalid(unexplained)) => {
            let words = translate::said(&reply.body).words;
            let words = if words.is_empty() { unexplained } else { words };
            Err(WriteError::Refused(Refusal::Other(words)))
        }
        other @ (WriteError::Untouched(_) | WriteError::Unknown(_) | WriteError::Refused(_)) => Err(other),
    }
}

/// Which status a name gets that is there already is not written down (contract sheet §3, §13): 409, or 422 about the
/// name that does not find fault with its form.
fn is_taken(reply: &Reply) -> bool {
    match reply.status.as_u16() {
        409 => true,
        422 => {
            let said = translate::said(&reply.body);
            let words = said.words.to_lowercase();
            let is_about_form = words.contains("invalid") || words.contains("blank");
            let is_about_name = said.fields.contains("uid") && !is_about_form;
            is_about_name || words.contains("already") || words.contains("taken")
        }
        _ => false,
    }
}
