//! The made-up clinic's organisation at a simulated Validic.

use super::give_consents;
use crate::cli::Failure;
use crate::compose::Home;
use connectors::partners::validic::sim::{ValidicSim, ValidicSimConfig};
use connectors::partners::validic::{INFORM_V2, NAME};
use connectors::sim::SimClock;
use domain::ids::{PartnerId, PracticeId};
use domain::ports::store::{Consents, Links, SettingsBook};
use domain::private::SecretString;
use domain::settings::{PartnerAccount, SecretKind, SecretName};
use std::sync::Arc;

const ORGANISATION: &str = "0d3c1f6e5a2b4c8d9e7fa1b2";
/// This opens nothing but the simulator, which listens on this computer only.
const TOKEN: &str = "demo-token";

/// Starts the simulator on the current runtime.
pub async fn start(home: &Home) -> Result<ValidicSim, Failure> {
    let clock = home.clock();
    let clock: SimClock = Arc::new(move || clock.now());
    Ok(ValidicSim::start(ValidicSimConfig::one(ORGANISATION, TOKEN), clock).await?)
}

/// Links the clinic with the simulator. The first time, some patients have agreed; whatever somebody changed after that
/// stays, but for the simulator's address.
pub async fn link(home: &Home, practice: &PracticeId, devices: &ValidicSim) -> Result<(), Failure> {
    let store = home.store();
    let validic = PartnerId::new(NAME);
    let known = store.practices().await?.into_iter().find(|settings| settings.id == *practice);
    let Some(mut settings) = known else { return Ok(()) };
    let is_first = store.consents(practice, &validic).await?.is_empty();
    if !is_first && !settings.accounts.contains_key(&validic) {
        // Somebody took the account away.
        return Ok(());
    }
    let address = devices.base_url();
    let fields = [("organization_id", ORGANISATION), ("api", INFORM_V2), ("base_url", address.as_str())];
    let fields = fields.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
    settings.accounts.insert(validic.clone(), PartnerAccount { fields });
    let token = SecretName::of(practice, SecretKind::Account { partner: NAME, key: "token" });
    // The simulator begins empty.
    store.forget_links(practice, &validic).await?;
    store.link_practice(&settings, vec![(token, Some(SecretString::from(TOKEN)))]).await?;
    if is_first {
        give_consents(home, &settings, validic, |number, _| number % 4 == 0).await?;
    }
    Ok(())
}
