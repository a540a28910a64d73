//! Requests to OpenEMR: a token in the name of a user, and a document posted into a patient's record.

use std::sync::Arc;

use domain::failure::{ReadError, WriteError};
use domain::ids::PatientRef;
use domain::ports::documents::FilingError;
use domain::private::SecretString;
use domain::settings::DocumentApi;
use url::Url;

use crate::http::{
    Endpoint, EndpointError, FormFile, Grant, Haste, Http, TokenClient, TokenError, Tokens, failed_with,
    fingerprint, is_about_certificate,
};

/// What a token is asked for. OpenEMR grants what the client is registered for and leaves the rest out. The spelling is
/// the older one, which every version takes.
const SCOPES: &[&str] = &["openid", "api:oemr", "user/document.read", "user/document.write"];
/// `user/document.write`, or `user/document.crs` as newer versions may spell what was granted.
const CREATES: &[&str] = &["user/document.write", "user/document.c"];
/// A number that no patient has. Asked for its documents, OpenEMR says whether it lets us ask.
const NOBODY: &str = "0";

const CREDENTIALS: &str = "does not take the client id, the client secret, or the user's name and password: enter them again, and see under Administration → System → API Clients that the client is enabled";
const GRANT_OFF: &str = "gives this program no token: switch on the OAuth2 Password Grant for users under Administration → Config → Connectors, and allow it to the client where its page under API Clients has such a choice";
const SCOPE_MISSING: &str = "lets this program file no documents: register the client anew with the scopes openid, api:oemr, user/document.read and user/document.write";
const RIGHT_MISSING: &str = "does not let the user file documents: give the user a group that may write documents, under Administration → Users and → ACL (patients, docs)";
const API_OFF: &str = "has its REST API switched off: enable the OpenEMR Standard REST API under Administration → Config → Connectors";
const WRONG_PLACE: &str = "has no API at this address: check address and site, and that the OpenEMR Standard REST API is enabled under Administration → Config → Connectors";
const UNTRUSTED: &str = "has a certificate that this computer does not trust: give the server one from a known authority, or install the clinic's own authority on this computer";

/// What became of a document that was posted.
#[derive(Debug)]
pub enum Posted {
    /// It stands in the record.
    Stored,
    /// OpenEMR looked at it and did not take it: its type, its size.
    TurnedAway,
    /// OpenEMR did nothing with it.
    NotSent(FilingError),
    /// It may stand in the record.
    Unknown(FilingError),
}

/// OpenEMR's API for documents, as one user of one site.
pub struct DocumentPost {
    endpoint: Endpoint,
    tokens: Arc<Tokens>,
    site: String,
    /// As the API takes it: `/patientinformation/forms`.
    category: String,
}

impl DocumentPost {
    /// Nothing is sent before something is asked.
    ///
    /// # Errors
    /// [`EndpointError`] says what is wrong with the address or the credentials.
    pub fn new(
        api: &DocumentApi,
        client_secret: &SecretString,
        password: &SecretString,
        http: &Http,
    ) -> Result<Self, EndpointError> {
        let endpoint = http.endpoint(&api.url)?;
        let mut token_url = Url::parse(api.url.trim()).map_err(|_| EndpointError::NotAnAddress)?;
        token_url
            .path_segments_mut()
            .map_err(|()| EndpointError::NotAnAddress)?
            .pop_if_empty()
            .extend(["oauth2", &api.site, "token"]);
        let tokens = http.tokens(&TokenClient {
            url: token_url.as_str(),
            client_id: &SecretString::from(api.client_id.as_str()),
            client_secret: Some(client_secret),
            grant: Grant::User {
                name: &api.user,
                password,
                extra: ("user_role", "users"),
                scopes: SCOPES,
                needed: CREATES,
            },
        })?;
        let tokens = Arc::new(tokens);
        let account = fingerprint(&[&api.url, &api.site, &api.client_id, &api.user]);
        let endpoint = endpoint.with_tokens(Arc::clone(&tokens)).with_shared_key(&account);
        let category: String = category_parts(&api.category).iter().map(|part| format!("/{part}")).collect();
        Ok(Self { endpoint, tokens, site: api.site.clone(), category })
    }

