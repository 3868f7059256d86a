//! What handlers can be told, and who is told.

use serde::{Deserialize, Serialize};

use super::model::words;
use super::{Family, Job, PluginName};

words! {
    /// Something a handler is called for; the word is the WIT function's name.
    EventKind {
        /// All files are here (`job-callback`).
        JobTransferred = "job-transferred",
        /// The job entered `error` (`job-callback`, B-99).
        JobError = "job-error",
        /// A property, state or progress changed; latest wins, may be dropped (B-106).
        JobModification = "job-modification",
        /// One file is here (B-107).
        FileTransferred = "file-transferred",
        /// The job ended, however it ended: exactly once (`job-end`).
        OnEnded = "on-ended",
        /// A batch call failed (`async-error-notify`).
        OnError = "on-error",
        /// A call failed that had begun, and nothing is left to try (`final-retry`, C-76).
        FinalServerRetry = "final-server-retry",
        /// The same of a call that never began (`final-retry`, C-77).
        FinalClientRetry = "final-client-retry",
        /// Objects of a query (`object-sink`, W-13).
        OnObjectReady = "on-object-ready",
        /// How far a query is; latest wins, may be dropped (W-16).
        OnProgress = "on-progress",
        /// A query stored something (W-32).
        OnObjectPut = "on-object-put",
        /// A query ended, however it ended: exactly once, after everything else (W-11).
        OnCompleted = "on-completed",
    }
}

words! {
    /// A handler interface of `sexton:plugin`.
    Interface {
        /// BITS and Delivery Optimization.
        JobCallback = "job-callback",
        /// The terminal notification.
        JobEnd = "job-end",
        /// COM+.
        AsyncErrorNotify = "async-error-notify",
        /// WMI.
        ObjectSink = "object-sink",
        /// The last call before the dead letters (C-75).
        FinalRetry = "final-retry",
        /// Does batch work (C-07).
        ServiceCall = "service-call",
        /// Answers queries.
        Provider = "provider",
    }
}

words! {
    /// What a handler may do about the job it is told of.
    Role {
        /// Its job requests are applied.
        Decider = "decider",
        /// Its job requests are refused with `E_ACCESSDENIED`; its state writes commit.
        Observer = "observer",
    }
}

impl EventKind {
    /// The interface whose function this is.
    #[must_use]
    pub const fn interface(self) -> Interface {
        match self {
            Self::JobTransferred | Self::JobError | Self::JobModification | Self::FileTransferred => {
                Interface::JobCallback
            }
            Self::OnEnded => Interface::JobEnd,
            Self::OnError => Interface::AsyncErrorNotify,
            Self::FinalServerRetry | Self::FinalClientRetry => Interface::FinalRetry,
            Self::OnObjectReady | Self::OnProgress | Self::OnObjectPut | Self::OnCompleted => {
                Interface::ObjectSink
            }
        }
    }

    /// Whether jobs of `family` can ever raise it.
    #[must_use]
    pub const fn occurs_in(self, family: Family) -> bool {
        match self {
            Self::JobTransferred | Self::JobError | Self::JobModification | Self::FileTransferred => {
                matches!(family, Family::Transfer)
            }
            Self::OnError | Self::FinalServerRetry | Self::FinalClientRetry => {
                matches!(family, Family::Batch)
            }
            Self::OnObjectReady | Self::OnProgress | Self::OnObjectPut | Self::OnCompleted => {
                matches!(family, Family::Query)
            }
            Self::OnEnded => true,
        }
    }

    /// Latest-wins events: one row per (job, handler), never retried, never blocking (B-106).
    #[must_use]
    pub const fn is_coalesced(self) -> bool {
        matches!(self, Self::JobModification | Self::OnProgress)
    }
}

/// One handler that an event goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The plugin called.
    pub plugin: PluginName,
    /// Decides or observes.
    pub role: Role,
}

/// An immutable snapshot of configuration and loaded components that says who hears of what.
///
/// The store's writer asks it while it commits an event, so that the event and its deliveries are
/// one transaction.
pub trait Router: Send + Sync {
    /// Every handler of `event` for `job`: at most one decider, each plugin at most once.
    fn routes(&self, job: &Job, event: EventKind) -> Vec<Route>;
}
