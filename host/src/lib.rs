//! Sexton: durable unattended work that calls your WASM handler when it ends or goes wrong.

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod engine;
pub mod fail_fast;
pub mod job;
pub mod plugin;
pub mod shipped;
pub mod store;
