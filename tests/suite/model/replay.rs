//! The real engine held against the model: random schedules with killed hosts, schedules that reach
//! the rare ends, and traces that were tampered with.
//!
//! `SEXTON_MODEL_TRACES` is how many random schedules are tried (32 by default).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use sexton::job::DeliveryState;
use sexton::store::{Did, SettleResult, Verdict};

use super::engine::Engine;
use super::law::Command;
use super::schedule::Move;
use super::settle::{Next, Said};
use super::trace::{Follower, Line};

const TRAPS: Said = Said::Fail(Next::Ask);
const FAULT: Said = Said::Fault(Next::Ask);

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let asked = prop_oneof![
        4 => Just(Command::Prioritise),
        1 => Just(Command::Resume),
        1 => Just(Command::Cancel),
        1 => Just(Command::Complete),
    ];
    let decided = prop_oneof![
        Just(Command::Resume),
        Just(Command::Cancel),
        Just(Command::Complete)
    ];
    let said = prop_oneof![
        3 => Just(Said::Ack),
        4 => decided.prop_map(Said::Decide),
        4 => Just(TRAPS),
        1 => Just(FAULT),
    ];
    let one = prop_oneof![
        3 => (any::<bool>(), any::<bool>()).prop_map(|(batch, hold)| Move::Submit { batch, hold }),
        5 => any::<bool>().prop_map(|fails| Move::Run { fails }),
        4 => (any::<u8>(), asked).prop_map(|(pick, command)| Move::Ask(pick, command)),
        2 => Just(Move::Intents),
        9 => (any::<u8>(), said).prop_map(|(pick, said)| Move::End(pick, said)),
        3 => Just(Move::Wait),
        2 => Just(Move::Kill),
        1 => (0..2u8).prop_map(Move::Swap),
        1 => (0..2u8).prop_map(Move::Toggle),
        1 => Just(Move::Name),
        2 => any::<u8>().prop_map(Move::Replay),
        2 => any::<u8>().prop_map(Move::Purge),
        1 => Just(Move::LoseAnswer),
    ];
    prop::collection::vec(one, 30..70)
}

/// Runs a schedule on the real engine; the model has followed every line of what comes back.
fn run(then: Next, moves: &[Move]) -> Result<Vec<Line>, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let trace = runtime.block_on(Engine::new(then).run(moves));
    runtime.shutdown_background();
    trace
}

/// Follows a trace without an engine.
fn follow(then: Next, trace: &[Line]) -> Result<(), String> {
    let mut follower = Follower::new(then);
    trace.iter().try_for_each(|line| follower.take(line))
}

/// What happened in a trace, in words.
fn happened(trace: &[Line], met: &mut BTreeSet<String>) {
    for line in trace {
        match line {
            Line::Did(Did::Settled(settlement, result), ..) => {
                met.insert(format!("{:?}", result.as_ref()));
                if let Verdict::Failed { record, .. } = &settlement.verdict {
                    met.insert(record.class.to_string());
                    if settlement.ends_the_host() {
                        met.insert("fail-fast".to_owned());
                    }
                }
            }
            Line::Did(Did::ClaimedDeliveries(claims), ..) if claims.iter().any(|(_, stale)| *stale) => {
                met.insert("stale".to_owned());
            }
            Line::Did(Did::Replayed(_), ..) => drop(met.insert("replayed".to_owned())),
            Line::Did(Did::Purged(_), ..) => drop(met.insert("purged".to_owned())),
            Line::Killed => drop(met.insert("killed".to_owned())),
            Line::Names(_) => drop(met.insert("named".to_owned())),
            _ => {}
        }
    }
}

