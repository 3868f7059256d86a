//! The nouns and the law: what a job, an error, an event and a delivery are, and the one pure
//! function that says how a job may change.
//!
//! Nothing in this room does I/O, waits, or reads a clock; times come in as arguments. Live work
//! and crash recovery go through the same [`apply`].

mod activity;
mod advice;
mod after;
mod batch;
mod change;
mod code;
mod command;
mod delivery;
mod elsewhere;
mod error;
mod event;
mod extended;
mod failure;
mod file;
mod hold;
mod hours;
mod id;
mod law;
mod legal;
mod model;
mod notify;
mod output;
mod plan;
mod policy;
mod profile;
mod query;
mod refused;
mod secret;
mod session;
pub(crate) mod time;
mod transfer;

pub use activity::{Activities, Activity, ActivityDraft, ActivitySpec, BadActivity, LaneOrder, PoolKind};
pub use advice::Nature;
pub use after::{After, NoAfter, WantedEnd};
pub use batch::{
    BatchSpec, CallLadder, CallSpec, CallState, CommandSpec, DeadCall, LEVELS_MAX, OnHostCrash, TRIES_MAX,
    Work,
};
pub use change::{JobChange, PropertyError};
pub use code::{Code, UnknownCode};
pub use command::{Command, Due, FilesChange, Refusal, Transition};
pub use delivery::{Answer, DeliveryState, Reply, StateRead, StateWrite};
pub use error::{ErrorContext, ErrorInfo, FileRef, Leg};
pub use event::{EventKind, Interface, Role, Route, Router};
pub use extended::{ExtendedStatus, ProviderError, Severity};
pub use failure::{FailureClass, FailureRecord};
pub(crate) use file::without_password;
pub use file::{FileSpec, FileStatus, Progress};
pub use hold::HoldReason;
pub use hours::{Hours, NoHours};
pub use id::{ActivityName, DeliveryId, InvalidName, JobId, OwnerName, PluginName};
pub use law::apply;
pub use legal::legal_verbs;
pub(crate) use model::words;
pub use model::{Family, Intent, Job, JobKind, JobSpec, JobState, Outcome, Priority, UnknownWord};
pub use notify::{FlagsRefused, NotifyFlag};
pub use output::{OutputAsk, OutputPage, OutputStream};
pub use plan::{Checksum, FILE_BYTES_MAX, FilePlan, FileRange, MIRRORS_MAX, Piece, RANGES_MAX, SumKind};
pub use policy::{FailurePolicy, Ladder, Next, Policy, Then, Tries, jitter_fraction, next_step};
pub use profile::{Backoff, Profile};
pub use query::{
    Completion, FetchFault, ObjectBatch, ObjectChange, ProviderRef, QueryPage, QueryProgress, QuerySpec,
    SinkEvent, SinkStatus, Value,
};
pub use refused::RefusedKey;
pub use secret::{SecretRef, SecretSource};
pub use session::{DownloadSession, Segment};
pub use time::Timestamp;
pub use transfer::{
    AuthScheme, AuthTarget, Credential, Existing, Header, HttpSpec, LimitSpec, PlacingSpec, Preserve,
    ProxySpec, ProxyUse, Redirects, ReplyProgress, StatusClass, TlsSpec, TransferSpec, UploadProtocol,
    UploadSpec, Versions, rate, reply_path,
};

#[cfg(test)]
mod code_tests;
#[cfg(test)]
mod law_batch_tests;
#[cfg(test)]
mod law_matrix;
#[cfg(test)]
mod law_query_tests;
#[cfg(test)]
mod law_reply_tests;
#[cfg(test)]
mod law_rows;
#[cfg(test)]
mod law_tests;
