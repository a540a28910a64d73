//! The made-up clinic's organisation at a simulated VALD Hub.

use super::{NAME, give_consents};
use crate::cli::Failure;
use crate::compose::Home;
use crate::patients::vald;
use crate::vald_account;
use connectors::partners::vald::Region;
use connectors::partners::vald::sim::{self, NotThere, SimTenant, ValdSim, ValdSimConfig};
use connectors::sim::SimClock;
use domain::ids::PracticeId;
use domain::ports::store::{Consents, Links, SettingsBook};
use domain::private::SecretString;
use domain::settings::{GroupedPatients, ProfileGroupRule, SecretKind, SecretName, ValdSettings};
use std::sync::Arc;

const TENANT: &str = "0d3c1f6e-5a2b-4c8d-9e7f-a1b2c3d4e5f6";
/// These open nothing but the simulator, which listens on this computer only.
const CLIENT_ID: &str = "demo-client-id";
const CLIENT_SECRET: &str = "demo-client-secret";
/// The group that every profile is put into.
const GROUP: &str = "Wattle Street";

/// Starts the simulator on the current runtime.
pub async fn start(home: &Home) -> Result<ValdSim, Failure> {
    let tenant = SimTenant {
        id: TENANT.to_owned(),
        name: NAME.to_owned(),
        sport: "AlliedHealth".to_owned(),
        region: sim::Region::Aue,
    };
    let clock = home.clock();
    let clock: SimClock = Arc::new(move || clock.now());
    let hub = ValdSim::start(ValdSimConfig::one_tenant(tenant, CLIENT_ID, CLIENT_SECRET), clock).await?;
    let groups = |hub: &ValdSim| -> Result<(), NotThere> {
        let category = hub.add_category(TENANT, "Clinic")?;
        for group in [GROUP, "Knees", "Shoulders"] {
            hub.add_group(TENANT, &category, group)?;
        }
        Ok(())
    };
    groups(&hub)
        .map_err(|error| Failure::new(format!("The simulated VALD Hub cannot be set up: {error}.")))?;
    Ok(hub)
}

/// Links the clinic with the simulator. The first time, two of three patients have agreed; whatever somebody changed
/// after that stays, but for the simulator's addresses.
pub async fn link(home: &Home, practice: &PracticeId, hub: &ValdSim) -> Result<(), Failure> {
    let store = home.store();
    let known = store.practices().await?.into_iter().find(|settings| settings.id == *practice);
    let Some(mut settings) = known else { return Ok(()) };
    let is_first = store.consents(practice, &vald()).await?.is_empty();
    let account = match settings.vald.take() {
        Some(account) => account,
        None if is_first => {
            let group = ProfileGroupRule { group: GROUP.to_owned(), whose: GroupedPatients::All };
            let account = vald_account::new(TENANT.to_owned(), Region::Aue, practice.to_string());
            ValdSettings { groups: vec![group], ..account }
        }
        // Somebody took the account away.
        None => return Ok(()),
    };
    settings.vald = Some(ValdSettings {
        token_url: hub.token_url(),
        profile_url: hub.profile_url(sim::Region::Aue),
        tenants_url: hub.tenants_url(sim::Region::Aue),
        hub_url: Some(hub.hub_template()),
        ..account
    });
    let keep = |kind, secret: &str| (SecretName::of(practice, kind), Some(SecretString::from(secret)));
    let secrets =
        vec![keep(SecretKind::ValdClientId, CLIENT_ID), keep(SecretKind::ValdClientSecret, CLIENT_SECRET)];
    // The simulator begins empty.
    store.forget_links(practice, &vald()).await?;
    store.link_practice(&settings, secrets).await?;
    if is_first {
        give_consents(home, &settings, vald(), |number, _| number % 3 != 2).await?;
    }
    Ok(())
}
