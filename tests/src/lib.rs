//! The harness of the tests that cross rooms: the real program as a child process, servers that
//! misbehave, receivers that remember.
//!
//! A test waits for what it wants to see ([`poll::until`]), never for a time to pass.

pub mod guests;
pub mod host;
pub mod output;
pub mod poll;
pub mod proxy;
pub mod receiver;
pub mod server;
pub mod web;
