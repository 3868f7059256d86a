//! Sexton: durable unattended work that calls your WASM handler when it ends or goes wrong.
//!
//! # The rooms
//! A room may use only what the table names (`tests/suite/rooms.rs` keeps it true). Read them in the
//! order in which data flows:
//!
//! | room | one sentence | may use |
//! |---|---|---|
//! | [`job`] | the nouns and the law: ids, states, events, errors, policies, the pure `apply` | – |
//! | [`config`] | file, environment and flags become one checked configuration | job |
//! | [`store`] | the only owner of durable state; writes an event and its deliveries together | job |
//! | [`engine`] | the scheduler and the runners; proposes what happened | job, store, config |
//! | [`plugin`] | loads, checks, limits and calls components; never sees the store | job, config |
//! | [`dispatch`] | deliveries: attempts, policies, dead letters, FailFast | job, store, plugin, config |
//! | [`api`] | the control API `/v1` on a Unix socket, and its client | job, store, handles |
//! | [`cli`] | arguments, output, exit codes | api client, config |
//! | [`app`] | wires the rooms; commands that need no host | all |
//!
//! [`clock`] and [`fail_fast`] are open to all. Engine and dispatch meet only in the store: a crash
//! between any two rooms loses nothing.

pub mod api;
pub mod app;
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
