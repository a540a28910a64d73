//! What the practice chose.

use crate::columns::{Columns, Fault, Unreadable, all, first, json, time_text};
use crate::links;
use crate::thread::Store;
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use domain::ids::{LocationRef, PartnerId, PracticeId, ResourceRef};
use domain::ports::store::{PROFILES, PROFILES_ANEW, SettingsBook, StoreError};
use domain::settings::{
    AppSettings, DocumentApi, DocumentRoutes, GroupedPatients, HealthengineSettings, ListenerSettings,
    LiveDay, LiveHours, PartnerAccount, PracticeSettings, ProfileGroupRule, ProvetSettings, SystemSettings,
    ValdSettings, WriteMode,
};
use domain::time::{DayRange, MinuteOfDay, PracticeZone};
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[async_trait]
impl SettingsBook for Store {
    async fn practices(&self) -> Result<Vec<PracticeSettings>, StoreError> {
        self.call(|conn| {
            let sql = "SELECT id, name, zone, enabled, system_profile, system_url, system_write, system_locations,
                              system_poll_seconds, system_documents_in, system_documents_out,
                              system_documents_api, system_documents_api_site, system_documents_api_client,
                              system_documents_api_user, system_documents_api_category,
                              account.practice AS linked, base_url, practice_id,
                              user_agent_email, environment, horizon_days, poll_seconds, features, live_hours,
                              account.webhook_url AS webhook_url, vald.practice AS vald_linked, tenant_id, region,
                              vald.token_url AS token_url, audience,
                              profile_url, tenants_url, hub_url, group_rules, between_requests, sync_prefix,
                              staff_are_adults, provet.practice AS provet_linked, provet_id,
                              provet.client_id AS provet_client_id, provet.token_url AS provet_token_url,
                              provet.webhook_url AS provet_webhook_url,
                              provet.redirect_url AS provet_redirect_url
                       FROM practice LEFT JOIN healthengine_account AS account ON account.practice = practice.id
                                     LEFT JOIN vald_account AS vald ON vald.practice = practice.id
                                     LEFT JOIN provet_account AS provet ON provet.practice = practice.id
                       ORDER BY id";
            let mut practices = all(conn, sql, [], read_practice)?;
            for settings in &mut practices {
                settings.accounts = accounts(conn, settings.id.as_str())?;
            }
            Ok(practices)
        })
        .await
    }

    async fn save_practice(&self, settings: &PracticeSettings) -> Result<(), StoreError> {
        let settings = settings.clone();
        self.write(move |tx| save_practice(tx, &settings)).await?;
        self.announce();
        Ok(())
    }

    async fn remove_practice(&self, practice: &PracticeId) -> Result<bool, StoreError> {
        let practice = practice.to_string();
        let removed = self.write(move |tx| remove_practice(tx, &practice)).await?;
        if removed {
            self.announce();
        }
        Ok(removed)
    }

    async fn app_settings(&self) -> Result<AppSettings, StoreError> {
        self.call(|conn| {
            let default = AppSettings::default();
            let number = |name, default| -> Result<u32, Fault> {
                let text = app_setting(conn, name)?;
                Ok(text.map_or(Ok(default), |text| text.parse().map_err(|_| Unreadable(name)))?)
            };
            Ok(AppSettings {
                retention_days: number(RETENTION_DAYS, default.retention_days)?,
                decide_minutes: number(DECIDE_MINUTES, default.decide_minutes)?,
                log_level: app_setting(conn, LOG_LEVEL)?.unwrap_or(default.log_level),
                listener: listener(conn)?,
                quick_open_keys: app_setting(conn, QUICK_OPEN_KEYS)?.unwrap_or(default.quick_open_keys),
            })
        })
        .await
    }

