//! Consents that a practice holds in its system: where the profile says that they stand, and what their values mean.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{Days, NaiveTime, TimeDelta};
use domain::consent::Agreement;
use domain::consent::in_practice::{Answer, Answered, Mapping, Since};
use domain::ids::{PartnerId, PatientRef};
use domain::private::Private;
use domain::time::PracticeTime;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::book::{short, stamp};
use super::failure::Failure;
use super::profile::Sql;
use super::session::{Known, Session};
use super::statement::Statement;
use super::value::{Column, Rows, Value};
use super::{SqlPractice, run};
use crate::partners;

/// Where consents stand, by the partner that they are for.
#[derive(Default, Deserialize)]
pub(super) struct RawConsents(BTreeMap<Consenting, RawConsent>);

/// A partner whose consents a profile may map.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Consenting(&'static str);

impl<'de> Deserialize<'de> for Consenting {
    fn deserialize<D: Deserializer<'de>>(key: D) -> Result<Self, D::Error> {
        static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| partners::of_patients().collect());
        let key = String::deserialize(key)?;
        let known = NAMES.iter().find(|name| **name == key);
        known.map(|name| Self(name)).ok_or_else(|| D::Error::unknown_field(&key, &NAMES))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConsent {
    pub(super) query: Sql,
    #[serde(default)]
    pub(super) stamp: Option<Sql>,
    yes: Vec<Spanned<String>>,
    no: Vec<Spanned<String>>,
    #[serde(default)]
    unknown: Vec<Spanned<String>>,
}

impl RawConsents {
    pub(super) fn by_partner(&self) -> impl Iterator<Item = (&'static str, &RawConsent)> {
        self.0.iter().map(|(partner, raw)| (partner.0, raw))
    }
}

/// What a value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Yes,
    No,
    Nothing,
}

impl Meaning {
    /// The list in the profile that gives it.
    fn list(self) -> &'static str {
        match self {
            Meaning::Yes => "yes",
            Meaning::No => "no",
            Meaning::Nothing => "unknown",
        }
    }
}

/// Where the consents for one partner stand.
#[derive(Clone, Debug)]
pub(super) struct ConsentQuery {
    pub(super) query: Statement,
    pub(super) stamp: Option<Statement>,
    /// By value, in small letters.
    meanings: BTreeMap<String, Meaning>,
    digest: String,
}

impl ConsentQuery {
    /// Checks what the profile says; a mistake comes with its offset.
    pub(super) fn read(
        name: &str,
        raw: &RawConsent,
        query: Statement,
        stamp: Option<Statement>,
    ) -> Result<Self, (usize, String)> {
        let at_query = raw.query.span().start;
        if !query.uses("after") || !query.uses("limit") {
            return Err((
                at_query,
                format!(
                    "`{name}` reads everybody at once: let it return those behind `:after` in the order of `patient`, at \
                     most `:limit`, like the query `people`"
                ),
            ));
        }
        if raw.yes.is_empty() {
            return Err((at_query, format!("`{name}.yes` is empty: name the values that mean yes")));
        }
        let mut meanings: BTreeMap<String, Meaning> = BTreeMap::new();
        let lists = [(Meaning::Yes, &raw.yes), (Meaning::No, &raw.no), (Meaning::Nothing, &raw.unknown)];
        for (meaning, values) in lists {
            for value in values {
                let at = value.span().start;
                let folded = folded(value.get_ref());
                if folded.is_empty() {
                    let list = meaning.list();
                    return Err((
                        at,
                        format!(
                            "an empty field in `{name}.{list}`: it means that nobody was asked; remove it"
                        ),
                    ));
                }
                if let Some(known) = meanings.insert(folded, meaning).filter(|known| *known != meaning) {
                    return Err((
                        at,
                        format!(
                            "`{}` stands in `{name}.{}` and in `{name}.{}`: keep it in one of them",
                            value.get_ref(),
                            known.list(),
                            meaning.list()
                        ),
                    ));
                }
            }
        }
        let mut digest = Sha256::new();
        digest.update(format!("{}\n{meanings:?}", query.sql));
        Ok(Self { query, stamp, meanings, digest: short(digest) })
    }

    fn meaning(&self, value: &str) -> Option<Meaning> {
        let value = folded(value);
        if value.is_empty() { Some(Meaning::Nothing) } else { self.meanings.get(&value).copied() }
    }
}

/// As values are compared: people write `Yes` and `YES`.
fn folded(value: &str) -> String {
    value.trim().to_lowercase()
}

