//! Names and identities, each checked where it enters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, sortable by the time it was made (UUID version 7).
            #[must_use]
            pub fn fresh() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as the store keeps it.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// An id read back from the store.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id! {
    /// A job's identity: 128 bits, made by the engine, never by the caller (B-01).
    JobId
}
uuid_id! {
    /// One (event, handler) pair. Stable over retries and replays, so it is the idempotency key
    /// that a handler hands to whatever it calls.
    DeliveryId
}

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// It has characters that no name has, or too many of them.
    #[error(
        "`{name}` is not a {what} name: 1 to 64 of a-z, 0-9, `-` and `_`, starting with a letter or digit"
    )]
    Form {
        /// What was read, escaped and cut.
        name: String,
        /// What it was to name.
        what: &'static str,
    },
    /// It means something else.
    #[error("`{0}` is what notify commands are listed as; a plugin has another name")]
    Reserved(String),
}

fn checked(name: &str, what: &'static str) -> Result<String, InvalidName> {
    let mut bytes = name.bytes();
    let first = bytes
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    if first && rest && name.len() <= 64 {
        Ok(name.to_owned())
    } else {
        let name = name.chars().take(80).flat_map(char::escape_default).collect();
        Err(InvalidName::Form { name, what })
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                checked(&text, $what).map(Self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                checked(text, $what).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A plugin's name: the stem of its file in the plugin folder.
    PluginName, "plugin"
}
impl PluginName {
    const NOTIFY_COMMAND: &str = "notify-command";

    /// Whom a delivery goes to that no handler decides about: the job's notify command (B-115). No
    /// component is called so.
    #[must_use]
    pub fn notify_command() -> Self {
        Self(Self::NOTIFY_COMMAND.to_owned())
    }

    /// Whether it is the job's notify command and no component.
    #[must_use]
    pub fn is_notify_command(&self) -> bool {
        self.0 == Self::NOTIFY_COMMAND
    }

    /// The name of a component, as files and configurations give it.
    ///
    /// # Errors
    /// What is no name, and the one that no component has.
    pub fn of_component(text: &str) -> Result<Self, InvalidName> {
        let name: Self = text.parse()?;
        if name.is_notify_command() {
            return Err(InvalidName::Reserved(name.0));
        }
        Ok(name)
    }
}

name! {
    /// Who a job belongs to: an `[owner.NAME]` of the configuration, or `uid-N`.
    OwnerName, "owner"
}
name! {
    /// An activity: a named lane of batch work (COM+ `IServiceActivity`).
    ActivityName, "valid activity"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_component_is_called_as_notify_commands_are_listed() {
        assert!(PluginName::of_component("pager").is_ok());
        let refused = PluginName::of_component("notify-command").unwrap_err();
        assert!(refused.to_string().contains("another name"), "{refused}");
        let listed: PluginName = "notify-command".parse().unwrap();
        assert_eq!(listed, PluginName::notify_command(), "it is read from the store");
    }

    #[test]
    fn names_that_could_leave_the_folder_are_refused() {
        for bad in [
            "",
            "../x",
            "a/b",
            "A",
            "-x",
            "x y",
            "x.wasm",
            &"x".repeat(65),
            "\u{1b}[31m",
        ] {
            let error = bad.parse::<PluginName>().unwrap_err().to_string();
            assert!(!error.contains('\u{1b}'), "{error}");
        }
        assert_eq!(
            "retry-advisor".parse::<PluginName>().unwrap().as_str(),
            "retry-advisor"
        );
    }
}