    async fn save_app_settings(&self, settings: &AppSettings) -> Result<(), StoreError> {
        let settings = settings.clone();
        self.write(move |tx| {
            save_listener(tx, settings.listener.as_ref())?;
            for (name, value) in [
                (RETENTION_DAYS, settings.retention_days.to_string()),
                (DECIDE_MINUTES, settings.decide_minutes.to_string()),
                (LOG_LEVEL, settings.log_level),
                (QUICK_OPEN_KEYS, settings.quick_open_keys),
            ] {
                tx.execute(
                    "INSERT INTO app_setting (name, value) VALUES (?1, ?2)
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (name, value),
                )?;
            }
            Ok(())
        })
        .await?;
        self.announce();
        Ok(())
    }
}

impl Store {
    /// Whether a practice may be saved with this system profile, before anything is done about it.
    ///
    /// # Errors
    /// [`StoreError::ConsentsOfOthers`] where it may not.
    pub async fn consents_fit(&self, practice: &PracticeId, profile: &str) -> Result<(), StoreError> {
        let (practice, profile) = (practice.clone(), profile.to_owned());
        self.call(move |conn| consents_fit(conn, &practice, &profile)).await
    }
}

const RETENTION_DAYS: &str = "retention_days";
const DECIDE_MINUTES: &str = "decide_minutes";
const LOG_LEVEL: &str = "log_level";
const QUICK_OPEN_KEYS: &str = "quick_open_keys";
const LISTENER_ADDRESS: &str = "listener_address";
const LISTENER_SOURCES: &str = "listener_sources";
const LISTENER_CHECKS_SOURCES: &str = "listener_checks_sources";

/// The listener is switched off where it has no address.
fn listener(conn: &Connection) -> Result<Option<ListenerSettings>, Fault> {
    let Some(address) = app_setting(conn, LISTENER_ADDRESS)? else { return Ok(None) };
    let mut settings = ListenerSettings::at(address);
    if let Some(sources) = app_setting(conn, LISTENER_SOURCES)? {
        settings.sources = serde_json::from_str(&sources).map_err(|_| Unreadable(LISTENER_SOURCES))?;
    }
    if let Some(checks) = app_setting(conn, LISTENER_CHECKS_SOURCES)? {
        settings.check_sources = checks.parse().map_err(|_| Unreadable(LISTENER_CHECKS_SOURCES))?;
    }
    Ok(Some(settings))
}

fn save_listener(conn: &Connection, listener: Option<&ListenerSettings>) -> Result<(), Fault> {
    conn.execute(
        "DELETE FROM app_setting WHERE name IN (?1, ?2, ?3)",
        (LISTENER_ADDRESS, LISTENER_SOURCES, LISTENER_CHECKS_SOURCES),
    )?;
    let Some(listener) = listener else { return Ok(()) };
    for (name, value) in [
        (LISTENER_ADDRESS, listener.address.clone()),
        (LISTENER_SOURCES, json(&listener.sources, LISTENER_SOURCES)?),
        (LISTENER_CHECKS_SOURCES, listener.check_sources.to_string()),
    ] {
        conn.execute("INSERT INTO app_setting (name, value) VALUES (?1, ?2)", (name, value))?;
    }
    Ok(())
}