impl SqlPractice {
    pub(super) fn mappings(&self) -> Vec<Mapping> {
        let consents = self.profile.consents.iter();
        let mapping = |(partner, consent): (&&'static str, &ConsentQuery)| Mapping {
            partner: PartnerId::new(*partner),
            digest: consent.digest.clone(),
        };
        consents.map(mapping).collect()
    }

    fn consent_query(&self, partner: &PartnerId) -> Result<&ConsentQuery, Failure> {
        let found = self.profile.consents.get(partner.as_str());
        found.ok_or_else(|| {
            Failure::Misfit(format!("the profile {} maps no consents for {partner}", self.profile.name))
        })
    }

    /// The profile's stamp of these consents, or that of its patients, where they stand in the same table.
    pub(super) async fn read_consents_stamp(
        &self,
        session: &mut Session,
        known: &Known,
        partner: &PartnerId,
    ) -> Result<Option<String>, Failure> {
        let Some(statement) = &self.consent_query(partner)?.stamp else {
            return self.read_people_stamp(session, known).await;
        };
        stamp(session, known, statement).await
    }

    /// A page of what the system says about consent.
    pub(super) async fn read_consents(
        &self,
        session: &mut Session,
        known: &Known,
        partner: &PartnerId,
        after: Option<&PatientRef>,
        limit: u32,
    ) -> Result<Vec<Answer>, Failure> {
        let consent = self.consent_query(partner)?;
        // As a number and as text it stands before every key that a system gives out.
        let after = after.map_or_else(|| "-1".to_owned(), PatientRef::to_string);
        let values = known
            .probes
            .clone()
            .with("after", Value::Text(after))
            .with("limit", Value::Integer(i64::from(limit)));
        let rows = run(session, &consent.query, &values).await?;
        let (patient, answer) = (rows.required("patient")?, rows.required("answer")?);
        let [since, guardian, photo, wording] =
            ["since", "guardian", "photo_and_video", "wording"].map(|name| rows.optional(name));
        let mut answers = Vec::with_capacity(rows.rows.len());
        for row in &rows.rows {
            let text = |column| Rows::text(row, column).map(|text| text.trim().to_owned());
            let filled = |column| text(column).filter(|text| !text.is_empty());
            let value = text(answer).unwrap_or_default();
            let meaning = consent.meaning(&value);
            let agreement = || Agreement {
                guardian: filled(guardian).map(Private::new),
                photo_and_video: filled(photo)
                    .is_some_and(|photo| photo == "1" || consent.meaning(&photo) == Some(Meaning::Yes)),
            };
            answers.push(Answer {
                patient: PatientRef::new(rows.text_needed(row, patient)?),
                said: match meaning {
                    Some(Meaning::Yes) => Answered::Yes(agreement()),
                    Some(Meaning::No) => Answered::No,
                    Some(Meaning::Nothing) | None => Answered::Nothing,
                },
                wording: filled(wording).unwrap_or_default(),
                since: self.since(&rows, row, since),
                undeclared: meaning.is_none().then(|| Private::new(value)),
            });
        }
        if is_in_order(&answers) {
            Ok(answers)
        } else {
            // Pages of a list without an order leave people out, who would seem to have taken their consent back.
            Err(Failure::Misfit(format!(
                "`{}` does not return its rows in the order of `patient`, each patient once: add ORDER BY",
                consent.query.name
            )))
        }
    }

    /// A date that cannot be read tells nothing; then only a change of the answer counts.
    fn since(&self, rows: &Rows, row: &[Value], column: Column) -> Option<Since> {
        let midnight = NaiveTime::MIN;
        if let Some(moment) = Rows::moment(row, column).filter(|moment| moment.time() != midnight) {
            let from = self.zone.instant(PracticeTime(moment));
            return Some(Since { from, before: from + TimeDelta::seconds(1) });
        }
        let day = rows.day(row, column).ok().flatten()?;
        let next = day.checked_add_days(Days::new(1))?;
        let from = self.zone.instant(PracticeTime(day.and_time(midnight)));
        Some(Since { from, before: self.zone.instant(PracticeTime(next.and_time(midnight))) })
    }
}

/// Whether keys rise, as numbers where they are numbers. Texts have an order of the server's own.
fn is_in_order(answers: &[Answer]) -> bool {
    let keys: Vec<&str> = answers.iter().map(|answer| answer.patient.as_str()).collect();
    let numbers: Option<Vec<i64>> = keys.iter().map(|key| key.parse().ok()).collect();
    match numbers {
        Some(numbers) => {
            numbers.is_sorted_by(|one, next| one < next) || keys.is_sorted_by(|one, next| one < next)
        }
        None => true,
    }
}
