//! Measuring: latencies in histograms, peers in turn so that noise hits both alike, best and median
//! of several rounds.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Longest latency told apart, in nanoseconds: a minute.
const LONGEST: u64 = 60_000_000_000;

/// Latencies of one thing, to three digits.
#[derive(Clone)]
pub struct Samples(Histogram<u64>);

impl Default for Samples {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST, 3).expect("legal bounds"))
    }
}

impl Samples {
    /// One more.
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanos.max(1));
    }

    /// Those of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Half of them took no longer.
    pub fn p50(&self) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(0.5))
    }

    /// 99 % of them took no longer.
    pub fn p99(&self) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(0.99))
    }
}

/// One contestant of a comparison: does its work once and tells the rate it reached, per second.
pub type Contestant<'a> = Box<dyn FnMut() -> f64 + 'a>;

/// The rates of one contestant, round by round.
#[derive(Clone, Debug, Default)]
pub struct Rounds(Vec<f64>);

impl Rounds {
    /// One more round.
    pub fn push(&mut self, rate: f64) {
        self.0.push(rate);
    }

    /// The best round: what the machine can do when nobody disturbs it.
    pub fn best(&self) -> f64 {
        self.0.iter().copied().fold(0.0, f64::max)
    }

    /// The round in the middle.
    pub fn median(&self) -> f64 {
        middle(self.0.clone())
    }

    /// The median of the ratios to another's rounds, each to its neighbour in time: what remains
    /// when both are disturbed alike.
    pub fn ratio_to(&self, peer: &Self) -> f64 {
        let pairs = self.0.iter().zip(&peer.0);
        middle(pairs.map(|(own, other)| own / other).collect())
    }
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Lets the contestants work in turn, `rounds` times.
pub fn in_turn(rounds: usize, contestants: &mut [Contestant<'_>]) -> Vec<Rounds> {
    let mut results = vec![Rounds::default(); contestants.len()];
    for _ in 0..rounds {
        for (contestant, result) in contestants.iter_mut().zip(&mut results) {
            result.push(contestant());
        }
    }
    results
}

/// `count` things done since `start`, per second.
pub fn rate(count: usize, start: Instant) -> f64 {
    count as f64 / start.elapsed().as_secs_f64()
}

/// How long the disk takes to make 4 KiB durable, `count` times.
pub fn syncs(dir: &Path, count: usize) -> Samples {
    let mut probe = SyncProbe::new(dir);
    for _ in 0..count {
        probe.sync();
    }
    probe.samples
}

/// A file that is written and synced like a write-ahead log: in place, over blocks it already has.
pub struct SyncProbe {
    file: File,
    block: u64,
    /// What its syncs took.
    pub samples: Samples,
}

impl SyncProbe {
    /// Blocks that it goes round.
    const BLOCKS: u64 = 256;

    /// A probe in `dir`; its file has no name.
    pub fn new(dir: &Path) -> Self {
        let mut file = tempfile::tempfile_in(dir).expect("a file can be made where the bench runs");
        for _ in 0..Self::BLOCKS {
            file.write_all(&[0; 4096]).expect("4 KiB can be written");
        }
        file.sync_all().expect("a file can be synced");
        Self {
            file,
            block: 0,
            samples: Samples::default(),
        }
    }

    /// Writes 4 KiB and makes them durable.
    pub fn sync(&mut self) {
        self.block = (self.block + 1) % Self::BLOCKS;
        let start = Instant::now();
        self.file
            .write_all_at(&[0x5a; 4096], self.block * 4096)
            .expect("4 KiB can be written");
        self.file.sync_data().expect("a file can be synced");
        self.samples.record(start.elapsed());
    }
}
