//! Settlement as a model: checked exhaustively in small worlds, and held against the real engine.
//!
//! **What is modelled.** Jobs under their law (cut down, held against the host's own); an event and
//! its rows in one transaction; claims that count the attempt; guests that start and end; verdicts
//! that wait for the writer and commit together; the fence of delivery, attempt and incarnation;
//! conflicts; policies down to dead letter and FailFast with its crash limit; outside deaths, what a
//! new start makes of them, and the lonely run of a suspect; components that are swapped, taken away
//! and named later; people who command, replay and purge; answers that are lost.
//!
//! **What is not.** Time, but for "due or not yet"; the notify command, the final callback and
//! overload, which are further steps of a policy; `job-modification` and `file-transferred`, which
//! never block and are never retried; transient errors and suspension of jobs; retention, which is
//! purging by the clock; how many verdicts share one commit (all that wait do, at any moment).
//!
//! **Bounds.** One or two jobs, one or two handlers, and so many runs, deaths and the like as
//! `scenes.rs` says, so that every path is finite: what holds "eventually" can then be seen where
//! nothing more can happen. Limits are the host's own, but for those whose number does not matter.
//!
//! | file | what it holds |
//! |---|---|
//! | `law.rs`, `rows.rs`, `settle.rs` | what is durable: every verb is one transaction |
//! | `host.rs` | what is volatile: guests and queued verdicts |
//! | `protocol.rs` | the transition relation |
//! | `invariants.rs` | the laws, and what must be reachable |
//! | `scenes.rs`, `flaws.rs` | the small worlds; the broken twins, each with the law that sees it |
//! | `engine.rs`, `guests.rs`, `schedule.rs` | the real engine, and what happens to it |
//! | `trace.rs`, `compare.rs`, `replay.rs` | its traces, step by step against the model |

mod agreement;
mod compare;
mod engine;
mod flaws;
mod guests;
mod host;
mod invariants;
mod law;
mod protocol;
mod replay;
mod rows;
mod scenes;
mod schedule;
mod settle;
mod trace;

use std::collections::HashMap;

use stateright::{Checker, HasDiscoveries, Model};

use host::State;
use protocol::Protocol;
use scenes::Scene;

fn check(scene: Scene) {
    let name = scene.name;
    let checker = Protocol { scene }.checker().spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} states, longest history {depth} steps");
    checker.assert_properties();
}

#[test]
fn every_law_holds_in_every_small_world() {
    scenes::all().into_iter().for_each(check);
}

#[test]
fn every_broken_twin_is_seen_by_its_law() {
    for (flaw, scene, law) in flaws::TWINS {
        let mut scene = scene();
        scene.rules.flaw = Some(*flaw);
        scene.reaches.clear();
        let checker = Protocol { scene }.checker();
        let checker = checker
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let seen = checker.discoveries();
        let first = seen
            .get(law)
            .unwrap_or_else(|| panic!("{flaw:?}: not seen by `{law}` but by {:?}", seen.keys()));
        println!("{flaw:?}: {law}: {:?}", first.clone().into_actions());
    }
}

/// The checker's "eventually" asks for this.
#[test]
fn no_history_goes_round_in_a_circle() {
    for scene in [scenes::faults(), scenes::deaths()] {
        let protocol = Protocol { scene };
        let mut left: HashMap<State, bool> = HashMap::new();
        let mut path = vec![(protocol.scene.start(), false)];
        while let Some((state, seen)) = path.pop() {
            if seen {
                left.insert(state, true);
                continue;
            }
            match left.get(&state) {
                Some(true) => continue,
                Some(false) => panic!("a circle through {state:#?}"),
                None => {}
            }
            left.insert(state.clone(), false);
            let next = protocol.next_states(&state);
            path.push((state, true));
            path.extend(next.into_iter().map(|state| (state, false)));
        }
    }
}
