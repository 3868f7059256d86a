//! The activities of this host: those of the configuration file, frozen at the start, and those that were
//! made while it ran, which the store keeps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::api::ActivityRefusal;
use crate::api::view::ActivityView;
use crate::job::{
    Activities, Activity, ActivityDraft, ActivityName, ActivitySpec, BadActivity, Code, PluginName, Timestamp,
};
use crate::store::{ActivityRow, Lanes, Store, StoreError, lane};

/// Activities made while the host runs; each is looked at whenever a window opens or closes.
const ACTIVITIES_MAX: usize = 10_000;

/// Keeps the activities, and tells the store and the engine of them.
pub(super) struct ActivityBook {
    store: Arc<dyn Store>,
    /// Slots for batch jobs, for what is said of an activity that is wider.
    slots: usize,
    known: Mutex<Arc<Activities>>,
    told: watch::Sender<Arc<Activities>>,
    /// One change at a time, so that an older snapshot is never told last.
    changing: tokio::sync::Mutex<()>,
}

impl ActivityBook {
    /// With the activities of the file and those that the store keeps; of two with one name the file's
    /// is taken.
    pub(super) async fn open(
        store: Arc<dyn Store>,
        file: &BTreeMap<ActivityName, ActivitySpec>,
        slots: usize,
    ) -> Result<Self, StoreError> {
        let (rows, _) = store.activities().await?;
        let mut all: Activities = file
            .iter()
            .map(|(name, spec)| {
                let one = Activity {
                    spec: Arc::new(spec.clone()),
                    paused: false,
                    created: None,
                };
                (name.clone(), one)
            })
            .collect();
        for row in rows {
            match (all.get_mut(&row.name), row.spec) {
                (Some(known), spec) => {
                    known.paused = row.paused;
                    if spec.is_some() {
                        tracing::warn!(activity = %row.name, "the configuration file has one of that name: it is taken");
                    }
                }
                (None, Some(spec)) => {
                    let one = Activity {
                        spec: Arc::new(spec),
                        paused: row.paused,
                        created: Some(row.created),
                    };
                    all.insert(row.name, one);
                }
                // It was paused, and is no longer in the file.
                (None, None) => {}
            }
        }
        let all = Arc::new(all);
        let book = Self {
            store,
            slots,
            known: Mutex::new(Arc::clone(&all)),
            told: watch::Sender::new(Arc::clone(&all)),
            changing: tokio::sync::Mutex::new(()),
        };
        book.tell(all).await?;
        Ok(book)
    }

    /// What the engine follows.
    pub(super) fn follow(&self) -> watch::Receiver<Arc<Activities>> {
        self.told.subscribe()
    }

    fn known(&self) -> Arc<Activities> {
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn get(&self, name: &ActivityName) -> Option<Arc<ActivitySpec>> {
        self.known().get(name).map(|one| Arc::clone(&one.spec))
    }

    /// Who decides about the calls of which.
    pub(super) fn handlers(&self) -> BTreeMap<ActivityName, PluginName> {
        let known = self.known();
        let each = known
            .iter()
            .filter_map(|(name, one)| Some((name.clone(), one.spec.handler.clone()?)));
        each.collect()
    }

    async fn tell(&self, all: Arc<Activities>) -> Result<(), StoreError> {
        let specs = all
            .iter()
            .map(|(name, one)| (name.clone(), Arc::clone(&one.spec)));
        self.store.set_lanes(Arc::new(Lanes(specs.collect()))).await?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&all);
        self.told.send_replace(all);
        Ok(())
    }

    /// Makes one: checked as a whole, then frozen and durable (C-01).
    pub(super) async fn create(
        &self,
        name: ActivityName,
        draft: &ActivityDraft,
        now: Timestamp,
    ) -> Result<ActivityView, ActivityRefusal> {
        let _one = self.changing.lock().await;
        let known = self.known();
        let refused = |code, why: String| {
            let key = "name";
            Err(ActivityRefusal::Bad(BadActivity { key, code, why }))
        };
        if known.contains_key(&name) {
            let why = format!("there is an activity `{name}` already; what it is does not change");
            return refused(Code::INVALIDARG, why);
        }
        if known.len() >= ACTIVITIES_MAX {
            let why = format!("there are {ACTIVITIES_MAX} activities, the most there can be");
            return refused(Code::OUTOFMEMORY, why);
        }
        let bases = known
            .iter()
            .map(|(name, one)| (name.clone(), ActivityDraft::from(&*one.spec)));
        let spec = draft.resolved(&bases.collect())?.freeze()?;
        let row = ActivityRow {
            name: name.clone(),
            spec: Some(spec.clone()),
            created: now,
            paused: false,
        };
        self.store.keep_activity(row).await?;
        let one = Activity {
            spec: Arc::new(spec),
            paused: false,
            created: Some(now),
        };
        let view = self.view(&name, &one, 0);
        let mut all = (*known).clone();
        all.insert(name, one);
        self.tell(Arc::new(all)).await?;
        Ok(view)
    }

    /// Pauses one, or lets it go on; `None` when there is none of that name.
    pub(super) async fn pause(
        &self,
        name: &ActivityName,
        paused: bool,
        now: Timestamp,
    ) -> Result<Option<ActivityView>, StoreError> {
        let changing = self.changing.lock().await;
        let mut all = (*self.known()).clone();
        let Some(one) = all.get_mut(name) else {
            return Ok(None);
        };
        one.paused = paused;
        let row = ActivityRow {
            name: name.clone(),
            spec: one.created.map(|_| (*one.spec).clone()),
            created: one.created.unwrap_or(now),
            paused,
        };
        self.store.keep_activity(row).await?;
        self.tell(Arc::new(all)).await?;
        drop(changing);
        let views = self.list().await?;
        Ok(views.into_iter().find(|view| view.name == *name))
    }

    /// All of them, by name.
    pub(super) async fn list(&self) -> Result<Vec<ActivityView>, StoreError> {
        let (_, waiting) = self.store.activities().await?;
        let known = self.known();
        let views = known.iter().map(|(name, one)| {
            let queued = waiting.get(&lane(name)).copied().unwrap_or(0);
            self.view(name, one, queued)
        });
        Ok(views.collect())
    }

    fn view(&self, name: &ActivityName, one: &Activity, queued: u64) -> ActivityView {
        ActivityView {
            name: name.clone(),
            spec: (*one.spec).clone(),
            digest: one.spec.digest(),
            created: one.created,
            paused: one.paused,
            queued,
            warnings: one.spec.lints(self.slots),
        }
    }
}
