//! Arbitrary input at every door: no panic, no hang, always a sentence.
//!
//! Each part usually makes a fixed number of rounds, always from the same seed: a few seconds. The long run
//! is one process on one core:
//!
//! ```sh
//! SEXTON_FUZZ_SECONDS=3600 nice cargo test -p sexton-tests --test suite fuzz:: -- --test-threads=1 --nocapture
//! ```
//!
//! The seconds are those of all parts together, of which each has its share; the seed is drawn anew.
//! `SEXTON_FUZZ_SEED=N` starts at N instead, so that the seed of a failure fails in the first round.

mod bytes;
mod loader;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

/// Where the short runs start.
const SEED: u64 = 0x5ec5_704e;

/// The rounds of one part, with a seed for each.
struct Rounds {
    seed: u64,
    made: u64,
    end: End,
}

/// When it is enough.
enum End {
    After(u64),
    At(Instant),
}

impl Rounds {
    /// As many as are `usual`, or as `percent` of the seconds that were given allow.
    fn new(percent: u32, usual: u64) -> Self {
        let given = number("SEXTON_FUZZ_SECONDS").map(Duration::from_secs);
        let drawn = given.map(|_| RandomState::new().build_hasher().finish());
        Self {
            seed: number("SEXTON_FUZZ_SEED").or(drawn).unwrap_or(SEED),
            made: 0,
            end: match given {
                Some(all) => End::At(Instant::now() + all * percent / 100),
                None => End::After(usual),
            },
        }
    }

    /// Whether there is time to look at memory too.
    fn are_many(&self) -> bool {
        matches!(self.end, End::At(_))
    }
}

impl Iterator for Rounds {
    type Item = u64;

    /// There is always a first one, for the seed of a failure.
    fn next(&mut self) -> Option<u64> {
        let over = match self.end {
            End::After(rounds) => self.made >= rounds,
            End::At(end) => self.made > 0 && Instant::now() >= end,
        };
        if over {
            return None;
        }
        let seed = self.seed.wrapping_add(self.made);
        self.made += 1;
        Some(seed)
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
    )
}
