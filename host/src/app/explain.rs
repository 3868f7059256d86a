//! `error CODE`: what a code means, without a job that has it (`Manager.GetErrorDescription`, B-80).

use serde_json::json;

use crate::cli::{CliError, Complaint, ExitStatus, LanguageArgs, Output, TEXTS};
use crate::job::Code;

/// Explains a code, however it is written.
pub(super) fn code(
    text: &str,
    language: &LanguageArgs,
    output: &mut Output<'_>,
) -> Result<ExitStatus, CliError> {
    let Some(code) = Code::named(text) else {
        let shown: String = text.chars().take(60).flat_map(char::escape_default).collect();
        return Err(CliError::Usage(
            Complaint::new(format!("`{shown}` is no code and no name of one"))
                .hint("write it as 0x80200013, as BG_E_INSUFFICIENT_RANGE_SUPPORT, or as HTTP_403"),
        ));
    };
    let Some(name) = code.name() else {
        return Err(CliError::Illegal(
            Complaint::new(format!("nothing is known about 0x{:08X}", code.0))
                .hint("it may be a handler's own: its README or its author knows"),
        ));
    };
    if output.is_json() {
        output.object(&json!({
            "code": code,
            "name": name,
            "nature": code.nature(),
            "description": code.describe(),
            "advice": code.advice(),
            "lang": TEXTS,
        }))?;
    } else {
        output.fields(&[
            ("code", format!("0x{:08X} {name}", code.0)),
            ("means", code.describe()),
            ("nature", code.nature().to_string()),
            ("what to do", code.advice().to_owned()),
        ])?;
    }
    language.note(output);
    Ok(ExitStatus::Done)
}