#[test]
fn whatever_the_real_engine_does_the_model_allows() {
    let cases = std::env::var("SEXTON_MODEL_TRACES").ok();
    let config = Config {
        cases: cases.and_then(|cases| cases.parse().ok()).unwrap_or(32),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    // The same schedules every time, so that a failure is found again.
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let met = Mutex::new((BTreeSet::new(), 0));
    let thens = prop_oneof![Just(Next::Dead), Just(Next::FailFast)];
    TestRunner::new_with_rng(config, rng)
        .run(&(thens, moves()), |(then, moves)| {
            let trace = run(then, &moves).map_err(TestCaseError::fail)?;
            let mut met = met.lock().unwrap_or_else(PoisonError::into_inner);
            happened(&trace, &mut met.0);
            met.1 += trace.len();
            Ok(())
        })
        .unwrap();
    let (met, lines) = met.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{lines} lines followed; met: {met:?}");
    let rare = [
        "replayed",
        "purged",
        "killed",
        "named",
        "stale",
        "trap",
        "host-fault",
        "fail-fast",
        "None",
    ];
    let results = ["Settled", "Conflict", "Retrying", "Dead"].map(|word| format!("Some({word})"));
    for wanted in rare.map(str::to_owned).into_iter().chain(results) {
        assert!(met.contains(&wanted), "no schedule led to {wanted}");
    }
}

/// A download that failed for good, its handler called.
fn failed() -> Vec<Move> {
    vec![
        Move::Submit {
            batch: false,
            hold: false,
        },
        Move::Run { fails: true },
    ]
}

fn ends_in(trace: &[Line], state: DeliveryState) -> bool {
    let shown = trace.iter().rev().find_map(|line| match line {
        Line::Did(_, standing, _) => Some(standing),
        _ => None,
    });
    shown.is_some_and(|shown| shown.deliveries.iter().any(|delivery| delivery.state == state))
}

#[test]
fn the_rare_ends_are_the_models_too() {
    let mut deaths = failed();
    deaths.extend([Move::Kill; 5]);
    deaths.extend(failed());
    deaths.extend([Move::Kill; 1]);
    let mut lonely = vec![
        Move::Submit {
            batch: false,
            hold: false,
        },
        Move::Run { fails: false },
    ];
    lonely.extend([Move::Kill; 6]);
    let crashes: Vec<_> = failed()
        .into_iter()
        .chain([
            Move::End(0, TRAPS),
            Move::Wait,
            Move::End(0, TRAPS),
            Move::End(0, TRAPS),
        ])
        .collect();
    let faults: Vec<_> = failed()
        .into_iter()
        .chain([Move::End(0, FAULT), Move::Wait].repeat(5))
        .collect();
    let decides = Said::Decide(Command::Cancel);
    let superseded: Vec<_> = failed()
        .into_iter()
        .chain([Move::Ask(0, Command::Prioritise), Move::End(0, decides)].repeat(4))
        .collect();
    let poison = DeliveryState::Poison;
    for (what, then, moves, state) in [
        ("the host dies six times", Next::Dead, deaths, poison),
        (
            "a finished job's handler is parked at a start",
            Next::Dead,
            lonely,
            poison,
        ),
        ("a handler ends the host twice", Next::FailFast, crashes, poison),
        ("the host fails five times", Next::Dead, faults, poison),
        (
            "a decision is superseded",
            Next::Dead,
            superseded,
            DeliveryState::Settled,
        ),
    ] {
        let trace = run(then, &moves).unwrap_or_else(|why| panic!("{what}: {why}"));
        assert!(ends_in(&trace, state), "{what}");
    }
}

type Tamper = fn(&mut Vec<Line>) -> bool;

/// Ways to tamper with a trace; each tells whether it found something to tamper with.
const TAMPERED: &[(&str, Tamper)] = &[
    ("a claim is left out", |trace| {
        drop_first(trace, |line| {
            matches!(line, Line::Did(Did::ClaimedDeliveries(_), ..))
        })
    }),
    ("the end of a guest is left out", |trace| {
        drop_first(trace, |line| matches!(line, Line::Ended(..)))
    }),
    ("a death is left out", |trace| {
        drop_first(trace, |line| matches!(line, Line::Killed))
    }),
    ("a verdict is taken twice", |trace| {
        let settled = |line: &Line| matches!(line, Line::Did(Did::Settled(_, Some(_)), ..));
        let Some(at) = trace.iter().position(settled) else {
            return false;
        };
        trace.insert(at, trace[at].clone());
        true
    }),
    ("a verdict is of another attempt", |trace| {
        first_settlement(trace, |settlement, _| settlement.attempt += 1)
    }),
    ("a verdict saw another revision", |trace| {
        first_settlement(trace, |settlement, _| settlement.revision += 1)
    }),
    ("a settlement led to something else", |trace| {
        first_settlement(trace, |_, result| *result = Some(SettleResult::Superseded))
    }),
    ("an attempt is not counted", |trace| {
        first_delivery(trace, |delivery| delivery.attempt += 1)
    }),
    ("somebody is charged", |trace| {
        first_delivery(trace, |delivery| delivery.charged += 1)
    }),
    ("a job moved by itself", |trace| {
        let shown = trace.iter_mut().find_map(|line| match line {
            Line::Did(_, standing, _) => standing.jobs.first_mut(),
            _ => None,
        });
        shown.is_some_and(|job| {
            job.revision += 1;
            true
        })
    }),
    ("a guest ran at another attempt", |trace| {
        let called = trace.iter_mut().find_map(|line| match line {
            Line::Called(_, attempt) => Some(attempt),
            _ => None,
        });
        called.is_some_and(|attempt| {
            *attempt += 1;
            true
        })
    }),
];

fn drop_first(trace: &mut Vec<Line>, wanted: fn(&Line) -> bool) -> bool {
    let at = trace.iter().position(wanted);
    at.is_some_and(|at| {
        trace.remove(at);
        true
    })
}

fn first_settlement(
    trace: &mut [Line],
    tamper: fn(&mut sexton::store::Settlement, &mut Option<SettleResult>),
) -> bool {
    let settled = trace.iter_mut().find_map(|line| match line {
        Line::Did(Did::Settled(settlement, result), ..) => Some((settlement, result)),
        _ => None,
    });
    settled.is_some_and(|(settlement, result)| {
        tamper(settlement, result);
        true
    })
}

fn first_delivery(trace: &mut [Line], tamper: fn(&mut sexton::store::DeliveryRecord)) -> bool {
    let shown = trace.iter_mut().find_map(|line| match line {
        Line::Did(_, standing, _) => standing.deliveries.first_mut(),
        _ => None,
    });
    shown.is_some_and(|delivery| {
        tamper(delivery);
        true
    })
}

#[test]
fn a_trace_that_was_tampered_with_is_refused() {
    let moves: Vec<_> = failed()
        .into_iter()
        .chain([
            Move::Kill,
            Move::End(0, TRAPS),
            Move::Wait,
            Move::End(0, Said::Decide(Command::Cancel)),
        ])
        .chain([Move::Intents])
        .collect();
    let trace = run(Next::Dead, &moves).unwrap();
    follow(Next::Dead, &trace).expect("as it was, it is accepted");
    for (what, tamper) in TAMPERED {
        let mut tampered = trace.clone();
        assert!(tamper(&mut tampered), "nothing to tamper with: {what}");
        assert!(follow(Next::Dead, &tampered).is_err(), "accepted though {what}");
    }
}