    /// Whether documents could be posted, apart from their category, which the API does not tell.
    ///
    /// # Errors
    /// [`FilingError`] says in words who has to do what.
    pub async fn check(&self) -> Result<(), FilingError> {
        self.tokens.good().await.map_err(without_token)?;
        let query = [("path", self.category.as_str())];
        let answer: Result<Option<serde_json::Value>, ReadError> =
            self.endpoint.read_if_any(&self.path(NOBODY), &query, Haste::Normal).await;
        match answer {
            // 404 for nobody's documents, and in newer versions 400 for nobody, are the answers to whoever may ask.
            Ok(_) | Err(ReadError::NotFound | ReadError::Invalid(_)) => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    /// Puts a document into a patient's record. `name` holds letters, digits, `_` and `.` only.
    pub async fn post(&self, patient: &PatientRef, name: &str, format: &str, content: &[u8]) -> Posted {
        // Asked for by itself, so that a token service that is not there is not taken for a document that is not taken.
        if let Err(error) = self.tokens.good().await {
            return Posted::NotSent(without_token(error));
        }
        let query = [("path", self.category.as_str())];
        let file = FormFile { field: "document", name, format, content };
        let answer: Result<serde_json::Value, WriteError> =
            self.endpoint.upload(&self.path(patient.as_str()), &query, &file).await;
        match answer {
            Ok(serde_json::Value::Bool(true)) => Posted::Stored,
            Ok(_) => Posted::Unknown(FilingError::SetUp(WRONG_PLACE)),
            Err(WriteError::Untouched(ReadError::NotFound | ReadError::Invalid(_))) => Posted::TurnedAway,
            Err(WriteError::Untouched(error)) => Posted::NotSent(refused(error)),
            Err(WriteError::Unknown(error)) => Posted::Unknown(refused(error)),
            Err(WriteError::Refused(why)) => Posted::NotSent(FilingError::Failed(Box::new(why))),
        }
    }

    fn path<'a>(&'a self, patient: &'a str) -> [&'a str; 6] {
        ["apis", &self.site, "api", "patient", patient, "document"]
    }
}

/// The categories on the way, as OpenEMR compares them: small letters without blanks and underscores.
pub fn category_parts(category: &str) -> Vec<String> {
    let fold = |part: &str| part.to_lowercase().replace([' ', '_'], "");
    category.split('/').map(fold).filter(|part| !part.is_empty()).collect()
}

fn without_token(error: TokenError) -> FilingError {
    match error {
        TokenError::GrantOff => FilingError::SetUp(GRANT_OFF),
        TokenError::ScopeMissing => FilingError::SetUp(SCOPE_MISSING),
        TokenError::SignInNeeded
        | TokenError::Failed(ReadError::NotAuthorised | ReadError::SignInNeeded | ReadError::NoConsent) => {
            FilingError::SetUp(CREDENTIALS)
        }
        // A page of something else, or none: with all of its APIs switched off OpenEMR has no such address.
        TokenError::Failed(ReadError::NotFound | ReadError::Garbled(_) | ReadError::Invalid(_)) => {
            FilingError::SetUp(WRONG_PLACE)
        }
        TokenError::Failed(error) => refused(error),
    }
}

/// What a failure of a request with a token means.
fn refused(error: ReadError) -> FilingError {
    if is_about_certificate(&error) {
        return FilingError::SetUp(UNTRUSTED);
    }
    if failed_with(&error) == Some(501) {
        return FilingError::SetUp(API_OFF);
    }
    match error {
        // The token is good and names the scope, so that what is lacking is the user's own right.
        ReadError::NotAuthorised | ReadError::SignInNeeded | ReadError::NoConsent => {
            FilingError::SetUp(RIGHT_MISSING)
        }
        ReadError::NotFound | ReadError::Garbled(_) | ReadError::Invalid(_) => {
            FilingError::SetUp(WRONG_PLACE)
        }
        error @ (ReadError::Unreachable(_)
        | ReadError::SlowDown { .. }
        | ReadError::Misfit(_)
        | ReadError::OwnProfile(_)) => FilingError::NoAnswer(Box::new(error)),
    }
}
