//! The table: what an operator writes, which failure it meets, and what follows.

/// A row of the table, for several classes that fare alike.
pub(super) struct Row {
    /// Lines of the plugin's table.
    pub(super) policy: &'static str,
    /// Which failures.
    pub(super) classes: &'static [&'static str],
    /// Milliseconds from each failure to the next call.
    pub(super) waits: &'static [u64],
    /// By how much each may differ.
    pub(super) jitter_percent: u64,
    /// After the waits, one more call is made only at this age, in seconds.
    pub(super) late: Option<u64>,
    /// The job's notify command.
    pub(super) command: &'static [&'static str],
    /// What it comes to.
    pub(super) end: End,
}

/// What a delivery comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Buried at the last failure, for this reason.
    Dead(&'static str),
    /// The final callback takes it.
    FinalTakes,
    /// The final callback fails too.
    FinalFails,
    /// The process ends.
    FailFast,
    /// The notify command takes it.
    CommandTakes,
    /// The notify command fails too, and in as many rounds as there are.
    CommandFails,
}

pub(super) const CHARGED: &[&str] = &[
    "error-transient",
    "error-permanent",
    "trap",
    "memory",
    "timeout",
    "exit",
];
/// All but the error that will not pass.
const PASSING: &[&str] = &["error-transient", "trap", "memory", "timeout", "exit"];
const PERMANENT: &[&str] = &["error-permanent"];

const MINUTE: u64 = 60_000;
/// C-71, C-72: calls 1, 2, 3, 5, 7, 9, 13, 17, 21, 29, 37, 45, 61, 77 and 93 minutes after the first.
const QUEUED: &[u64] = &[
    MINUTE,
    MINUTE,
    MINUTE,
    2 * MINUTE,
    2 * MINUTE,
    2 * MINUTE,
    4 * MINUTE,
    4 * MINUTE,
    4 * MINUTE,
    8 * MINUTE,
    8 * MINUTE,
    8 * MINUTE,
    16 * MINUTE,
    16 * MINUTE,
    16 * MINUTE,
];
/// B-101: doubling from a second to five minutes.
const BITS: &[u64] = &[
    1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000,
];
/// How old an event may become.
const DAYS_14: u64 = 14 * 86_400;

const NONE: Row = Row {
    policy: "",
    classes: &[],
    waits: &[],
    jitter_percent: 0,
    late: None,
    command: &[],
    end: End::FailFast,
};

pub(super) const ROWS: &[Row] = &[
    Row {
        policy: "on_failure = 'bits'",
        classes: CHARGED,
        waits: BITS,
        jitter_percent: 10,
        late: Some(DAYS_14 - 200),
        end: End::Dead("still failing after 14days"),
        ..NONE
    },
    // Nothing written: the default of `job-error`.
    Row {
        policy: "",
        classes: CHARGED,
        waits: &[1_000, 2_000],
        jitter_percent: 10,
        late: Some(DAYS_14 - 1),
        end: End::Dead("still failing after 14days"),
        ..NONE
    },
    Row {
        policy: "on_failure = 'queued'",
        classes: PASSING,
        waits: QUEUED,
        end: End::FinalTakes,
        ..NONE
    },
    Row {
        policy: "on_failure = 'queued'",
        classes: PASSING,
        waits: QUEUED,
        end: End::FinalFails,
        ..NONE
    },
    // C-74.
    Row {
        policy: "on_failure = 'queued'",
        classes: PERMANENT,
        end: End::FinalTakes,
        ..NONE
    },
    Row {
        policy: "on_failure = 'queued'",
        classes: PERMANENT,
        end: End::FinalFails,
        ..NONE
    },
    Row {
        policy: "on_failure = 'com-plus'",
        classes: CHARGED,
        ..NONE
    },
    Row {
        policy: "on_failure = 'fail-fast'",
        classes: CHARGED,
        ..NONE
    },
    Row {
        policy: "on_failure = 'dead-letter'",
        classes: CHARGED,
        end: End::Dead("is dead-letter"),
        ..NONE
    },
    Row {
        policy: "on_failure = { attempts = 4, initial = '2s', factor = 3.0, max = '10s' }",
        classes: PASSING,
        waits: &[2_000, 6_000, 10_000],
        end: End::Dead("failed 4 times"),
        ..NONE
    },
    Row {
        policy: "on_failure = { attempts = 3, initial = '10s', factor = 1.0, jitter = '50%' }",
        classes: PASSING,
        waits: &[10_000, 10_000],
        jitter_percent: 50,
        end: End::Dead("failed 3 times"),
        ..NONE
    },
    Row {
        policy: "on_failure = { initial = '4s', factor = 1.0, age = '10s', then = 'dead-letter' }",
        classes: PASSING,
        waits: &[4_000, 4_000],
        end: End::Dead("still failing after 10s"),
        ..NONE
    },
    Row {
        policy: "on_failure = { attempts = 4, then = 'dead-letter' }",
        classes: PERMANENT,
        end: End::Dead("trying again is of no use"),
        ..NONE
    },
    Row {
        policy: "on_failure = { attempts = 2, then = 'fail-fast' }",
        classes: PASSING,
        waits: &[1_000],
        ..NONE
    },
    Row {
        policy: "on_failure = { attempts = 2, then = 'fail-fast' }",
        classes: PERMANENT,
        end: End::Dead("trying again is of no use"),
        ..NONE
    },
    Row {
        policy: "on_failure = { attempts = 2, then = 'notify-command' }",
        classes: PASSING,
        waits: &[1_000],
        command: &["true"],
        end: End::CommandTakes,
        ..NONE
    },
    Row {
        policy: "on_failure = { attempts = 2, then = 'notify-command' }",
        classes: PERMANENT,
        command: &["true"],
        end: End::CommandTakes,
        ..NONE
    },
    Row {
        policy: "on_failure = { attempts = 2, then = 'notify-command' }",
        classes: PASSING,
        waits: &[1_000],
        end: End::Dead("the job has no notify command"),
        ..NONE
    },
    // B-102: a job with a command has it run instead of retries, under every policy but FailFast.
    Row {
        policy: "on_failure = 'bits'",
        classes: CHARGED,
        command: &["true"],
        end: End::CommandTakes,
        ..NONE
    },
    Row {
        policy: "on_failure = 'queued'",
        classes: CHARGED,
        command: &["true"],
        end: End::CommandTakes,
        ..NONE
    },
    Row {
        policy: "on_failure = 'dead-letter'",
        classes: CHARGED,
        command: &["true"],
        end: End::CommandTakes,
        ..NONE
    },
    // Ten rounds, the job's own retry delay apart.
    Row {
        policy: "on_failure = 'bits'",
        classes: CHARGED,
        waits: &[5_000; 9],
        command: &["false"],
        end: End::CommandFails,
        ..NONE
    },
    Row {
        policy: "on_failure = 'fail-fast'",
        classes: &["trap"],
        command: &["true"],
        ..NONE
    },
    // By class, where it differs.
    Row {
        policy: "on_failure = 'fail-fast'\non = { CLASS = 'dead-letter' }",
        classes: CHARGED,
        end: End::Dead("is dead-letter"),
        ..NONE
    },
    Row {
        policy: "on_failure = 'dead-letter'\non = { CLASS = 'fail-fast' }",
        classes: CHARGED,
        ..NONE
    },
    Row {
        policy: "on_failure = 'dead-letter'\non = { CLASS = 'bits' }",
        classes: CHARGED,
        waits: &[1_000, 2_000, 4_000],
        jitter_percent: 10,
        late: Some(DAYS_14),
        end: End::Dead("still failing after 14days"),
        ..NONE
    },
    Row {
        policy: "on_failure = 'fail-fast'\non = { CLASS = 'queued' }",
        classes: PERMANENT,
        end: End::FinalTakes,
        ..NONE
    },
    // A class that has a ladder of its own climbs it, also the error that will not pass.
    Row {
        policy: "on_failure = 'fail-fast'\non = { CLASS = { attempts = 3, initial = '7s', factor = 2.0 } }",
        classes: CHARGED,
        waits: &[7_000, 14_000],
        end: End::Dead("failed 3 times"),
        ..NONE
    },
    Row {
        policy: "on_failure = 'com-plus'\non = { CLASS = { attempts = 2, then = 'notify-command' } }",
        classes: CHARGED,
        waits: &[1_000],
        command: &["true"],
        end: End::CommandTakes,
        ..NONE
    },
];

