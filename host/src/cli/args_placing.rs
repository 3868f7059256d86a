//! How a file is fetched, checked and placed, on the command line.

use clap::Args as ClapArgs;

use super::error::CliError;
use super::submit::source;
use super::value::words;
use crate::api::request::FileRequest;
use crate::api::view::{Existing, FileRange, PlacingSpec, Preserve, Versions};

/// How a file is fetched, checked and placed.
#[derive(Clone, Debug, Default, PartialEq, ClapArgs)]
#[command(next_help_heading = "Fetching and placing")]
pub struct PlacingArgs {
    /// Only these bytes, first to last; repeated, one behind the other in this order
    #[arg(long = "range", value_name = "FIRST-[LAST]", value_parser = range)]
    pub ranges: Vec<FileRange>,
    /// What the bytes must come to: `sha256:` or `sha512:` and hex digits
    #[arg(long, value_name = "KIND:HEX")]
    pub checksum: Option<String>,
    /// The size of the remote file in bytes, where it is known
    #[arg(long, value_name = "BYTES")]
    pub size: Option<u64>,
    /// Another place of the same file, tried when those before it fail; may be repeated
    #[arg(long = "mirror", value_name = "URL")]
    pub mirrors: Vec<String>,
    /// Connections over which a large file is fetched, 1 to 16 [default: 1]
    #[arg(long, value_name = "N")]
    pub segments: Option<u32>,
    /// What becomes of a file that is at the destination already [default: the profile's]
    #[arg(long, value_parser = words(Existing::ALL, Existing::as_str))]
    pub existing: Option<Existing>,
    /// What proves that two answers are of one version of the file [default: strict]
    #[arg(long, value_parser = words(Versions::ALL, Versions::as_str))]
    pub versions: Option<Versions>,
    /// What is taken over from a source that is a local file; may be repeated
    #[arg(long, value_parser = words(Preserve::ALL, Preserve::as_str))]
    pub preserve: Vec<Preserve>,
    /// Refuse it while another job that says so too has the same destination
    #[arg(long)]
    pub exclusive: bool,
}

impl PlacingArgs {
    /// What is said of the file itself.
    pub(super) fn plan(&self, file: &mut FileRequest) -> Result<(), CliError> {
        file.ranges.clone_from(&self.ranges);
        file.checksum.clone_from(&self.checksum);
        file.size = self.size;
        for mirror in &self.mirrors {
            file.mirrors.push(source(mirror)?.into());
        }
        Ok(())
    }

    /// What is said of the job.
    pub(super) fn spec(&self) -> PlacingSpec {
        PlacingSpec {
            existing: self.existing,
            versions: self.versions,
            segments: self.segments,
            preserve: self.preserve.clone(),
            exclusive: self.exclusive,
            ..PlacingSpec::DEFAULT
        }
    }
}

/// `0-99`, `500-`: first and last byte, as in HTTP.
fn range(text: &str) -> Result<FileRange, String> {
    let wrong = || "write it as FIRST-LAST or FIRST-, such as 0-99".to_owned();
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let offset: u64 = first.parse().map_err(|_| wrong())?;
    if last.is_empty() {
        return Ok(FileRange { offset, length: None });
    }
    let last: u64 = last.parse().map_err(|_| wrong())?;
    let length = last
        .checked_sub(offset)
        .and_then(|more| more.checked_add(1))
        .ok_or_else(wrong)?;
    Ok(FileRange {
        offset,
        length: Some(length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b125_a_range_is_written_as_in_http() {
        let range = |text| range(text).map(|range| (range.offset, range.length));
        assert_eq!(range("0-99"), Ok((0, Some(100))));
        assert_eq!(range("7-7"), Ok((7, Some(1))));
        assert_eq!(range("500-"), Ok((500, None)));
        for bad in [
            "",
            "-",
            "-5",
            "5",
            "9-8",
            "0x1-2",
            "1-2-3",
            "0-18446744073709551615",
        ] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }
}
