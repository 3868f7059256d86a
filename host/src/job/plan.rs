//! What is asked of one file beyond its two names: ranges, mirrors, a checksum, a size.

use serde::{Deserialize, Serialize};

use super::Code;

/// Ranges of one file, as in BITS (B-16, B-125).
pub const RANGES_MAX: usize = 500;
/// Other places of one file. Each may be asked in every run.
pub const MIRRORS_MAX: usize = 16;
/// The largest size that is believed: 64 TiB, more than one file of ours will have, and small enough
/// that the sum over all files of a job is a number the store can keep.
pub const FILE_BYTES_MAX: u64 = 1 << 46;

/// What is asked of one file beyond its two names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilePlan {
    /// Only these ranges, written one behind the other in this order (B-125).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<FileRange>,
    /// Other places of the same file, tried in order when the first fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
    /// What its bytes must come to, as `sha256:` or `sha512:` and hex digits. Of ranges, the bytes as
    /// they are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Its size, where the submitter knows it beforehand (D-12); of the whole file, ranges or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// A piece of a remote file (B-125).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRange {
    /// Its first byte, from 0.
    pub offset: u64,
    /// Its length; `None`, or 2⁶⁴−1 as in BITS, is up to the end of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
}

/// A piece of the temporary file, and where its bytes are in the remote file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its first byte in the temporary file.
    pub at: u64,
    /// Its first byte in the remote file.
    pub offset: u64,
    /// One past its last byte in the remote file; `None` is up to the end.
    pub end: Option<u64>,
}

/// How a checksum is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SumKind {
    /// SHA-256
    Sha256,
    /// SHA-512
    Sha512,
}

/// What the bytes of a file must come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// How it is made.
    pub kind: SumKind,
    /// Lower-case hex digits.
    pub hex: String,
}

impl FileRange {
    /// One past its last byte; `None` is up to the end of the file.
    #[must_use]
    pub fn end(self) -> Option<u64> {
        let length = self.length.filter(|length| *length != u64::MAX)?;
        Some(self.offset.saturating_add(length))
    }
}

impl FilePlan {
    /// Nothing is asked.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it can be kept.
    ///
    /// # Errors
    /// The code and a sentence.
    pub fn check(&self) -> Result<(), (Code, String)> {
        check_ranges(&self.ranges)?;
        self.sum().map_err(|why| (Code::INVALIDARG, why))?;
        let invalid = |why: String| Err((Code::INVALIDARG, why));
        if self.mirrors.len() > MIRRORS_MAX {
            return invalid(format!(
                "{} mirrors of one file; at most {MIRRORS_MAX} are tried",
                self.mirrors.len()
            ));
        }
        match self.size {
            Some(size) if size > FILE_BYTES_MAX => {
                invalid(format!("a size of {size} bytes is beyond belief"))
            }
            Some(size) if !self.fits(size) => Err((
                Code::INVALID_RANGE,
                format!("a range lies past the end of a file of {size} bytes"),
            )),
            _ => Ok(()),
        }
    }

    /// The checksum, where there is one.
    ///
    /// # Errors
    /// A sentence that says how one is written.
    pub fn sum(&self) -> Result<Option<Checksum>, String> {
        let Some(text) = &self.checksum else {
            return Ok(None);
        };
        let parsed = text.split_once(':').and_then(|(kind, hex)| {
            let (kind, digits) = match kind {
                "sha256" => (SumKind::Sha256, 64),
                "sha512" => (SumKind::Sha512, 128),
                _ => return None,
            };
            let good = hex.len() == digits && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
            good.then(|| Checksum {
                kind,
                hex: hex.to_ascii_lowercase(),
            })
        });
        parsed.map(Some).ok_or_else(|| {
            "a checksum is written as `sha256:` and 64 hex digits or `sha512:` and 128".to_owned()
        })
    }

    /// The piece that byte `position` of the temporary file belongs to; a remote file of `size`.
    /// `None` is past the last.
    #[must_use]
    pub fn piece_at(&self, position: u64, size: Option<u64>) -> Option<Piece> {
        if self.ranges.is_empty() {
            return Some(Piece {
                at: 0,
                offset: 0,
                end: None,
            });
        }
        let mut at = 0;
        for range in &self.ranges {
            let piece = Piece {
                at,
                offset: range.offset,
                end: range.end().or(size),
            };
            match piece.end {
                Some(end) => at += end.saturating_sub(range.offset),
                None => return Some(piece),
            }
            if position < at {
                return Some(piece);
            }
        }
        None
    }

    /// How many bytes of a remote file of `size` are wanted (B-09).
    #[must_use]
    pub fn total(&self, size: Option<u64>) -> Option<u64> {
        if self.ranges.is_empty() {
            return size;
        }
        self.ranges.iter().try_fold(0_u64, |sum, range| {
            let end = range.end().or(size)?;
            sum.checked_add(end.checked_sub(range.offset)?)
        })
    }

    /// How many bytes are wanted, as far as the submitter knows (D-12).
    #[must_use]
    pub fn known_total(&self) -> Option<u64> {
        self.total(self.size)
    }

    /// Whether all ranges lie within a remote file of `size`.
    #[must_use]
    pub fn fits(&self, size: u64) -> bool {
        self.ranges
            .iter()
            .all(|range| range.offset < size && range.end().is_none_or(|end| end <= size))
    }
}

