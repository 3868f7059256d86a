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
#[error("`{name}` is not a {what} name: 1 to 64 of a-z, 0-9, `-` and `_`, starting with a letter or digit")]
pub struct InvalidName {
    name: String,
    what: &'static str,
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
        Err(InvalidName { name, what })
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
name! {
    /// Who a job belongs to: an `[owner.NAME]` of the configuration, or `uid-N`.
    OwnerName, "owner"
}
name! {
    /// An activity: a named lane of batch work (COM+ `IServiceActivity`).
    ActivityName, "activity"
}

#[cfg(test)]
mod tests {
    use super::*;

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
