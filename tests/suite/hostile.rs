//! Whatever a guest does and whatever lies in the plugin folder, the host stays up, says in words
//! what it was, and stays the size it is (HX-01…HX-13, HV-03, HN-10).
//!
//! What takes long is repeated a hundred times; `SEXTON_HOSTILE_FULL=1` makes it a thousand, each
//! mood in a host of its own, and prints what each did to the host's memory. `SEXTON_HOSTILE_ONLY`
//! names one mood.

mod files;
mod flat;
mod limits;
mod made;
mod moods;
mod reach;

use sexton_tests::host::TestHost;
use sexton_tests::poll::until;

/// The long form was asked for.
fn full() -> bool {
    std::env::var_os("SEXTON_HOSTILE_FULL").is_some()
}

/// What is wrong with the plugin's file, once the host is certain.
fn problem(host: &TestHost, name: &str) -> String {
    until(&format!("{name} is refused"), || {
        let plugin = host.plugin_view(name)?;
        let why = plugin["problem"].as_str()?;
        (!why.starts_with("absent")).then(|| why.to_owned())
    })
}