fn app_setting(conn: &Connection, name: &str) -> Result<Option<String>, Fault> {
    let mut statement = conn.prepare_cached("SELECT value FROM app_setting WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

pub(crate) fn save_practice(conn: &Connection, settings: &PracticeSettings) -> Result<(), Fault> {
    let PracticeSettings { id, system, .. } = settings;
    consents_fit(conn, id, &system.profile)?;
    let former = "SELECT system_profile FROM practice WHERE id = ?1";
    let former: Option<String> = conn.query_row(former, [id.as_str()], |row| row.get(0)).optional()?;
    match former {
        // A pass that was in flight while a practice of this name was unlinked may have left marks and links behind.
        None => forget_progress(conn, id.as_str())?,
        Some(former) if former != system.profile => forget_patients(conn, id.as_str())?,
        Some(_) => {}
    }
    let locations = system.locations.as_ref().map(|locations| {
        json(&locations.iter().map(LocationRef::as_str).collect::<Vec<_>>(), "system_locations")
    });
    let api = system.documents.api.as_ref();
    conn.execute(
        "INSERT INTO practice (id, name, zone, enabled, system_profile, system_url, system_write, system_locations,
                               system_poll_seconds, system_documents_in, system_documents_out,
                               system_documents_api, system_documents_api_site, system_documents_api_client,
                               system_documents_api_user, system_documents_api_category)
         VALUES (:id, :name, :zone, :enabled, :profile, :url, :write, :locations, :poll_seconds, :documents_in,
                 :documents_out, :api, :api_site, :api_client, :api_user, :api_category)
         ON CONFLICT (id) DO UPDATE SET
             name = excluded.name, zone = excluded.zone, enabled = excluded.enabled,
             system_profile = excluded.system_profile, system_url = excluded.system_url,
             system_write = excluded.system_write, system_locations = excluded.system_locations,
             system_poll_seconds = excluded.system_poll_seconds, system_documents_in = excluded.system_documents_in,
             system_documents_out = excluded.system_documents_out,
             system_documents_api = excluded.system_documents_api,
             system_documents_api_site = excluded.system_documents_api_site,
             system_documents_api_client = excluded.system_documents_api_client,
             system_documents_api_user = excluded.system_documents_api_user,
             system_documents_api_category = excluded.system_documents_api_category",
        named_params! {
            ":id": id.as_str(),
            ":name": settings.name,
            ":zone": settings.zone.name(),
            ":enabled": settings.enabled,
            ":profile": system.profile,
            ":url": system.url,
            ":write": write_name(system.write),
            ":locations": locations.transpose()?,
            ":poll_seconds": system.poll_seconds,
            ":documents_in": system.documents.inward,
            ":documents_out": system.documents.outward,
            ":api": api.map(|api| &api.url),
            ":api_site": api.map(|api| &api.site),
            ":api_client": api.map(|api| &api.client_id),
            ":api_user": api.map(|api| &api.user),
            ":api_category": api.map(|api| &api.category),
        },
    )?;
    conn.execute("DELETE FROM healthengine_account WHERE practice = ?1", [id.as_str()])?;
    save_vald(conn, id.as_str(), settings.vald.as_ref())?;
    save_accounts(conn, id.as_str(), &settings.accounts)?;
    save_provet(conn, id.as_str(), settings.system.provet.as_ref())?;
    let Some(account) = &settings.healthengine else { return Ok(()) };
    conn.execute(
        "INSERT INTO healthengine_account (practice, base_url, practice_id, user_agent_email, environment,
                                           horizon_days, poll_seconds, features, live_hours, webhook_url)
         VALUES (:practice, :base_url, :practice_id, :user_agent_email, :environment, :horizon_days, :poll_seconds,
                 :features, :live_hours, :webhook_url)",
        named_params! {
            ":practice": id.as_str(),
            ":base_url": account.base_url,
            ":practice_id": account.practice_id,
            ":user_agent_email": account.user_agent_email,
            ":environment": account.environment,
            ":horizon_days": account.horizon_days,
            ":poll_seconds": account.poll_seconds,
            ":features": json(&account.features, "features")?,
            ":live_hours": json(&live_hours_json(&account.live_hours), "live_hours")?,
            ":webhook_url": account.webhook_url,
        },
    )?;
    Ok(())
}

/// What these accounts were told stays with the links: only this computer knows who is who at a partner, and an account
/// that is unlinked by mistake is linked again.
fn save_accounts(
    conn: &Connection,
    practice: &str,
    accounts: &BTreeMap<PartnerId, PartnerAccount>,
) -> Result<(), Fault> {
    conn.execute("DELETE FROM partner_account WHERE practice = ?1", [practice])?;
    for (partner, account) in accounts {
        conn.execute(
            "INSERT INTO partner_account (practice, partner, fields) VALUES (?1, ?2, ?3)",
            (practice, partner.as_str(), json(&account.fields, "fields")?),
        )?;
    }
    Ok(())
}