fn check_ranges(ranges: &[FileRange]) -> Result<(), (Code, String)> {
    if ranges.len() > RANGES_MAX {
        return Err((
            Code::TOO_MANY_RANGES_IN_FILE,
            format!(
                "{} ranges of one file; at most {RANGES_MAX} are fetched",
                ranges.len()
            ),
        ));
    }
    for range in ranges {
        if range.length == Some(0) {
            let why = format!("the range from {} is empty", range.offset);
            return Err((Code::INVALIDARG, why));
        }
        if range.offset >= FILE_BYTES_MAX || range.end().is_some_and(|end| end > FILE_BYTES_MAX) {
            let why = format!("the range from {} is beyond belief", range.offset);
            return Err((Code::INVALIDARG, why));
        }
    }
    let mut sorted: Vec<&FileRange> = ranges.iter().collect();
    sorted.sort_by_key(|range| range.offset);
    for pair in sorted.windows(2) {
        if let [one, next] = pair
            && one.end().is_none_or(|end| end > next.offset)
        {
            let why = format!("the ranges from {} and from {} overlap", one.offset, next.offset);
            return Err((Code::OVERLAPPING_RANGES, why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Range = (u64, Option<u64>);

    fn ranges(list: &[Range]) -> FilePlan {
        let ranges = list.iter().map(|&(offset, length)| FileRange { offset, length });
        FilePlan {
            ranges: ranges.collect(),
            ..FilePlan::default()
        }
    }

    fn code(plan: &FilePlan) -> Option<u32> {
        plan.check().err().map(|(code, _)| code.0)
    }

    #[test]
    fn b125_ranges_are_checked_as_bits_does() {
        let table: [(&[Range], Option<u32>); 10] = [
            (&[(0, Some(5)), (5, Some(5))], None),
            (&[(10, Some(5)), (0, Some(5))], None),
            (&[(10, Some(u64::MAX)), (0, Some(10))], None),
            (&[(10, None), (0, Some(10))], None),
            (&[(0, Some(0))], Some(0x8007_0057)),
            (&[(u64::MAX, Some(1))], Some(0x8007_0057)),
            (&[(0, Some(6)), (5, Some(5))], Some(0x8020_002C)),
            (&[(7, Some(2)), (7, Some(1))], Some(0x8020_002C)),
            (&[(7, Some(1)), (7, Some(2))], Some(0x8020_002C)),
            (&[(3, None), (10, Some(1))], Some(0x8020_002C)),
        ];
        for (list, expected) in table {
            assert_eq!(code(&ranges(list)), expected, "{list:?}");
        }
    }

    #[test]
    fn b16_a_file_has_at_most_500_ranges() {
        let many = |count: u64| ranges(&(0..count).map(|n| (n * 2, Some(1))).collect::<Vec<_>>());
        assert_eq!(code(&many(500)), None);
        assert_eq!(code(&many(501)), Some(0x8020_0052));
    }

    #[test]
    fn b09_the_total_of_ranges_is_their_sum() {
        let plan = ranges(&[(10, Some(5)), (20, None)]);
        assert_eq!(plan.total(None), None);
        assert_eq!(plan.total(Some(30)), Some(15));
        assert_eq!(ranges(&[(10, Some(5)), (0, Some(2))]).total(None), Some(7));
        assert_eq!(FilePlan::default().total(Some(9)), Some(9));
    }

    #[test]
    fn b125_pieces_lie_behind_each_other_in_the_given_order() {
        let plan = ranges(&[(10, Some(5)), (0, Some(2)), (20, None)]);
        let piece = |position| {
            plan.piece_at(position, None)
                .map(|piece| (piece.at, piece.offset))
        };
        assert_eq!(piece(0), Some((0, 10)));
        assert_eq!(piece(4), Some((0, 10)));
        assert_eq!(piece(5), Some((5, 0)));
        assert_eq!(piece(7), Some((7, 20)));
        assert_eq!(piece(1 << 40), Some((7, 20)));
        assert_eq!(plan.piece_at(17, Some(30)), None);
        assert!(plan.fits(21) && !plan.fits(20));
    }

    #[test]
    fn b97_a_checksum_is_a_kind_and_its_digits() {
        let plan = |text: &str| FilePlan {
            checksum: Some(text.to_owned()),
            ..FilePlan::default()
        };
        let good = plan(&format!("sha256:{}", "Ab".repeat(32)));
        assert_eq!(good.sum().unwrap().unwrap().hex, "ab".repeat(32));
        assert!(plan(&format!("sha512:{}", "0".repeat(128))).check().is_ok());
        let bad = ["", "sha256:", "md5:00", "sha256:zz", &"0".repeat(64)];
        for text in bad {
            assert_eq!(code(&plan(text)), Some(Code::INVALIDARG.0), "{text}");
        }
        let short = format!("sha256:{}", "0".repeat(63));
        assert_eq!(code(&plan(&short)), Some(Code::INVALIDARG.0));
    }

    #[test]
    fn d12_a_size_is_held_against_the_ranges() {
        let sized = |size| FilePlan {
            size: Some(size),
            ..ranges(&[(10, Some(5))])
        };
        assert_eq!(code(&sized(15)), None);
        assert_eq!(code(&sized(14)), Some(Code::INVALID_RANGE.0));
    }
}
