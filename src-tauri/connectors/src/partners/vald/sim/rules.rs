//! What the service refuses: the shape of bodies and queries, and how it says so (contract sheet §3).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    /// For the list of mistakes.
    pub reason: String,
    /// What the service says; of some refusals it says little.
    pub detail: Option<String>,
    pub errors: BTreeMap<String, Vec<String>>,
}

impl Refused {
    /// A refusal that the service explains in the same words.
    pub fn explained(status: u16, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { status, detail: Some(reason.clone()), reason, errors: BTreeMap::new() }
    }

    /// A refusal that the service does not explain (contract sheet §9).
    pub fn unexplained(status: u16, reason: impl Into<String>) -> Self {
        Self { status, detail: None, reason: reason.into(), errors: BTreeMap::new() }
    }

    /// A single field that is wrong.
    pub fn field(name: &str, what: impl Into<String>) -> Self {
        let mut errors = Errors::default();
        errors.add(name, what);
        errors.into_refused()
    }

    /// `ProblemDetails`, with `errors` when fields are wrong.
    pub fn problem(&self, instance: &str) -> Value {
        let (section, title) = match self.status {
            400 if !self.errors.is_empty() => ("15.5.1", "One or more validation errors occurred."),
            400 => ("15.5.1", "Bad Request"),
            401 => ("15.5.2", "Unauthorized"),
            403 => ("15.5.4", "Forbidden"),
            404 => ("15.5.5", "Not Found"),
            405 => ("15.5.6", "Method Not Allowed"),
            409 => ("15.5.10", "Conflict"),
            415 => ("15.5.16", "Unsupported Media Type"),
            429 => ("15.5", "Too Many Requests"),
            503 => ("15.6.4", "Service Unavailable"),
            _ => ("15.6.1", "An error occurred while processing your request."),
        };
        let mut problem = json!({
            "type": format!("https://tools.ietf.org/html/rfc9110#section-{section}"),
            "title": title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        });
        if let Some(fields) = problem.as_object_mut().filter(|_| !self.errors.is_empty()) {
            fields.insert("errors".to_owned(), json!(self.errors));
        }
        problem
    }
}

/// Wrong fields, by their names as the service writes them: with a capital letter.
#[derive(Debug, Default)]
pub struct Errors(BTreeMap<String, Vec<String>>);

impl Errors {
    pub fn add(&mut self, field: &str, what: impl Into<String>) {
        let mut letters = field.chars();
        let capital = letters.next().map(|first| first.to_ascii_uppercase());
        let name = capital.into_iter().chain(letters).collect();
        self.0.entry(name).or_default().push(what.into());
    }

    fn into_refused(self) -> Refused {
        let lines = self.0.iter().map(|(field, texts)| format!("{field} {}", texts.join(" and ")));
        let reason = lines.collect::<Vec<_>>().join("; ");
        Refused { status: 400, reason, detail: None, errors: self.0 }
    }

    /// # Errors
    /// When there is any.
    pub fn none(self) -> Result<(), Refused> {
        if self.0.is_empty() { Ok(()) } else { Err(self.into_refused()) }
    }
}

/// The fields of a JSON object. What is wrong with any of them is collected.
pub struct Fields<'v> {
    object: &'v Map<String, Value>,
    known: Vec<&'static str>,
    pub errors: Errors,
}

impl<'v> Fields<'v> {
    /// # Errors
    /// When there is no body, or something else than an object.
    pub fn of(body: Option<&'v Value>) -> Result<Self, Refused> {
        let body = body.ok_or_else(|| Refused::explained(400, "A non-empty request body is required."))?;
        let object =
            body.as_object().ok_or_else(|| Refused::explained(400, "The body must be an object."))?;
        Ok(Self { object, known: Vec::new(), errors: Errors::default() })
    }