fn accounts(conn: &Connection, practice: &str) -> Result<BTreeMap<PartnerId, PartnerAccount>, Fault> {
    let sql = "SELECT partner, fields FROM partner_account WHERE practice = ?1";
    let accounts = all(conn, sql, [practice], |row| {
        let account = PartnerAccount { fields: row.json_value("fields")? };
        Ok((PartnerId::new(row.text("partner")?), account))
    })?;
    Ok(accounts.into_iter().collect())
}

fn save_vald(conn: &Connection, practice: &str, account: Option<&ValdSettings>) -> Result<(), Fault> {
    let former = "SELECT tenant_id FROM vald_account WHERE practice = ?1";
    let former: Option<String> = conn.query_row(former, [practice], |row| row.get(0)).optional()?;
    if former.as_deref() != account.map(|account| account.tenant_id.as_str()) {
        // Another tenant knows nothing of what this one was told. Where there was none, a pass that was in flight when
        // the account was removed may have left links behind.
        links::forget(conn, practice, Some(VALD))?;
        forget_profiles(conn, practice)?;
        if let Some(account) = account {
            // A pass that is in flight now may leave some behind as well; the new account's first one forgets them.
            conn.execute(
                "INSERT INTO mark (practice, thing, digest, at) VALUES (?1, ?2, ?3, ?4)",
                (practice, PROFILES_ANEW, account.tenant_id.as_str(), time_text(DateTime::UNIX_EPOCH)),
            )?;
        }
    }
    conn.execute("DELETE FROM vald_account WHERE practice = ?1", [practice])?;
    let Some(account) = account else { return Ok(()) };
    conn.execute(
        "INSERT INTO vald_account (practice, tenant_id, region, token_url, audience, profile_url, tenants_url, hub_url,
                                   group_rules, between_requests, sync_prefix, staff_are_adults)
         VALUES (:practice, :tenant_id, :region, :token_url, :audience, :profile_url, :tenants_url, :hub_url,
                 :group_rules, :between_requests, :sync_prefix, :staff_are_adults)",
        named_params! {
            ":practice": practice,
            ":tenant_id": account.tenant_id,
            ":region": account.region,
            ":token_url": account.token_url,
            ":audience": account.audience,
            ":profile_url": account.profile_url,
            ":tenants_url": account.tenants_url,
            ":hub_url": account.hub_url,
            ":group_rules": json(&account.groups.iter().map(GroupJson::of).collect::<Vec<_>>(), "group_rules")?,
            ":between_requests": account.between_requests.num_microseconds().unwrap_or(i64::MAX),
            ":sync_prefix": account.sync_prefix,
            ":staff_are_adults": account.staff_are_adults,
        },
    )?;
    Ok(())
}

fn save_provet(conn: &Connection, practice: &str, account: Option<&ProvetSettings>) -> Result<(), Fault> {
    conn.execute("DELETE FROM provet_account WHERE practice = ?1", [practice])?;
    let Some(account) = account else { return Ok(()) };
    conn.execute(
        "INSERT INTO provet_account (practice, provet_id, client_id, token_url, webhook_url, redirect_url)
         VALUES (:practice, :provet_id, :client_id, :token_url, :webhook_url, :redirect_url)",
        named_params! {
            ":practice": practice,
            ":provet_id": account.provet_id,
            ":redirect_url": account.redirect_url,
            ":client_id": account.client_id,
            ":token_url": account.token_url,
            ":webhook_url": account.webhook_url,
        },
    )?;
    Ok(())
}

fn read_provet(row: &Row<'_>) -> Result<Option<ProvetSettings>, Fault> {
    if row.value::<Option<String>>("provet_linked")?.is_none() {
        return Ok(None);
    }
    Ok(Some(ProvetSettings {
        provet_id: row.value("provet_id")?,
        client_id: row.text("provet_client_id")?,
        token_url: row.value("provet_token_url")?,
        webhook_url: row.value("provet_webhook_url")?,
        redirect_url: row.value("provet_redirect_url")?,
    }))
}

/// The name of VALD's folder, by which its links are known.
const VALD: &str = "vald";

