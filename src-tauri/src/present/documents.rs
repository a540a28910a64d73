//! Documents and extra features, as the window shows them.

use super::instant;
use crate::view::{DocumentPlace, DocumentView, FeatureName, FeatureView};
use domain::booking::BookingKey;
use domain::documents::{DocumentEntry, DocumentState};
use domain::settings::Feature;
use std::collections::BTreeMap;
use sync::state::FeatureState;

/// Documents by their booking.
pub type DocumentsOfBookings = BTreeMap<BookingKey, Vec<DocumentEntry>>;

/// Sorts documents by their booking.
pub fn by_booking(into: &mut DocumentsOfBookings, documents: Vec<DocumentEntry>) {
    for document in documents {
        let offer = &document.offer;
        let Some(booking) = offer.booking.clone() else { continue };
        let key =
            BookingKey { practice: offer.key.practice.clone(), partner: offer.key.partner.clone(), booking };
        into.entry(key).or_default().push(document);
    }
}

/// The documents of one booking.
pub fn of_booking(documents: &DocumentsOfBookings, key: &BookingKey) -> Vec<DocumentView> {
    documents.get(key).map(Vec::as_slice).unwrap_or_default().iter().filter_map(document_view).collect()
}

fn document_view(entry: &DocumentEntry) -> Option<DocumentView> {
    let offer = &entry.offer;
    let place = match &entry.state {
        _ if entry.kept => DocumentPlace::Records,
        DocumentState::Filed(_) | DocumentState::Told(_) => DocumentPlace::PracticeSystem,
        DocumentState::Received | DocumentState::Filing(_) | DocumentState::Kept => DocumentPlace::Waiting,
        DocumentState::Refused(_) | DocumentState::Rejected(_) | DocumentState::Dropped => return None,
    };
    Some(DocumentView {
        id: offer.key.document.to_string(),
        kind: offer.kind.reveal().clone(),
        name: offer.name.reveal().clone(),
        bytes: offer.size.and_then(|size| u32::try_from(size).ok()),
        received_at: instant(entry.received_at),
        place,
    })
}

/// The name of a feature in the window.
pub fn feature_name(feature: Feature) -> FeatureName {
    match feature {
        Feature::AttachDocuments => FeatureName::AttachDocuments,
        Feature::ClientSnapshots => FeatureName::ClientSnapshots,
        Feature::Documents => FeatureName::Documents,
    }
}

/// The features as they stand at Healthengine.
pub fn features(features: &[FeatureState]) -> Vec<FeatureView> {
    features
        .iter()
        .map(|state| FeatureView {
            feature: feature_name(state.feature),
            wanted: state.wanted,
            on: state.on,
            lacks: state.lacks.clone(),
        })
        .collect()
}
