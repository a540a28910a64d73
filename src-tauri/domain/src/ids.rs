//! One type per kind of name, so that two kinds cannot be swapped.

use std::fmt;

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text as it is.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text_id! {
    /// A practice on this computer, by its stable local key: `richmond`, `[a-z0-9-]{1,40}`.
    PracticeId,
    /// A partner, by its folder name: `healthengine`.
    PartnerId,
    /// A booking, as the partner calls it.
    ForeignBookingId,
    /// A change to a booking, as the partner calls it.
    ForeignChangeId,
    /// A document that waits to be filed, as the partner calls it.
    ForeignDocumentId,
    /// The name under which a partner is told of a patient or another thing, chosen once: VALD's sync id,
    /// Hint's integration record id.
    SyncId,
    /// A record, as the partner calls it.
    ForeignRecordId,
    /// A profile, as the partner calls it.
    ForeignProfileId,
    /// A group of profiles, as the partner calls it.
    ProfileGroupId,
    /// A subscription to what waits, as the partner calls it.
    SubscriptionId,
    /// An appointment, as the practice system calls it.
    AppointmentRef,
    /// A document, as the practice system calls it.
    DocumentRef,
    /// A patient, as the practice system calls them.
    PatientRef,
    /// A practitioner or room, as the practice system calls it.
    ResourceRef,
    /// An appointment type, as the practice system calls it.
    AppointmentTypeRef,
    /// A location of the practice, as the practice system calls it.
    LocationRef,
}

impl PartnerId {
    /// The name that people know: the folder's, each word with a capital. A partner that is called otherwise is never
    /// named by its id (`connectors/src/partners/mod.rs` has the test).
    pub fn title(&self) -> String {
        let capital = |word: &str| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>())
        };
        self.0.split('-').filter_map(capital).collect::<Vec<_>>().join(" ")
    }
}

impl PracticeId {
    /// Whether the text is a valid local key (`interface.md`, provisioning file).
    pub fn is_valid(text: &str) -> bool {
        (1..=40).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
}
