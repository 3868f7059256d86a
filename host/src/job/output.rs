//! What a batch job printed, as it is asked for and told.

use serde::{Deserialize, Serialize};

use super::model::words;

words! {
    /// Which of its two outputs.
    OutputStream {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error.
        Stderr = "stderr",
    }
}

/// A piece of what one run printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputAsk {
    /// Of which output.
    pub stream: OutputStream,
    /// Of which run, from 1; absent, the last that printed anything.
    pub attempt: Option<u32>,
    /// From which byte of all that it printed.
    pub offset: u64,
    /// At most this many bytes.
    pub limit: usize,
}

/// A piece that was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputPage {
    /// Of which run.
    pub attempt: u32,
    /// How many bytes before it were dropped since the offset that was asked for.
    pub dropped: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where the next piece begins.
    pub next: u64,
}
