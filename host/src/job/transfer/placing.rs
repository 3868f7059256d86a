//! How files are fetched, checked and put in place.

use serde::{Deserialize, Serialize};

use crate::job::model::words;
use crate::job::{Code, Profile};

/// Connections for one file. More only take from the others what the line has.
const SEGMENTS_MAX: u32 = 16;

words! {
    /// What becomes of a file that is at the destination already (B-123).
    Existing {
        /// It is replaced on completion.
        Overwrite = "overwrite",
        /// It is an error, and the file that is there stays (D-21).
        Fail = "fail",
        /// It is as good: nothing is fetched.
        Keep = "keep",
        /// The new one gets a name of its own: `x.1`, `x.2`…
        Rename = "rename",
    }
}

words! {
    /// What proves that two answers are of one version of a file (BP-09).
    Versions {
        /// Its strong `ETag`, else its `Last-Modified`.
        Strict = "strict",
        /// Also the same length together with the same `Last-Modified` or a checksum: for servers
        /// whose nodes name one file differently.
        Lenient = "lenient",
    }
}

words! {
    /// What is taken over from a source that is a local file (B-132).
    Preserve {
        /// Its permission bits.
        Mode = "mode",
        /// Its user; mostly needs root.
        Owner = "owner",
        /// Its group.
        Group = "group",
        /// Its extended attributes, POSIX access lists among them.
        Xattr = "xattr",
    }
}

/// How files are fetched, checked and put in place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlacingSpec {
    /// What becomes of a file that is there; absent, the profile's: `fail` of `delivery-optimization`,
    /// else `overwrite` (B-123, D-21).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing: Option<Existing>,
    /// What proves one version; absent, `strict` (BP-09).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versions: Option<Versions>,
    /// Connections over which one large file is fetched, 1 to 16; absent, one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<u32>,
    /// What is taken over from sources that are local files (B-132).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preserve: Vec<Preserve>,
    /// No other job that says so too may have one of its destinations while it is open (B-19).
    #[serde(skip_serializing_if = "is_false")]
    pub exclusive: bool,
    /// Writing to the destination at once (B-129). Refused: see [`PlacingSpec::check`].
    #[serde(skip_serializing_if = "is_false")]
    pub direct: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl PlacingSpec {
    /// Nothing said.
    pub const DEFAULT: Self = Self {
        existing: None,
        versions: None,
        segments: None,
        preserve: Vec::new(),
        exclusive: false,
        direct: false,
    };

    /// Nothing was said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }

    /// What becomes of a file that is there, in a job of this profile.
    #[must_use]
    pub fn existing(&self, profile: Profile) -> Existing {
        self.existing.unwrap_or(match profile {
            Profile::DeliveryOptimization => Existing::Fail,
            Profile::Sexton | Profile::Bits => Existing::Overwrite,
        })
    }

    /// Whether answers count as of one version without its name.
    #[must_use]
    pub fn is_lenient(&self) -> bool {
        self.versions == Some(Versions::Lenient)
    }

    /// Connections for one file.
    #[must_use]
    pub fn segments(&self) -> u32 {
        self.segments.unwrap_or(1).clamp(1, SEGMENTS_MAX)
    }

    /// Whether it can be kept.
    ///
    /// `direct` is refused: a file that is visible before it is whole cannot be told from one that is,
    /// and after a crash would have to be fetched from its first byte. What it was for, many small
    /// files, is as fast without it.
    ///
    /// # Errors
    /// The code and a sentence.
    pub fn check(&self) -> Result<(), (Code, String)> {
        if self.direct {
            let why = "files are never written to their destination before they are whole (`direct`); \
                leave it out, small files are not slower for it";
            return Err((Code::NOTIMPL, why.to_owned()));
        }
        if self
            .segments
            .is_some_and(|count| count == 0 || count > SEGMENTS_MAX)
        {
            let why = format!("`segments` is outside of 1 to {SEGMENTS_MAX}");
            return Err((Code::INVALIDARG, why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d21_delivery_optimization_does_not_replace_a_file() {
        let said = PlacingSpec {
            existing: Some(Existing::Rename),
            ..PlacingSpec::DEFAULT
        };
        for (profile, expected) in [
            (Profile::Sexton, Existing::Overwrite),
            (Profile::Bits, Existing::Overwrite),
            (Profile::DeliveryOptimization, Existing::Fail),
        ] {
            assert_eq!(PlacingSpec::DEFAULT.existing(profile), expected);
            assert_eq!(said.existing(profile), Existing::Rename);
        }
    }

    #[test]
    fn b129_writing_to_the_destination_at_once_is_refused() {
        let direct = PlacingSpec {
            direct: true,
            ..PlacingSpec::DEFAULT
        };
        assert_eq!(direct.check().unwrap_err().0, Code::NOTIMPL);
    }

    #[test]
    fn one_file_has_at_most_16_connections() {
        for (count, good) in [(0, false), (1, true), (16, true), (17, false)] {
            let spec = PlacingSpec {
                segments: Some(count),
                ..PlacingSpec::DEFAULT
            };
            assert_eq!(spec.check().is_ok(), good, "{count}");
        }
        assert_eq!(PlacingSpec::DEFAULT.segments(), 1);
    }
}
