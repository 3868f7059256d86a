//! What a download remembers of a file from run to run beyond its sums.

use serde::{Deserialize, Serialize};

/// What a download remembers of a file: its `FileStatus::session`, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DownloadSession {
    /// Whose bytes are here: 0 is the file's own place, `n` its n-th mirror.
    #[serde(skip_serializing_if = "is_zero")]
    pub place: u32,
    /// Size of the whole remote file, where only ranges of it are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// How often it was begun anew (B-94).
    #[serde(skip_serializing_if = "is_zero")]
    pub restarts: u32,
    /// What each of several connections fetches, and what of it is synced; empty with one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
    /// Where it is put instead of its destination, which was taken (B-123).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placed: Option<String>,
    /// Headers of the last good answer (B-133), secrets masked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

/// A piece of a file that one connection fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its first byte.
    pub start: u64,
    /// One past its last.
    pub end: u64,
    /// One past the last that is synced.
    pub done: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl DownloadSession {
    /// Reads what an earlier run wrote. What cannot be understood is as good as nothing.
    #[must_use]
    pub fn read(text: Option<&str>) -> Self {
        let read = text.and_then(|text| serde_json::from_str::<Self>(text).ok());
        let mut session = read.unwrap_or_default();
        let good = |segment: &Segment| segment.start <= segment.done && segment.done <= segment.end;
        if !session.segments.iter().all(good) {
            session.segments.clear();
        }
        session
    }

    /// As it is kept; nothing when there is nothing to remember.
    #[must_use]
    pub fn write(&self) -> Option<String> {
        if *self == Self::default() {
            return None;
        }
        serde_json::to_string(self).ok()
    }

    /// Bytes of all segments that are synced.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.done - segment.start)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_again_and_nonsense_is_nothing() {
        let session = DownloadSession {
            place: 2,
            size: Some(7),
            restarts: 1,
            segments: vec![Segment {
                start: 4,
                end: 8,
                done: 6,
            }],
            placed: Some("/x.1".to_owned()),
            headers: vec![("etag".to_owned(), "\"a\"".to_owned())],
        };
        assert_eq!(DownloadSession::read(session.write().as_deref()), session);
        assert_eq!(session.synced(), 2);
        assert_eq!(DownloadSession::default().write(), None);
        let nothing = DownloadSession::default();
        for text in [
            "",
            "[]",
            "{\"place\":-1}",
            "{\"segments\":[{\"start\":9,\"end\":8,\"done\":7}]}",
        ] {
            assert_eq!(DownloadSession::read(Some(text)), nothing, "{text}");
        }
    }
}
