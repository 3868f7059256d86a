//! What each job of the load is, by its number and the seed, and how it must end.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sexton::api::request::{FileRequest, SubmitRequest};
use sexton::api::view::{EventKind, JobKind, Outcome};
use sexton_tests::server::{Behaviour, Remote};
use sexton_tests::web::Web;

/// Files that are small, and one number for each: the sizes of everyday work.
const SMALL: [usize; 6] = [0, 1, 4_096, 20_000, 65_537, 130_000];

/// Long enough to be in the middle of it at several deaths.
const BIG: usize = 24 << 20;

/// What a slow server sends, and how long it then pauses. A big file comes at about 10 MiB a second, to
/// be there at many deaths, or at about 40, so that far more comes in one life than may be fetched
/// again after it.
const BIG_PIECE: (usize, Duration) = (128 << 10, Duration::from_millis(12));
const BIG_AND_FAST_PIECE: (usize, Duration) = (512 << 10, Duration::from_millis(12));
const SLOW_PIECE: (usize, Duration) = (20_000, Duration::from_millis(10));

/// How often a job that is struck enters `error` before its handler ends it.
pub(super) const STRIKES: usize = 3;

/// One kind of job of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// A small file.
    Good,
    /// A file that takes some hundredths of a second.
    Slow,
    /// Tens of megabytes.
    Big,
    /// 503 at first.
    Busy,
    /// 404 at first; its handler resumes it.
    Resumed,
    /// 404 for ever; its handler resumes it twice, then cancels it.
    Struck,
    /// 404 for ever; its handler completes it as it is.
    Partial,
    /// Held, and completed by its handler.
    HeldForHandler,
    /// Held, and completed by a person.
    HeldForPerson,
}

/// A well-mixed number for `number` under `seed`: SplitMix64.
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// One job of the load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) number: u64,
    pub(super) plan: Plan,
    random: u64,
}

impl Item {
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let random = mix(seed, number);
        let plan = match random % 20 {
            0..8 => Plan::Good,
            8..11 => Plan::Slow,
            11..13 => Plan::Busy,
            13..15 => Plan::Resumed,
            15 => Plan::Struck,
            16 => Plan::Partial,
            17 => Plan::HeldForHandler,
            _ => Plan::HeldForPerson,
        };
        Self { number, plan, random }
    }

    pub(super) fn big(seed: u64, number: u64) -> Self {
        Self {
            plan: Plan::Big,
            ..Self::new(seed, number)
        }
    }

    /// The file as the server has it: no two jobs get the same bytes.
    pub(super) fn body(&self) -> Vec<u8> {
        let size = match self.plan {
            Plan::Big => BIG,
            Plan::Slow => 150_000,
            _ => SMALL[usize::try_from(self.random >> 32).unwrap() % SMALL.len()],
        };
        let mut body = Vec::with_capacity(size + 8);
        let mut at = 0;
        while body.len() < size {
            body.extend_from_slice(&mix(self.random, at).to_le_bytes());
            at += 1;
        }
        body.truncate(size);
        body
    }

    /// The path of its URL.
    pub(super) fn route(&self) -> String {
        format!("/{}", self.number)
    }

    /// Where its file is put, below the host's folder.
    pub(super) fn file(&self, dir: &Path) -> PathBuf {
        dir.join(format!("out/file-{}", self.number))
    }

    /// Has the server ready for it and says what is to be submitted.
    pub(super) fn request(&self, web: &Web, dir: &Path) -> SubmitRequest {
        let file = FileRequest::new(
            web.route(&self.route(), self.behaviour()),
            self.file(dir).to_str().unwrap(),
        );
        SubmitRequest {
            context: self.number.to_string(),
            hold: Some(matches!(self.plan, Plan::HeldForHandler | Plan::HeldForPerson)),
            handler: self.handler().map(|name| name.parse().unwrap()),
            retry_delay_ms: Some(150),
            key: Some(format!("key-{}", self.number)),
            ..SubmitRequest::new(JobKind::Download, vec![file])
        }
    }

    fn behaviour(&self) -> Behaviour {
        let serve = || Behaviour::Serve(Remote::new(self.body()));
        let slow = |(chunk, delay)| Behaviour::Slow {
            remote: Remote::new(self.body()),
            chunk,
            delay,
        };
        let first = |status| Behaviour::Sequence(vec![Behaviour::Status(status, Vec::new()), serve()]);
        match self.plan {
            Plan::Good | Plan::HeldForHandler | Plan::HeldForPerson => serve(),
            Plan::Slow => slow(SLOW_PIECE),
            Plan::Big if self.random.is_multiple_of(2) => slow(BIG_PIECE),
            Plan::Big => slow(BIG_AND_FAST_PIECE),
            Plan::Busy => first(503),
            Plan::Resumed => first(404),
            Plan::Struck | Plan::Partial => Behaviour::Status(404, Vec::new()),
        }
    }

    /// The handler that decides about it.
    pub(super) fn handler(&self) -> Option<&'static str> {
        match self.plan {
            Plan::Good | Plan::Slow | Plan::Big | Plan::Busy | Plan::HeldForPerson => None,
            Plan::Resumed => Some("resumer"),
            Plan::Struck => Some("striker"),
            Plan::Partial | Plan::HeldForHandler => Some("completer"),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match self.plan {
            Plan::Struck => Outcome::Cancelled,
            Plan::Partial => Outcome::Partial,
            _ => Outcome::Succeeded,
        }
    }

    /// How often it may have raised an event. A death between the answer 404 and its record makes the
    /// host ask again: the second answer is a good one, and the first was never heard of.
    pub(super) fn raises(&self, event: EventKind) -> RangeInclusive<usize> {
        match (event, self.plan) {
            (EventKind::OnEnded, _) => 1..=1,
            (EventKind::JobError, Plan::Resumed) => 0..=1,
            (EventKind::JobError, Plan::Struck) => STRIKES..=STRIKES,
            (EventKind::JobError, Plan::Partial) => 1..=1,
            (EventKind::JobTransferred, plan) if !matches!(plan, Plan::Struck | Plan::Partial) => 1..=1,
            _ => 0..=0,
        }
    }

    /// Who is told of an event.
    pub(super) fn hears(&self, event: EventKind) -> Vec<&'static str> {
        let subscribed: &[_] = match event {
            EventKind::OnEnded => &["counter", "webhook"],
            EventKind::JobError => &["counter"],
            EventKind::JobTransferred => &["slow", "fickle"],
            _ => &[],
        };
        self.handler()
            .into_iter()
            .chain(subscribed.iter().copied())
            .collect()
    }
}
