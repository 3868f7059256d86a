//! The host's log: `log::info!("{} ended", job.name)`.
//!
//! A line is escaped and capped at 4 KiB by the host; a flood is dropped and counted.

use std::fmt;

pub use crate::bindings::imports::sexton::plugin::log::Level;
use crate::host;

/// One line.
pub fn write(severity: Level, message: fmt::Arguments<'_>) {
    match message.as_str() {
        Some(text) => host::log::write(severity, text),
        None => host::log::write(severity, &message.to_string()),
    }
}

/// Logs an error.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($arg:tt)+) => { $crate::log::write($crate::log::Level::Error, ::core::format_args!($($arg)+)) };
}
/// Logs a warning.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($arg:tt)+) => { $crate::log::write($crate::log::Level::Warn, ::core::format_args!($($arg)+)) };
}
/// Logs something worth knowing.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($arg:tt)+) => { $crate::log::write($crate::log::Level::Info, ::core::format_args!($($arg)+)) };
}
/// Logs a detail.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($arg:tt)+) => { $crate::log::write($crate::log::Level::Debug, ::core::format_args!($($arg)+)) };
}

#[doc(inline)]
pub use crate::{__log_debug as debug, __log_error as error, __log_info as info, __log_warn as warn};
