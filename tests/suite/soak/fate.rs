//! What goes wrong with a request, by chance: the same for the same seed, job and number of the request.

use std::time::Duration;

use bytes::Bytes;
use sexton_tests::server::{Behaviour, Remote, Step};

use super::plan::Plan;

/// Bytes that a server sends at once where it is slow, and how long it then pauses.
const SLOW: (usize, Duration) = (64 << 10, Duration::from_millis(8));

/// How many requests in a hundred go wrong, by how often was asked before: in the end all is well, or
/// no job would end.
pub(super) fn goes_wrong(random: u64, before: u32, plan: Plan) -> bool {
    let percent = match (before, plan) {
        // Of a dozen files in a row.
        (0..4, Plan::Many) => 12,
        (0..5, _) => 50,
        (5..12, _) => 15,
        _ => 0,
    };
    random % 100 < percent
}

/// An answer that is no file; what it is called in the tally.
fn refusal(random: u64) -> (&'static str, Behaviour) {
    let wait = match random % 3 {
        0 => Vec::new(),
        1 => vec![("Retry-After".to_owned(), "0".to_owned())],
        _ => vec![("Retry-After".to_owned(), "1".to_owned())],
    };
    let status = |name, status| (name, Behaviour::Status(status, wait.clone()));
    match (random >> 8) % 9 {
        0 => status("429", 429),
        1 => status("500", 500),
        2 => status("503", 503),
        3 => status("408", 408),
        // These are for good: the job's handler has it tried again.
        4 => status("403", 403),
        5 => status("404", 404),
        6 => status("501", 501),
        7 => ("closed without a word", Behaviour::Close),
        _ => ("reset without a word", Behaviour::Script(vec![Step::Reset])),
    }
}

/// An answer to a request for a file, gone wrong.
pub(super) fn fetched(remote: Remote, random: u64, plan: Plan) -> (&'static str, Behaviour) {
    let size = remote.body.len() as u64;
    let after = usize::try_from((random >> 16) % size.max(1)).unwrap();
    if plan == Plan::Checked && size > 0 && (random >> 60).is_multiple_of(3) {
        let mut body = remote.body.to_vec();
        body[after] ^= 1;
        let body = Bytes::from(body);
        return ("damaged", Behaviour::Serve(Remote { body, ..remote }));
    }
    match random % 22 {
        0..5 => refusal(random >> 40),
        5 | 6 => ("cut", Behaviour::CutEvery { remote, every: after }),
        7 | 8 => ("reset in the body", Behaviour::ResetAfter { remote, after }),
        9 => ("stalled in the body", Behaviour::Stall { remote, after }),
        10 => ("never answered", Behaviour::Hang),
        11 => (
            "length too great",
            Behaviour::LyingLength {
                remote,
                claims: size + 1 + size / 3,
            },
        ),
        12 => (
            "chunked",
            Behaviour::NoLength {
                remote,
                chunked: true,
            },
        ),
        13 => (
            "ended by closing",
            Behaviour::NoLength {
                remote,
                chunked: false,
            },
        ),
        14 => ("range ignored", Behaviour::IgnoresRange(remote)),
        15 => ("range began early", Behaviour::WrongContentRange(remote)),
        16 => ("version ignored", Behaviour::IgnoresIfRange(remote)),
        17 => ("206 unasked", Behaviour::TwoOhSixWithoutRange(remote)),
        18 => ("encoded unasked", Behaviour::GzipUnasked(remote)),
        19 => (
            "sent to nobody",
            Behaviour::Redirect("http://127.0.0.1:1/".to_owned()),
        ),
        20 => ("redirects without end", Behaviour::RedirectLoop),
        _ => ("headers without end", Behaviour::EndlessHeaders),
    }
}

/// How a file that changes is answered at first.
pub(super) fn changing(remote: Remote, random: u64, first: bool) -> (&'static str, Behaviour) {
    let every = usize::try_from(random % remote.body.len().max(1) as u64).unwrap();
    if first {
        ("cut", Behaviour::CutEvery { remote, every })
    } else {
        ("version ignored", Behaviour::IgnoresIfRange(remote))
    }
}

/// Well, though not always fast.
pub(super) fn served(remote: Remote, random: u64) -> Behaviour {
    match random % 3 {
        0 => Behaviour::Serve(remote),
        _ => Behaviour::Slow {
            remote,
            chunk: SLOW.0,
            delay: SLOW.1,
        },
    }
}

/// What goes wrong with a request that sends.
#[derive(Clone, Debug)]
pub(super) enum Sending {
    /// It is refused before it is looked at.
    Refused(&'static str, Behaviour),
    /// So many thousandths of its body are read, then the connection is closed.
    Broken(u64),
    /// So many are read, and it is told that all is well.
    EarlyYes(u64),
    /// It is done, and nobody is told.
    Deaf,
    /// The server has forgotten what it knew.
    Forgotten,
}

impl Sending {
    pub(super) fn of(random: u64) -> Self {
        let part = (random >> 24) % 1000;
        match random % 10 {
            0..4 => {
                let (name, behaviour) = refusal(random >> 40);
                Self::Refused(name, behaviour)
            }
            4 | 5 => Self::Broken(part),
            6 => Self::EarlyYes(part),
            7 | 8 => Self::Deaf,
            _ => Self::Forgotten,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Refused(name, _) => name,
            Self::Broken(_) => "cut while it was sent",
            Self::EarlyYes(_) => "answered too early",
            Self::Deaf => "done without an answer",
            Self::Forgotten => "session forgotten",
        }
    }
}
