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

mod api;
mod bytes;
mod cli;
mod config;
mod loader;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

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

/// Cases of one round of a property.
const CASES: u32 = 50;

/// Tries `test` on values of `strategy`; a value that fails is made as small as it can be.
fn property<S: Strategy>(
    percent: u32,
    usual: u64,
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    for seed in Rounds::new(percent, usual) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        };
        if let Err(failure) = TestRunner::new_with_rng(config, rng).run(strategy, &test) {
            panic!("SEXTON_FUZZ_SEED={seed}: {failure}");
        }
    }
}

/// Whether a character can be shown on a terminal, or in a log, without doing anything there.
fn is_harmless(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let hides = matches!(c, '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !(c.is_control() || turns || hides)
}
