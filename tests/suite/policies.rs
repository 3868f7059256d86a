//! What follows each class of failure under each policy, written out: real components fail in the real plugin
//! room, the real dispatcher and store do the rest, and only the clock is moved by hand.
//!
//! Policies are written as an operator writes them. Where one ends the process, the row is played by a child.

mod scene;
mod strained;
mod table;

use std::process::Command;
use std::sync::Arc;

use sexton::job::DeliveryState;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use scene::{Room, Scene, outcome_of};
use table::{CHARGED, End, ROWS, Row, UNCHARGED, Uncharged};

/// Scenes that are played beside each other.
const BESIDE: usize = 4;
/// Tells a child its row, its class and its folder.
const CHILD: &str = "SEXTON_POLICY_ROW";

/// Every class of every row, with the row's place in the table.
fn plays() -> Vec<(usize, &'static Row, &'static str)> {
    let rows = ROWS.iter().enumerate();
    rows.flat_map(|(index, row)| row.classes.iter().map(move |class| (index, row, *class)))
        .collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Plays a row up to its end and compares; where the process is to end, it ends in here.
async fn play(scene: &mut Scene, row: &Row, class: &str) {
    let told = format!("{class} under {}", row.policy);
    for (index, wait) in row.waits.iter().enumerate() {
        let attempt = scene.waits(&told).await;
        let due = attempt.due.unwrap().since(scene.clock.now()).as_millis();
        let spread = u128::from(*wait * row.jitter_percent / 100);
        assert!(
            due.abs_diff(u128::from(*wait)) <= spread,
            "{told}: after failure {}: again in {due} ms, not in {wait} ms",
            index + 1
        );
        let failure = attempt.last_failure.as_ref().unwrap();
        if !row.runs_command() {
            assert_eq!(failure.class.as_str(), class, "{told}");
            assert_eq!(attempt.charged as usize, index + 1, "{told}");
        }
        scene.go_to(attempt.due.unwrap(), &attempt).await;
    }
    if let Some(late) = row.late {
        let attempt = scene.waits(&told).await;
        scene.jump_to_age(&attempt, late);
    }
    let over = scene.over(&told).await;
    let (state, calls, why) = outcome_of(&row.end);
    assert_eq!(over.state, state, "{told}: {:?}", over.result);
    let result = over.result.clone().unwrap_or_default();
    assert!(result.contains(why), "{told}: {result}");
    let expected = row.waits.len() + usize::from(row.late.is_some()) + calls + row.commands();
    assert_eq!(over.attempt as usize, expected, "{told}: attempts in all");
}

#[test]
fn every_class_under_every_policy() {
    let room = Room::open();
    runtime().block_on(async {
        room.load().await;
        let room = Arc::new(room);
        let slots = Arc::new(Semaphore::new(BESIDE));
        let mut playing = JoinSet::new();
        for (index, row, class) in plays() {
            let (room, slots) = (Arc::clone(&room), Arc::clone(&slots));
            playing.spawn(async move {
                let _slot = slots.acquire_owned().await.unwrap();
                if row.end == End::FailFast {
                    return ends_in_a_child(&room, index, row, class).await;
                }
                let mut scene = Scene::new(&room, None, row, class).await;
                scene.start().await;
                play(&mut scene, row, class).await;
                scene.end().await;
            });
        }
        while let Some(played) = playing.join_next().await {
            played.unwrap();
        }
    });
}

/// The child ends with the status of a FailFast, after the record and the report.
async fn ends_in_a_child(room: &Room, index: usize, row: &'static Row, class: &'static str) {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "policies::child", "--ignored", "--nocapture"])
        .env(
            CHILD,
            format!(
                "{index} {class} {} {}",
                room.path().display(),
                dir.path().display()
            ),
        );
    let output = tokio::task::spawn_blocking(move || child.output().unwrap())
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = format!("{class} under {}", row.policy);
    assert_eq!(output.status.code(), Some(70), "{told}: {said}");
    let record = Scene::left_in(dir.path()).await;
    assert_eq!(
        record.state,
        DeliveryState::Pending,
        "{told}: a restart calls it again"
    );
    assert_eq!(record.attempt as usize, row.waits.len() + 1, "{told}");
    assert_eq!(record.last_failure.unwrap().class.as_str(), class, "{told}");
    let reports: Vec<_> = std::fs::read_dir(dir.path().join("reports")).unwrap().collect();
    assert_eq!(reports.len(), 1, "{told}");
    let report = std::fs::read_to_string(reports[0].as_ref().unwrap().path()).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["failure"]["class"], class, "{told}");
    assert_eq!(report["delivery"], record.id.to_string(), "{told}");
}

#[test]
#[ignore = "played by `every_class_under_every_policy`, in a process that it ends"]
fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let told: Vec<&str> = told.split(' ').collect();
    let [index, class, room, dir] = told[..] else {
        panic!("{told:?}")
    };
    let row = &ROWS[index.parse::<usize>().unwrap()];
    let room = Room::beside(room.as_ref(), class);
    runtime().block_on(async {
        room.load().await;
        let mut scene = Scene::new(&room, Some(dir.as_ref()), row, class).await;
        scene.start().await;
        play(&mut scene, row, class).await;
    });
}

#[test]
fn what_is_not_the_handlers_fault_is_charged_to_nobody_under_any_policy() {
    let room = Room::open();
    runtime().block_on(async {
        room.load().await;
        for row in &UNCHARGED {
            for policy in table::POLICIES {
                uncharged(&room, row, policy).await;
            }
        }
    });
}

async fn uncharged(room: &Room, row: &'static Uncharged, policy: &'static str) {
    let told = format!("{} under {policy}", row.class);
    let mut scene = Scene::strained(room, row, policy).await;
    scene.start().await;
    if row.class == "interrupted" {
        scene.interrupted().await;
    }
    for wait in row.waits {
        let attempt = scene.waits(&told).await;
        let due = attempt.due.unwrap().since(scene.clock.now()).as_millis();
        assert_eq!(due, u128::from(*wait), "{told}");
        assert_eq!(attempt.charged, 0, "{told}");
        scene.go_to(attempt.due.unwrap(), &attempt).await;
    }
    let over = scene.over(&told).await;
    assert_eq!(over.state.as_str(), row.state, "{told}: {:?}", over.result);
    assert!(
        over.result.clone().unwrap_or_default().contains(row.result),
        "{told}: {over:?}"
    );
    assert_eq!(over.attempt, row.attempts, "{told}");
    assert_eq!(over.charged, row.charged, "{told}");
    scene.end().await;
}

#[test]
fn the_table_has_every_class() {
    let named = |class: &str| {
        ROWS.iter().any(|row| row.classes.contains(&class)) || UNCHARGED.iter().any(|row| row.class == class)
    };
    for class in sexton::job::FailureClass::ALL {
        assert!(named(class.as_str()), "{class}");
        assert_eq!(class.is_charged(), CHARGED.contains(&class.as_str()), "{class}");
    }
}