impl Row {
    /// The policy as it is written for one class.
    pub(super) fn written(&self, class: &str) -> String {
        self.policy.replace("CLASS", class)
    }

    /// Whether the command runs at every failure.
    pub(super) fn runs_command(&self) -> bool {
        self.end == End::CommandFails
    }

    /// Attempts that were the command's, besides the last.
    pub(super) fn commands(&self) -> usize {
        if self.runs_command() { self.waits.len() } else { 0 }
    }
}

/// A failure that is nobody's, or ours.
pub(super) struct Uncharged {
    /// Which.
    pub(super) class: &'static str,
    /// How often it happens before the handler gets through.
    pub(super) times: u32,
    /// Milliseconds to the next call, where it is not at once.
    pub(super) waits: &'static [u64],
    /// What it comes to.
    pub(super) state: &'static str,
    /// In words.
    pub(super) result: &'static str,
    /// Calls in all.
    pub(super) attempts: u32,
    /// Calls that were charged: at most the one that got through.
    pub(super) charged: u32,
}

/// Under each of these.
pub(super) const POLICIES: [&str; 6] = [
    "on_failure = 'bits'",
    "on_failure = 'queued'",
    "on_failure = 'com-plus'",
    "on_failure = 'dead-letter'",
    "on_failure = 'fail-fast'",
    "on_failure = { attempts = 1, then = 'fail-fast' }",
];

pub(super) const UNCHARGED: [Uncharged; 6] = [
    Uncharged {
        class: "overload",
        times: 4,
        waits: &[250, 250, 250, 250],
        state: "settled",
        result: "acknowledged",
        attempts: 5,
        charged: 1,
    },
    Uncharged {
        class: "host-fault",
        times: 4,
        waits: &[1_000, 2_000, 4_000, 8_000],
        state: "settled",
        result: "acknowledged",
        attempts: 5,
        charged: 1,
    },
    Uncharged {
        class: "host-fault",
        times: 5,
        waits: &[1_000, 2_000, 4_000, 8_000],
        state: "poison",
        result: "5 times in a row",
        attempts: 5,
        charged: 0,
    },
    Uncharged {
        class: "conflict",
        times: 3,
        waits: &[],
        state: "settled",
        result: "acknowledged",
        attempts: 4,
        charged: 1,
    },
    Uncharged {
        class: "conflict",
        times: 4,
        waits: &[],
        state: "settled",
        result: "superseded",
        attempts: 4,
        charged: 0,
    },
    Uncharged {
        class: "interrupted",
        times: 1,
        waits: &[],
        state: "settled",
        result: "acknowledged",
        attempts: 2,
        charged: 1,
    },
];
