//! The `config` table the operator wrote for this plugin. Values are text; a missing or malformed
//! one is a permanent failure with a sentence for the operator.

use std::str::FromStr;
use std::time::Duration;

use crate::host::config;
use crate::{Failure, codes};

/// One value.
#[must_use]
pub fn get(key: &str) -> Option<String> {
    config::get(key)
}

/// All of them.
#[must_use]
pub fn all() -> Vec<(String, String)> {
    config::all()
}

/// One value, or what stands for it.
#[must_use]
pub fn get_or(key: &str, default: &str) -> String {
    get(key).unwrap_or_else(|| default.to_owned())
}

/// A value that must be there.
///
/// # Errors
/// When it is not.
pub fn require(key: &str) -> Result<String, Failure> {
    get(key).ok_or_else(|| wrong(format!("config `{key}` is missing")))
}

/// A value of any type that can be parsed.
///
/// # Errors
/// When it is there and cannot.
pub fn parse<T: FromStr>(key: &str) -> Result<Option<T>, Failure> {
    let Some(text) = get(key) else { return Ok(None) };
    match text.trim().parse() {
        Ok(value) => Ok(Some(value)),
        Err(_) => Err(wrong(format!(
            "config `{key}` = `{text}` is not what it should be"
        ))),
    }
}

/// A duration such as `500ms`, `30s`, `10m`, `2h` or `1d`.
///
/// # Errors
/// When it is there and is none.
pub fn duration(key: &str) -> Result<Option<Duration>, Failure> {
    let Some(text) = get(key) else { return Ok(None) };
    match parse_duration(&text) {
        Some(value) => Ok(Some(value)),
        None => Err(wrong(format!(
            "config `{key}` = `{text}` is no duration such as `500ms`, `30s` or `10m`"
        ))),
    }
}

/// The words of a list such as `404, 410`; absent is empty.
#[must_use]
pub fn list(key: &str) -> Vec<String> {
    let text = get_or(key, "");
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

fn wrong(message: String) -> Failure {
    Failure::permanent(message).with_code(codes::E_INVALIDARG)
}

fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let millis: u64 = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn durations_are_read_with_their_unit() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration(" 10m "), Some(Duration::from_secs(600)));
        for wrong in ["", "5", "s", "-1s", "1 fortnight", "99999999999999999999s"] {
            assert_eq!(parse_duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_malformed_value_says_which() {
        testing::reset();
        testing::set_config([("n", "many")]);
        assert_eq!(parse::<u32>("absent"), Ok(None));
        let failure = parse::<u32>("n").unwrap_err();
        assert!(failure.message.contains("`n` = `many`"), "{}", failure.message);
    }
}
