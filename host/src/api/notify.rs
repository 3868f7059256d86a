//! Who is told of what, as it is asked for: flags and notify command.

use std::collections::BTreeSet;

use axum::http::StatusCode;

use super::failure::ApiError;
use crate::job::{Code, FlagsRefused, JobKind, NotifyFlag, Profile};

/// More arguments make a script, which belongs into a file.
const NOTIFY_ARGS_MAX: usize = 64;
/// Longest path of the program (B-114).
const PROGRAM_BYTES_MAX: usize = 4096;
/// Longest parameters, all together with a space between them (B-114).
const PARAMETER_CHARS_MAX: usize = 4_000;

/// The flags that `words` name.
pub(super) fn flags(
    words: &[String],
    kind: JobKind,
    profile: Profile,
) -> Result<BTreeSet<NotifyFlag>, ApiError> {
    NotifyFlag::parse(words, kind, profile).map_err(|why| {
        ApiError::new(StatusCode::BAD_REQUEST, FlagsRefused::CODE, why.to_string())
            .hint("a transfer has job-transferred, job-error, job-modification, file-transferred and disable")
    })
}

/// B-114: a whole path, which nobody looks for elsewhere, and parameters that are no program of their own.
pub(super) fn check_command(command: &[String]) -> Result<(), ApiError> {
    let Some((program, parameters)) = command.split_first() else {
        return Ok(());
    };
    if command.iter().any(|arg| arg.contains('\0')) {
        return Err(ApiError::usage("the notify command has a NUL in it"));
    }
    if !program.starts_with('/') {
        return Err(
            ApiError::usage("the notify command does not begin with the whole path of a program")
                .hint("write /usr/bin/logger, not logger: it is not searched for"),
        );
    }
    let chars = parameters.iter().map(|one| one.chars().count()).sum::<usize>();
    let chars = chars.saturating_add(parameters.len().saturating_sub(1));
    for (what, found, most, unit) in [
        (
            "list of arguments of the notify command",
            command.len(),
            NOTIFY_ARGS_MAX,
            "entries",
        ),
        (
            "path of the notify command",
            program.len(),
            PROGRAM_BYTES_MAX,
            "bytes",
        ),
        (
            "parameter text of the notify command",
            chars,
            PARAMETER_CHARS_MAX,
            "characters",
        ),
    ] {
        if found > most {
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                Code::STRING_TOO_LONG,
                format!("the {what} has {found} {unit}; at most {most} are allowed"),
            ));
        }
    }
    Ok(())
}
