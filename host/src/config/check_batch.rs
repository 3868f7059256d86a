//! `[batch]`: from its raw shape to what the runner of batch work goes by.

use std::time::Duration;

use super::check::Check;
use super::error::Fault;
use super::raw_batch::{RawBatch, RawHostCrash, RawRetry, RawUnrecoverable};
use super::value::{Size, Term};
use crate::job::{CallLadder, LEVELS_MAX, OnHostCrash, TRIES_MAX};

const DAY: Duration = Duration::from_secs(86_400);
/// Longer is `"never"`.
const DEADLINE_MAX: Duration = Duration::from_secs(3650 * 86_400);
/// A sentence must fit.
const OUTPUT_MIN: u64 = 4 << 10;
/// It is kept for every run of every job that is there.
const OUTPUT_MAX: u64 = 1 << 30;

/// What a failed call that no handler is told of does to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecoverable {
    /// It is recorded, counted and shown (C-33).
    Record,
    /// It ends the host: the literal COM+ reading (CX-13).
    FailFast,
}

/// `[batch]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchConfig {
    /// Background calls at the same time (default: the machine's processors, C-58).
    pub slots: usize,
    /// How long one run may take (default: no limit).
    pub deadline: Option<Duration>,
    /// How much of each output of a run is kept (default 1 MiB).
    pub output: u64,
    /// What a failed call without a handler does to the host (default: nothing).
    pub unrecoverable: Unrecoverable,
    /// What becomes of a call that was running when the host died (default: it has failed).
    pub on_host_crash: OnHostCrash,
    /// Deaths of the host in a row after which a call is not run again (default 2, CJ-07).
    pub crash_limit: u32,
    /// How a failed call is tried again (default: it is not).
    pub retry: Option<CallLadder>,
}

/// Checks the section.
pub(super) fn batch(check: &mut Check<'_, '_>, raw: &RawBatch) -> BatchConfig {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let slots = check.count("batch.slots", raw.slots.as_ref(), processors as u64, 1000);
    let crash_limit = check.count("batch.crash_limit", raw.crash_limit.as_ref(), 2, 100);
    BatchConfig {
        slots: usize::try_from(slots).unwrap_or(usize::MAX),
        deadline: deadline(check, raw),
        output: check
            .within(
                "batch.output",
                raw.output.as_ref(),
                Size(1 << 20),
                (Size(OUTPUT_MIN), Size(OUTPUT_MAX)),
            )
            .0,
        unrecoverable: match raw.unrecoverable.as_ref().map(|at| at.value) {
            None | Some(RawUnrecoverable::Record) => Unrecoverable::Record,
            Some(RawUnrecoverable::FailFast) => Unrecoverable::FailFast,
        },
        on_host_crash: match raw.on_host_crash.as_ref().map(|at| at.value) {
            None | Some(RawHostCrash::Error) => OnHostCrash::Error,
            Some(RawHostCrash::Rerun) => OnHostCrash::Rerun,
        },
        crash_limit: u32::try_from(crash_limit).unwrap_or(u32::MAX),
        retry: raw.retry.as_ref().map(|retry| ladder(check, retry)),
    }
}

fn deadline(check: &mut Check<'_, '_>, raw: &RawBatch) -> Option<Duration> {
    let at = raw.deadline.as_ref()?;
    let term = at.value.0?.0;
    if term.is_zero() || term > DEADLINE_MAX {
        let fault =
            Fault::new("`deadline` is no time that a run could take").expected("1ms to 3650d, or \"never\"");
        check.report.add(&at.span, "batch.deadline", fault);
    }
    Some(term)
}

fn ladder(check: &mut Check<'_, '_>, raw: &RawRetry) -> CallLadder {
    let usual = CallLadder::default();
    let (least, most) = (Duration::from_millis(100), DAY);
    let mut count = |key, raw, default: u32, most: u32| {
        u32::try_from(check.count(key, raw, u64::from(default), u64::from(most))).unwrap_or(u32::MAX)
    };
    let levels = count(
        "batch.retry.levels",
        raw.levels.as_ref(),
        usual.levels,
        LEVELS_MAX,
    );
    let tries = count("batch.retry.tries", raw.tries.as_ref(), usual.tries, TRIES_MAX);
    CallLadder {
        base: check
            .within(
                "batch.retry.base",
                raw.base.as_ref(),
                Term(usual.base),
                (Term(least), Term(most)),
            )
            .0,
        levels,
        tries,
    }
}
