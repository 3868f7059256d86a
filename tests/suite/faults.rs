//! The whole host over a store that fails (J-196): every verb of its trait, in every way. Whoever asked
//! is told so and may ask again; what the host does by itself it goes on with; nothing is acknowledged
//! too early, lost, or done twice.
//!
//! The host runs in this process, on simulated time, with real components, files, servers and its
//! real control socket; between it and SQLite stands a `FaultStore`.

mod scene;

use std::time::Duration;

use sexton::store::{Fault, Verb};

use scene::Scene;

/// How often a verb fails: more often than anything that counts its tries would bear. What was done
/// though it failed is not always asked for again, so a round has fewer of those. Reading the state of
/// a plugin fails the call, and the fifth call in a row to fail so is parked by law.
fn times(verb: Verb, fault: Fault) -> u32 {
    match (verb, fault) {
        (_, Fault::Slow(_)) => 1,
        (Verb::PluginState | Verb::PluginStateBytes | Verb::SetRouter, _) => 2,
        (_, Fault::After) => 3,
        // Every job of a round must get more of them than file work is tried.
        (Verb::FileCompleted, _) => 20,
        (_, Fault::Before | Fault::Full | Fault::Io) => 6,
    }
}

/// Verbs that no transfer needs, and so nobody asks for here.
const OF_OTHERS: [Verb; 6] = [
    Verb::SetLanes,
    Verb::KeepActivity,
    Verb::Activities,
    Verb::HandOver,
    Verb::Watched,
    Verb::Objects,
];

fn table(fault: Fault) {
    let scene = Scene::start();
    for verb in Verb::ALL.iter().copied().filter(|verb| !OF_OTHERS.contains(verb)) {
        let what = format!("{verb} {fault:?}");
        scene.store.fail(verb, fault, times(verb, fault));
        scene.round(fault, &what);
        scene.wait_faults(verb);
        scene.store.mend();
        scene.check(&what);
    }
    scene.end();
}

#[test]
fn every_verb_may_fail_before() {
    table(Fault::Before);
}

#[test]
fn every_verb_may_be_done_though_it_failed() {
    table(Fault::After);
}

#[test]
fn every_verb_may_take_half_a_minute() {
    table(Fault::Slow(Duration::from_secs(30)));
}

#[test]
fn every_verb_may_meet_a_full_disk() {
    table(Fault::Full);
}

#[test]
fn every_verb_may_meet_a_broken_disk() {
    table(Fault::Io);
}
