//! One test binary, a module per promise.

mod activities;
mod bad_servers;
mod batch;
mod cli;
mod crashes;
mod deliveries;
mod demo;
mod dependencies;
mod docs;
mod download;
mod errors;
mod fail_fast;
mod failures;
mod faults;
mod fetching;
mod full_disk;
mod fuzz;
mod hazards;
mod hostile;
mod hot_reload;
mod job_sets;
mod jobs;
mod kills;
mod licences;
mod loading;
mod model;
mod notify;
mod plugins;
mod policies;
mod queries;
mod refused;
mod reload_config;
mod rooms;
mod rows;
mod scheduling;
mod servers;
mod shipped;
mod soak;
mod uploads;

use sexton_tests::host::TestHost;

/// A folder with this configuration, for the real program.
pub(crate) fn host(config: &str) -> TestHost {
    TestHost::new(env!("CARGO_BIN_EXE_sexton-under-test"), config)
}
