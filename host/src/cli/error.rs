//! What went wrong, and how it is said: `error:`, `cause:`, `hint:` on stderr.

use std::io::{self, Write};

use super::text::clean;
use crate::api::client::ClientError;
use crate::api::view::Code;

/// What failed, why, and what to do next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// What failed; may have several lines.
    pub message: String,
    /// Why, where the message does not say.
    pub cause: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Complaint {
    /// Only what failed.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// The same with a cause.
    #[must_use]
    pub fn cause(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// The same with what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

/// Why a command ends without having done its work. The variant is the exit code
/// (see [`CliError::exit`]).
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The job or check failed.
    #[error("{0}")]
    Failed(Complaint),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(Complaint),
    /// The configuration is bad.
    #[error("{0}")]
    Config(Complaint),
    /// There is no host where one is needed.
    #[error("{0}")]
    NoHost(Complaint),
    /// Unknown id or illegal state.
    #[error("{0}")]
    Illegal(Complaint),
    /// Denied.
    #[error("{0}")]
    Denied(Complaint),
    /// The store cannot be used.
    #[error("{0}")]
    Store(Complaint),
    /// Refused for now.
    #[error("{0}")]
    Refused(Complaint),
    /// stdout cannot be written.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
    /// The host said no, or there is none.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl CliError {
    /// What is said about it.
    #[must_use]
    pub fn complaint(&self) -> Complaint {
        match self {
            Self::Failed(complaint)
            | Self::Usage(complaint)
            | Self::Config(complaint)
            | Self::NoHost(complaint)
            | Self::Illegal(complaint)
            | Self::Denied(complaint)
            | Self::Store(complaint)
            | Self::Refused(complaint) => complaint.clone(),
            Self::Output(error) => Complaint::new(self.to_string()).cause(error),
            Self::Client(error) => client_complaint(error),
        }
    }
}

fn client_complaint(error: &ClientError) -> Complaint {
    let complaint = Complaint::new(error.to_string());
    match error {
        ClientError::NoHost { source, .. } => complaint
            .cause(source)
            .hint("start one with `sexton run`, or name another socket with `--socket`"),
        ClientError::Denied { source, .. } => complaint
            .cause(source)
            .hint("the control socket is for the host's own user and root"),
        ClientError::Broken { .. } => {
            complaint.hint("it may have ended; what it had accepted is safe. `sexton status` asks again")
        }
        ClientError::Refused { problem, .. } => {
            let name = if problem.name.is_empty() {
                String::new()
            } else {
                format!(" {}", problem.name)
            };
            // "One or more arguments are not valid" adds nothing to a message that says which.
            let code = if problem.code == Code::INVALIDARG {
                String::new()
            } else {
                format!(" (0x{:08X}{name})", problem.code.0)
            };
            Complaint {
                message: format!("{}{code}", problem.message),
                cause: None,
                hint: (!problem.hint.is_empty()).then(|| problem.hint.clone()),
            }
        }
    }
}

/// Says what went wrong. A reader that went away ([`io::ErrorKind::BrokenPipe`]) is not worth a word.
pub fn report(error: &CliError, stderr: &mut dyn Write, colour: bool) {
    if matches!(error, CliError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
        return;
    }
    let complaint = error.complaint();
    let (red, dim, cyan, off) = if colour {
        ("\u{1b}[1;31m", "\u{1b}[2m", "\u{1b}[36m", "\u{1b}[0m")
    } else {
        ("", "", "", "")
    };
    let lines = |text: &str| text.lines().map(clean).collect::<Vec<_>>().join("\n");
    // There is nowhere left to complain to if stderr is gone.
    let _ = writeln!(stderr, "{red}error:{off} {}", lines(&complaint.message));
    if let Some(cause) = &complaint.cause {
        let _ = writeln!(stderr, "  {dim}cause:{off} {}", lines(cause));
    }
    if let Some(hint) = &complaint.hint {
        let _ = writeln!(stderr, "{cyan}hint:{off} {}", lines(hint));
    }
}