/// A group and whose profiles are put into it. With neither resource nor location it is everybody's.
#[derive(Serialize, Deserialize)]
struct GroupJson {
    group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
}

impl GroupJson {
    fn of(rule: &ProfileGroupRule) -> Self {
        let (resource, location) = match &rule.whose {
            GroupedPatients::All => (None, None),
            GroupedPatients::SeenBy(resource) => (Some(resource.to_string()), None),
            GroupedPatients::SeenAt(location) => (None, Some(location.to_string())),
        };
        Self { group: rule.group.clone(), resource, location }
    }

    fn rule(self) -> ProfileGroupRule {
        let whose = match (self.resource, self.location) {
            (Some(resource), _) => GroupedPatients::SeenBy(ResourceRef::new(resource)),
            (None, Some(location)) => GroupedPatients::SeenAt(LocationRef::new(location)),
            (None, None) => GroupedPatients::All,
        };
        ProfileGroupRule { group: self.group, whose }
    }
}

fn read_vald(row: &Row<'_>) -> Result<ValdSettings, Fault> {
    let groups = row.json_value::<Vec<GroupJson>>("group_rules")?;
    Ok(ValdSettings {
        tenant_id: row.text("tenant_id")?,
        region: row.text("region")?,
        token_url: row.text("token_url")?,
        audience: row.text("audience")?,
        profile_url: row.text("profile_url")?,
        tenants_url: row.text("tenants_url")?,
        hub_url: row.value("hub_url")?,
        groups: groups.into_iter().map(GroupJson::rule).collect(),
        between_requests: TimeDelta::microseconds(row.value("between_requests")?),
        sync_prefix: row.text("sync_prefix")?,
        staff_are_adults: row.value("staff_are_adults")?,
    })
}

fn remove_practice(conn: &Connection, practice: &str) -> Result<bool, Fault> {
    let removed = conn.execute("DELETE FROM practice WHERE id = ?1", [practice])?;
    // By prefix, so that a secret of whatever kind goes too.
    conn.execute("DELETE FROM secret WHERE substr(name, 1, length(?1) + 1) = ?1 || '/'", [practice])?;
    conn.execute("DELETE FROM wish WHERE practice = ?1 AND granted_at IS NULL", [practice])?;
    conn.execute("DELETE FROM settled_person WHERE practice = ?1", [practice])?;
    forget_progress(conn, practice)?;
    Ok(removed > 0)
}

/// Refuses a system profile with which the practice's consents were not recorded.
fn consents_fit(conn: &Connection, practice: &PracticeId, profile: &str) -> Result<(), Fault> {
    let sql = "SELECT profile FROM consent_system WHERE practice = ?1";
    let recorded_with = first(conn, sql, [practice.as_str()], |row| row.value::<Option<String>>("profile"))?;
    match recorded_with {
        Some(other) if other.as_deref() != Some(profile) => {
            Err(StoreError::ConsentsOfOthers { practice: practice.clone(), profile: other }.into())
        }
        Some(_) | None => Ok(()),
    }
}

/// Forgets whatever is known by the patients' keys of a practice system that is replaced: each is somebody else there.
fn forget_patients(conn: &Connection, practice: &str) -> Result<(), Fault> {
    conn.execute("DELETE FROM settled_person WHERE practice = ?1", [practice])?;
    conn.execute("DELETE FROM practice_answer WHERE practice = ?1", [practice])?;
    links::forget(conn, practice, None)?;
    forget_profiles(conn, practice)
}

fn forget_profiles(conn: &Connection, practice: &str) -> Result<(), Fault> {
    let sql = "DELETE FROM mark WHERE practice = ?1 AND substr(thing, 1, length(?2)) = ?2";
    conn.execute(sql, [practice, PROFILES])?;
    Ok(())
}

fn forget_progress(conn: &Connection, practice: &str) -> Result<(), Fault> {
    conn.execute("DELETE FROM mark WHERE practice = ?1", [practice])?;
    conn.execute("DELETE FROM leg_note WHERE practice = ?1", [practice])?;
    conn.execute("DELETE FROM practice_answer WHERE practice = ?1", [practice])?;
    links::forget(conn, practice, None)?;
    Ok(())
}

