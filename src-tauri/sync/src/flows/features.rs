//! Switches the partner's extra features on where they are asked for and can be served, and off everywhere else.

use super::Ports;
use crate::state::FeatureState;
use domain::failure::{ReadError, Refusal, WriteError};
use domain::ports::documents::FeatureSwitch;
use domain::ports::practice::PracticeSystem;
use domain::settings::Feature;
use std::collections::BTreeSet;

/// Whether a practice can serve a feature, and what it lacks otherwise, in a sentence that says what to do. One that is
/// not fully built is served by nobody.
pub fn served(feature: Feature, practice: &dyn PracticeSystem) -> Result<(), &'static str> {
    match feature {
        // What has no folder is kept in our own records and opened from the booking.
        Feature::AttachDocuments => Ok(()),
        Feature::Documents => practice.document_source().map(drop).ok_or(
            "documents needs a folder into which the practice lays scripts and referrals: name it as documents_out, or in the profile.",
        ),
        Feature::ClientSnapshots => practice.serves_snapshots().then_some(()).ok_or(
            "clientSnapshots needs queries that the profile of this practice system does not have.",
        ),
    }
}

/// Tries whether a feature can be served now, and says how, or what it lacks. Changes nothing.
pub async fn tried(feature: Feature, practice: &dyn PracticeSystem) -> Result<String, String> {
    served(feature, practice)?;
    let (folder, tried) = match feature {
        Feature::AttachDocuments => match practice.document_inbox() {
            Some(inbox) => (inbox.title(), inbox.check().await),
            None => {
                return Ok("Documents are kept in our own records and opened from their bookings.".to_owned());
            }
        },
        Feature::Documents => match practice.document_source() {
            Some(source) => (source.title(), source.check().await),
            None => return Ok("It can be served.".to_owned()),
        },
        Feature::ClientSnapshots => return Ok("It can be served.".to_owned()),
    };
    match tried {
        Ok(()) => Ok(format!("{folder} can be used.")),
        Err(error) => Err(format!("{folder} {error}.")),
    }
}

/// Compares what is on with what should be, and sends only what differs. Returns what is on now.
pub(crate) async fn switch(
    ports: &Ports,
    switch: &dyn FeatureSwitch,
) -> Result<BTreeSet<Feature>, ReadError> {
    let mut on = switch.switched_on().await?;
    let mut shown = Vec::new();
    for feature in Feature::ALL {
        let wanted = ports.settings.healthengine.as_ref().is_some_and(|account| account.wants(feature));
        let mut lacks = served(feature, ports.practice.as_ref()).err().map(str::to_owned);
        let should = wanted && lacks.is_none();
        if on.contains(&feature) != should {
            let name = feature.name();
            match switch.switch(feature, should).await {
                Ok(()) => {
                    tracing::info!(practice.id = %ports.id(), feature = name, on = should, "A feature was switched.");
                    if should {
                        on.insert(feature)
                    } else {
                        on.remove(&feature)
                    };
                }
                Err(WriteError::Refused(Refusal::UnknownToPartner)) => {
                    on.remove(&feature);
                    lacks = Some(format!("Healthengine does not offer {name} to this practice."));
                }
                // Nothing else is refused in words; what may have happened is seen at the next look.
                Err(WriteError::Refused(_)) => {}
                Err(WriteError::Untouched(error) | WriteError::Unknown(error)) => return Err(error),
            }
        }
        shown.push(FeatureState { feature, wanted, on: on.contains(&feature), lacks });
    }
    ports.state.change_practice(ports.id(), |practice| practice.features = shown);
    Ok(on)
}