    fn get(&mut self, name: &'static str) -> Option<&'v Value> {
        self.known.push(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A string that must be there and say something.
    pub fn text(&mut self, name: &'static str) -> &'v str {
        match self.get(name).map(Value::as_str) {
            Some(Some(text)) if !text.trim().is_empty() => return text,
            Some(None) => self.errors.add(name, "must be a string"),
            Some(Some(_)) | None => self.errors.add(name, "must not be empty"),
        }
        ""
    }

    /// A string or null, which may be left out, but may not be empty.
    pub fn nullable_text(&mut self, name: &'static str) -> Option<&'v str> {
        match self.get(name).map(Value::as_str) {
            Some(Some(text)) if !text.trim().is_empty() => return Some(text),
            Some(Some(_)) => self.errors.add(name, "must not be empty"),
            Some(None) => self.errors.add(name, "must be a string"),
            None => {}
        }
        None
    }

    /// True, false, null, or nothing.
    pub fn nullable_flag(&mut self, name: &'static str) -> Option<bool> {
        let flag = self.get(name)?.as_bool();
        if flag.is_none() {
            self.errors.add(name, "must be true or false");
        }
        flag
    }

    /// A UUID that must be there, in lower case.
    pub fn uuid(&mut self, name: &'static str) -> String {
        let id = self.text(name);
        let read = uuid(id);
        if read.is_none() && !id.is_empty() {
            self.errors.add(name, format!("The value '{id}' is not valid."));
        }
        read.unwrap_or_default()
    }

    /// A list of UUIDs that must be there, and may be empty.
    pub fn uuids(&mut self, name: &'static str) -> Vec<String> {
        let Some(list) = self.get(name).and_then(Value::as_array) else {
            self.errors.add(name, "must be a list");
            return Vec::new();
        };
        let read: Option<Vec<String>> = list.iter().map(|id| uuid(id.as_str()?)).collect();
        read.unwrap_or_else(|| {
            self.errors.add(name, "must hold ids only");
            Vec::new()
        })
    }

    /// The names that nobody asked for; the service ignores them without a word (contract sheet §9).
    pub fn unknown(&self) -> Vec<String> {
        let unknown = self.object.keys().filter(|key| !self.known.contains(&key.as_str()));
        unknown.map(|key| format!("the body's {key} is not a field, and is ignored")).collect()
    }
}

/// The parameters of a query, by exact names (contract sheet §9). What is wrong with any of them is collected.
pub struct Query {
    pairs: Vec<(String, String)>,
    pub errors: Errors,
}

impl Query {
    pub fn of(raw: &str) -> Self {
        let pairs = url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect();
        Self { pairs, errors: Errors::default() }
    }

    /// Every value of a parameter that may be repeated.
    fn take(&mut self, name: &str) -> Vec<String> {
        let taken = self.pairs.extract_if(.., |(key, _)| key == name);
        taken.map(|(_, value)| value).collect()
    }

    /// A parameter that may be left out, but not be empty, nor come twice.
    pub fn optional(&mut self, name: &str) -> Option<String> {
        let mut values = self.take(name);
        let value = values.pop()?;
        if !values.is_empty() || value.is_empty() {
            self.errors.add(name, "must be given once");
        }
        Some(value)
    }

    /// A parameter that must be there.
    pub fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.errors.add(name, format!("The {name} field is required."));
            String::new()
        })
    }

    fn read_uuid(&mut self, name: &str, value: &str) -> String {
        uuid(value).unwrap_or_else(|| {
            self.errors.add(name, format!("The value '{value}' is not valid."));
            String::new()
        })
    }

    pub fn required_uuid(&mut self, name: &str) -> String {
        let value = self.required(name);
        if value.is_empty() { value } else { self.read_uuid(name, &value) }
    }

    pub fn optional_uuid(&mut self, name: &str) -> Option<String> {
        let value = self.optional(name)?;
        Some(self.read_uuid(name, &value))
    }

    /// UUIDs of a parameter that may be repeated.
    pub fn uuids(&mut self, name: &str) -> Vec<String> {
        let values = self.take(name);
        values.iter().map(|value| self.read_uuid(name, value)).collect()
    }

    /// An instant with its zone.
    pub fn optional_instant(&mut self, name: &str) -> Option<DateTime<Utc>> {
        let value = self.optional(name)?;
        let read = DateTime::parse_from_rfc3339(&value).ok().map(|instant| instant.to_utc());
        if read.is_none() {
            self.errors.add(name, format!("The value '{value}' is not valid."));
        }
        read
    }

    /// The parameters that nobody asked for; the service ignores them without a word.
    pub fn unknown(&self) -> Vec<String> {
        let unknown = self.pairs.iter();
        unknown.map(|(key, _)| format!("the query's {key} is not a parameter, and is ignored")).collect()
    }
}

/// A UUID with its hyphens, in lower case.
pub fn uuid(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    let hexadecimal = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()));
    (lengths == [8, 4, 4, 4, 12] && hexadecimal).then(|| text.to_ascii_lowercase())
}

/// An instant as the service writes it, in UTC.
pub fn wire_instant(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string()
}