fn read_practice(row: &Row<'_>) -> Result<PracticeSettings, Fault> {
    let linked = row.value::<Option<String>>("linked")?.is_some();
    let vald_linked = row.value::<Option<String>>("vald_linked")?.is_some();
    let locations = row.json_if_given::<Vec<String>>("system_locations")?;
    Ok(PracticeSettings {
        id: PracticeId::new(row.text("id")?),
        name: row.text("name")?,
        zone: row.parsed("zone", PracticeZone::parse)?,
        enabled: row.value("enabled")?,
        system: SystemSettings {
            profile: row.text("system_profile")?,
            url: row.text("system_url")?,
            write: row.parsed("system_write", |name| {
                [WriteMode::None, WriteMode::Sql, WriteMode::Api]
                    .into_iter()
                    .find(|mode| write_name(*mode) == name)
            })?,
            locations: locations.map(|ids| ids.into_iter().map(LocationRef::new).collect()),
            poll_seconds: row.value("system_poll_seconds")?,
            documents: DocumentRoutes {
                inward: row.value("system_documents_in")?,
                outward: row.value("system_documents_out")?,
                api: read_document_api(row)?,
            },
            provet: read_provet(row)?,
        },
        healthengine: if linked { Some(read_account(row)?) } else { None },
        vald: if vald_linked { Some(read_vald(row)?) } else { None },
        accounts: BTreeMap::new(),
    })
}

fn read_document_api(row: &Row<'_>) -> Result<Option<DocumentApi>, Fault> {
    let Some(url) = row.value::<Option<String>>("system_documents_api")? else { return Ok(None) };
    Ok(Some(DocumentApi {
        url,
        site: row.text("system_documents_api_site")?,
        client_id: row.text("system_documents_api_client")?,
        user: row.text("system_documents_api_user")?,
        category: row.text("system_documents_api_category")?,
    }))
}

fn read_account(row: &Row<'_>) -> Result<HealthengineSettings, Fault> {
    let live_hours = row.json_value::<LiveHoursJson>("live_hours")?;
    Ok(HealthengineSettings {
        base_url: row.text("base_url")?,
        practice_id: row.text("practice_id")?,
        user_agent_email: row.text("user_agent_email")?,
        environment: row.text("environment")?,
        horizon_days: row.value("horizon_days")?,
        poll_seconds: row.value("poll_seconds")?,
        features: row.json_value("features")?,
        live_hours: read_live_hours(&live_hours).ok_or(Unreadable("live_hours"))?,
        webhook_url: row.value("webhook_url")?,
    })
}

fn write_name(mode: WriteMode) -> &'static str {
    match mode {
        WriteMode::None => "none",
        WriteMode::Sql => "sql",
        WriteMode::Api => "api",
    }
}

/// Minutes after midnight, start and end, by the name of the day.
type LiveHoursJson = BTreeMap<String, Vec<(u16, u16)>>;

fn live_hours_json(hours: &LiveHours) -> LiveHoursJson {
    let minutes = |range: &DayRange| (range.start.minutes(), range.end.minutes());
    hours
        .weekdays
        .iter()
        .map(|(day, ranges)| (day.name().to_owned(), ranges.iter().map(minutes).collect()))
        .collect()
}

fn read_live_hours(json: &LiveHoursJson) -> Option<LiveHours> {
    let minute = |minutes: &u16| MinuteOfDay::clamped(i64::from(*minutes));
    let weekdays = json
        .iter()
        .map(|(name, ranges)| {
            let day = LiveDay::ALL.into_iter().find(|day| day.name() == name)?;
            let ranges: Option<Vec<DayRange>> =
                ranges.iter().map(|(start, end)| DayRange::new(minute(start), minute(end))).collect();
            Some((day, ranges?))
        })
        .collect::<Option<BTreeMap<_, _>>>()?;
    Some(LiveHours { weekdays })
}
