//! `--lang`: in which language error texts are wanted (B-78).

use clap::Args as ClapArgs;

use super::output::Output;

/// The language that every text is written in.
pub const TEXTS: &str = "en";

/// Longest part of a language tag.
const SUBTAG_MAX: usize = 8;

/// The language of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct LanguageArgs {
    /// Language of the texts, such as `en` or `de-CH` [default: en]
    #[arg(long, value_name = "TAG", value_parser = tag)]
    pub lang: Option<String>,
}

impl LanguageArgs {
    /// Says so when the texts are in another language than the one asked for.
    pub(crate) fn note(&self, output: &mut Output<'_>) {
        let Some(wanted) = &self.lang else { return };
        let primary = wanted.split('-').next().unwrap_or_default();
        if !primary.eq_ignore_ascii_case(TEXTS) {
            output.note(format!(
                "there are no texts in `{wanted}`; these are in `{TEXTS}`"
            ));
        }
    }
}

/// A BCP-47 tag by its form; which languages there are is not our business.
fn tag(text: &str) -> Result<String, String> {
    let good = |part: &str| {
        (1..=SUBTAG_MAX).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    if text.split('-').all(good) {
        Ok(text.to_owned())
    } else {
        Err("expected a language tag such as `en` or `de-CH` (E_INVALIDARG)".to_owned())
    }
}
