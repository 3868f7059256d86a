//! What is known of one plugin: what serves, the state of its file, what is wrong with it, and
//! whether it is being loaded.

use std::sync::Arc;

use super::PluginInfo;
use super::folder::Stamp;
use super::load::Served;
use super::refusal::Refusal;
use super::settings::Settings;
use crate::job::PluginName;

/// Looks at a file that is not what it should be; one that is written for longer is left for the
/// next event.
const LOOKS: u32 = 10;

/// One plugin.
#[derive(Default)]
pub(super) struct Entry {
    served: Option<Arc<Served>>,
    /// The state of the file that was looked at last.
    seen: Option<Stamp>,
    /// Its file was in the folder since the start.
    had_file: bool,
    /// Nothing more is to be done about the file as it is.
    settled: bool,
    /// Looks since something new was to be expected.
    looks: u32,
    /// The turn that loads it now.
    turn: Option<u64>,
    /// The folder was looked at during the turn: the file may be another than the one it reads.
    missed: bool,
    problem: Option<Problem>,
}

/// What is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    refusal: Refusal,
    digest: Option<String>,
}

impl Entry {
    /// What serves.
    pub(super) fn served(&self) -> Option<&Arc<Served>> {
        self.served.as_ref()
    }

    /// Whether a turn is under way.
    pub(super) fn is_loading(&self) -> bool {
        self.turn.is_some()
    }

    /// Whether this turn is still its own: it may have been removed and made anew meanwhile.
    pub(super) fn is_turn(&self, turn: u64) -> bool {
        self.turn == Some(turn)
    }

    /// Begins a turn.
    pub(super) fn begin(&mut self, turn: u64) {
        self.turn = Some(turn);
        self.missed = false;
        self.settled = false;
        self.looks += 1;
    }

    /// A look came by during the turn.
    pub(super) fn miss(&mut self) {
        self.missed = true;
    }

    /// Ends the turn; says whether the file is to be looked at again soon.
    pub(super) fn end_turn(&mut self) -> bool {
        self.turn = None;
        if std::mem::take(&mut self.missed) {
            self.settled = false;
            self.looks = 0;
        }
        self.wants_look()
    }

    /// Whether the file is to be looked at again soon.
    pub(super) fn wants_look(&self) -> bool {
        !self.settled && !self.is_loading() && self.looks < LOOKS
    }

    /// Something has happened in the folder: a file that was given up may be whole by now.
    pub(super) fn expect_news(&mut self) {
        self.looks = 0;
    }

    /// Nothing more is to be done about the file as it is.
    pub(super) fn settle(&mut self) {
        self.settled = true;
    }

    /// Its file is in the folder.
    pub(super) fn note_file(&mut self) {
        self.had_file = true;
    }

    /// Whether its file was in the folder since the start.
    pub(super) fn had_file(&self) -> bool {
        self.had_file
    }

    /// Whether the file is as it was at the last look.
    pub(super) fn is_as_seen(&self, stamp: Stamp) -> bool {
        self.seen == Some(stamp)
    }

    /// What is wrong with the file, the first time that this is certain.
    pub(super) fn certain_refusal(&self) -> Option<&Refusal> {
        let problem = self.problem.as_ref().filter(|_| !self.settled);
        problem.map(|problem| &problem.refusal)
    }

    /// A component was loaded from the file, or the one that serves is in it.
    pub(super) fn loaded(&mut self, stamp: Stamp, served: Option<Arc<Served>>) {
        self.served = served.or_else(|| self.served.take());
        // It may have lost its grants while it was read: then it is looked at again.
        self.seen = self.served.is_some().then_some(stamp);
        self.settled = self.served.is_some();
        self.problem = None;
    }

    /// The last good component serves in place of the file.
    pub(super) fn restored(&mut self, served: Arc<Served>) {
        self.served = Some(served);
    }

    /// The file was refused; it may be in the middle of being written.
    pub(super) fn refused(&mut self, stamp: Stamp, refusal: Refusal, digest: Option<String>) {
        self.seen = Some(stamp);
        self.problem = Some(Problem { refusal, digest });
    }

    /// The file changed while it was read.
    pub(super) fn moving(&mut self) {
        self.seen = None;
    }

    /// Makes other settings count. What was refused is looked at again.
    pub(super) fn configure(&mut self, settings: &Arc<Settings>) {
        if self.problem.is_some() {
            self.seen = None;
            self.settled = false;
        }
        let Some(served) = self.served.take() else {
            return;
        };
        match served.surface.check_grants(settings) {
            Ok(()) => self.served = Some(with_settings(served, settings)),
            Err(refusal) => {
                tracing::warn!(plugin = %served.name, "stops serving: {refusal}");
                self.seen = None;
                self.settled = false;
                self.problem = Some(Problem {
                    refusal,
                    digest: Some(served.digest.clone()),
                });
            }
        }
    }

    /// As the operator sees it.
    pub(super) fn info(&self, name: &PluginName) -> PluginInfo {
        let served = self.served.as_deref();
        // A problem is told once it is certain.
        let problem = self.problem.as_ref().filter(|_| self.settled || served.is_none());
        let refused = problem.and_then(|problem| problem.digest.clone());
        let words = match problem {
            Some(problem) => Some(problem.refusal.to_string()),
            None if served.is_none() && self.is_loading() => {
                Some("absent for now: it is being loaded, and compiled first where it is new here".to_owned())
            }
            None => None,
        };
        PluginInfo {
            name: name.clone(),
            digest: served.map(|s| s.digest.clone()).unwrap_or_default(),
            size: served.map_or(0, |s| s.size),
            interfaces: served.map(|s| s.surface.interfaces.clone()).unwrap_or_default(),
            serving: served.is_some(),
            problem: words,
            refused_digest: refused,
        }
    }
}

fn with_settings(served: Arc<Served>, settings: &Arc<Settings>) -> Arc<Served> {
    if *served.settings == **settings {
        return served;
    }
    Arc::new(Served {
        settings: Arc::clone(settings),
        ..(*served).clone()
    })
}
