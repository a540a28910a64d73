//! What is remembered about links besides the links themselves, as marks: who could be meant, who is not, and what
//! somebody decided that was not carried out yet.

use super::Ports;
use crate::record_desk::Choice;
use chrono::{DateTime, Utc};
use domain::ids::{ForeignRecordId, PartnerId, PracticeId, SyncId};
use domain::link::{LinkKey, LinkKind};
use domain::ports::store::{Mark, Store, StoreError};
use std::collections::BTreeSet;

/// The partner's records that could be meant.
const SUGGESTED: &str = "suggested";
/// Those that somebody said it is not.
const NOT: &str = "not";
/// What somebody decided.
const DECIDED: &str = "decided";
/// It is this record.
const SAME: &str = "same";
/// It is not.
const NOT_SAME: &str = "not";

/// A mark about one link. Our names hold no slash, so that no mark begins with another one's.
fn thing(what: &str, key: &LinkKey, told_as: &SyncId) -> String {
    format!("records/{}/{what}/{}/{told_as}/", key.partner, key.kind.name())
}

/// The ids in a mark, in their order.
async fn ids(store: &dyn Store, key: &LinkKey, thing: &str) -> Result<Vec<ForeignRecordId>, StoreError> {
    let marks = store.marks(&key.practice, thing).await?;
    let ids = marks.iter().flat_map(|mark| mark.digest.split(' ')).filter(|id| !id.is_empty());
    Ok(ids.map(ForeignRecordId::new).collect())
}

async fn set_ids<'i>(
    store: &dyn Store,
    key: &LinkKey,
    thing: String,
    ids: impl Iterator<Item = &'i ForeignRecordId>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let digest = ids.map(ForeignRecordId::as_str).collect::<Vec<_>>().join(" ");
    store.set_marks(&key.practice, &[Mark { thing, digest, at: now }]).await
}

/// The partner's records that could be meant, the likeliest first.
pub(crate) async fn suggested(
    store: &dyn Store,
    key: &LinkKey,
    told_as: &SyncId,
) -> Result<Vec<ForeignRecordId>, StoreError> {
    ids(store, key, &thing(SUGGESTED, key, told_as)).await
}

/// Remembers the partner's records that could be meant.
pub(super) async fn set_suggested(
    ports: &Ports,
    key: &LinkKey,
    told_as: &SyncId,
    ids: Vec<ForeignRecordId>,
) -> Result<(), StoreError> {
    let thing = thing(SUGGESTED, key, told_as);
    set_ids(ports.store.as_ref(), key, thing, ids.iter(), ports.clock.now()).await
}

/// Those of the partner's records that somebody said it is not.
pub(super) async fn refused(
    ports: &Ports,
    key: &LinkKey,
    told_as: &SyncId,
) -> Result<BTreeSet<ForeignRecordId>, StoreError> {
    let refused = ids(ports.store.as_ref(), key, &thing(NOT, key, told_as)).await?;
    Ok(refused.into_iter().collect())
}

/// Remembers that it is not this record of the partner's.
pub(crate) async fn refuse(
    store: &dyn Store,
    key: &LinkKey,
    told_as: &SyncId,
    id: &ForeignRecordId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let thing = thing(NOT, key, told_as);
    let before = ids(store, key, &thing).await?;
    set_ids(store, key, thing, before.iter().filter(|known| *known != id).chain([id]), now).await
}

/// Takes back that it is not this record.
pub(crate) async fn allow(
    store: &dyn Store,
    key: &LinkKey,
    told_as: &SyncId,
    id: &ForeignRecordId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let thing = thing(NOT, key, told_as);
    let before = ids(store, key, &thing).await?;
    if !before.contains(id) {
        return Ok(());
    }
    set_ids(store, key, thing, before.iter().filter(|known| *known != id), now).await
}

/// Remembers what somebody decided about a link, so that the flow looks at it, whatever it was about to record itself.
pub(crate) async fn decide(
    store: &dyn Store,
    key: &LinkKey,
    told_as: &SyncId,
    choice: &Choice,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (word, id) = match choice {
        Choice::Same(id) => (SAME, id),
        Choice::NotSame(id) => (NOT_SAME, id),
    };
    let digest = format!("{word} {id} {}", key.local_id);
    let mark = Mark { thing: thing(DECIDED, key, told_as), digest, at: now };
    store.set_marks(&key.practice, &[mark]).await
}

/// Something that somebody decided.
pub(super) struct Decision {
    mark: Mark,
    pub key: LinkKey,
    pub choice: Choice,
}

/// What somebody decided that was not looked at yet.
pub(super) async fn decided(ports: &Ports, partner: &PartnerId) -> Result<Vec<Decision>, StoreError> {
    let practice: &PracticeId = ports.id();
    let prefix = format!("records/{partner}/{DECIDED}/");
    let marks = ports.store.marks(practice, &prefix).await?;
    let read = |mark: Mark| {
        let kind = mark.thing.strip_prefix(&prefix)?.split('/').next()?;
        let kind = LinkKind::ALL.into_iter().find(|known| known.name() == kind)?;
        let mut words = mark.digest.splitn(3, ' ');
        let (word, id) = (words.next()?, ForeignRecordId::new(words.next()?));
        let choice = if word == SAME { Choice::Same(id) } else { Choice::NotSame(id) };
        let (practice, partner, local_id) = (practice.clone(), partner.clone(), words.next()?.to_owned());
        Some(Decision { key: LinkKey { practice, partner, kind, local_id }, choice, mark })
    };
    Ok(marks.into_iter().filter_map(read).collect())
}

/// Forgets a decision that was carried out, unless there is a newer one.
pub(super) async fn carried_out(ports: &Ports, decision: &Decision) -> Result<(), StoreError> {
    let standing = ports.store.marks(ports.id(), &decision.mark.thing).await?;
    if standing.contains(&decision.mark) {
        ports.store.forget_marks(ports.id(), &decision.mark.thing).await?;
    }
    Ok(())
}

/// Forgets who could be meant: it is linked.
pub(super) async fn forget(ports: &Ports, key: &LinkKey, told_as: &SyncId) -> Result<(), StoreError> {
    ports.store.forget_marks(&key.practice, &thing(SUGGESTED, key, told_as)).await.map(drop)
}
