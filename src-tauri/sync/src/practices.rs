//! Switching practices on and off, and asking for everything to be sent again.

use chrono::{DateTime, Utc};
use domain::ids::PracticeId;
use domain::ports::store::{Store, StoreError, Wish};

/// The wishes for everything to be sent again; outstanding requests are looked for as well (HE-10, HE-14, HE-17).
pub const EVERYTHING: [Wish; 3] = [Wish::ResyncConfiguration, Wish::ResyncAvailability, Wish::ResyncPatients];

/// Switches a practice on or off. Switching on asks for configuration and availability to be sent again and for
/// outstanding requests to be looked for (HE-10, HE-14, HE-17). Returns whether anything changed, or `None` when there
/// is no such practice.
pub async fn set_enabled(
    store: &dyn Store,
    practice: &PracticeId,
    enabled: bool,
    now: DateTime<Utc>,
) -> Result<Option<bool>, StoreError> {
    let practices = store.practices().await?;
    let Some(mut settings) = practices.into_iter().find(|settings| settings.id == *practice) else {
        return Ok(None);
    };
    if settings.enabled == enabled {
        return Ok(Some(false));
    }
    settings.enabled = enabled;
    if enabled {
        resync(store, practice, &EVERYTHING, now).await?;
    }
    store.save_practice(&settings).await?;
    Ok(Some(true))
}

/// Leaves wishes for the engine.
pub async fn resync(
    store: &dyn Store,
    practice: &PracticeId,
    wishes: &[Wish],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    for wish in wishes {
        store.wish(practice, wish, now).await?;
    }
    Ok(())
}
