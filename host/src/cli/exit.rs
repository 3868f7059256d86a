//! The exit codes, and the one place that says which error ends in which.

use std::process::ExitCode;

use super::error::CliError;
use crate::api::client::ClientError;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitStatus {
    /// Done.
    Done = 0,
    /// The job or check failed.
    Failed = 1,
    /// Usage.
    Usage = 2,
    /// Configuration.
    Config = 3,
    /// No host at the socket.
    NoHost = 4,
    /// Unknown id, illegal state, no error object.
    Illegal = 5,
    /// Denied.
    Denied = 6,
    /// The store is unusable, locked or newer.
    Store = 7,
    /// Refused for now; try later.
    Refused = 8,
    /// A handler failed whose policy is FailFast, in `exit` mode.
    FailFast = 70,
}

impl ExitStatus {
    /// Every code with its meaning, for documentation and tests.
    pub const TABLE: &'static [(Self, &'static str)] = &[
        (Self::Done, "done"),
        (Self::Failed, "the job or check failed"),
        (Self::Usage, "usage"),
        (Self::Config, "configuration"),
        (Self::NoHost, "no host at the socket"),
        (Self::Illegal, "unknown id, illegal state, no error object"),
        (Self::Denied, "denied"),
        (Self::Store, "store unusable, locked or newer"),
        (Self::Refused, "refused for now, try later"),
        (Self::FailFast, "FailFast in `exit` mode"),
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

impl CliError {
    /// How the program ends after this error.
    #[must_use]
    pub fn exit(&self) -> ExitStatus {
        match self {
            Self::Failed(_) => ExitStatus::Failed,
            Self::Usage(_) => ExitStatus::Usage,
            Self::Config(_) => ExitStatus::Config,
            Self::NoHost(_) => ExitStatus::NoHost,
            Self::Illegal(_) => ExitStatus::Illegal,
            Self::Denied(_) => ExitStatus::Denied,
            Self::Store(_) => ExitStatus::Store,
            Self::Refused(_) => ExitStatus::Refused,
            // The reader went away with what it wanted: nothing failed.
            Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitStatus::Done,
            Self::Output(_) => ExitStatus::Failed,
            Self::Client(error) => client_exit(error),
        }
    }
}

fn client_exit(error: &ClientError) -> ExitStatus {
    match error {
        ClientError::NoHost { .. } | ClientError::Broken { .. } => ExitStatus::NoHost,
        ClientError::Denied { .. } => ExitStatus::Denied,
        ClientError::Refused { status, .. } => match status {
            403 => ExitStatus::Denied,
            404 | 409 => ExitStatus::Illegal,
            422 => ExitStatus::Config,
            429 | 503 => ExitStatus::Refused,
            400..=499 | 501 => ExitStatus::Usage,
            _ => ExitStatus::Store,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::view::{Code, Problem};

    fn refused(status: u16) -> ExitStatus {
        let problem = Problem {
            code: Code::FAIL,
            name: "E_FAIL".to_owned(),
            message: "no".to_owned(),
            hint: String::new(),
            list: Vec::new(),
            queue: None,
        };
        CliError::from(ClientError::Refused {
            status,
            problem: Box::new(problem),
        })
        .exit()
    }

    #[test]
    fn every_answer_of_the_host_has_its_exit_code() {
        let codes = [400, 403, 404, 409, 413, 422, 429, 500, 501, 503].map(|status| refused(status).code());
        assert_eq!(codes, [2, 6, 5, 5, 2, 3, 8, 7, 2, 8]);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let error = CliError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert_eq!(error.exit(), ExitStatus::Done);
    }

    #[test]
    fn the_numbers_are_those_of_the_manual() {
        let codes: Vec<u8> = ExitStatus::TABLE
            .iter()
            .map(|(status, _)| status.code())
            .collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 70]);
    }
}
