//! One decider for each job and event, whatever the operator changes while a delivery waits or runs.

use super::*;

const B_DECIDES: (EventKind, &str, Role) = (EventKind::JobError, "b", Role::Decider);
const A_OBSERVES: (EventKind, &str, Role) = (EventKind::JobError, "a", Role::Observer);

/// The plugins that would decide about an event that is not over.
async fn deciders(bench: &Bench) -> Vec<String> {
    let filter = DeliveryFilter {
        states: vec![DeliveryState::Pending, DeliveryState::Running],
        ..DeliveryFilter::default()
    };
    let open = bench.store().deliveries(filter).await.unwrap();
    open.iter()
        .filter(|delivery| delivery.role == Role::Decider)
        .map(|delivery| delivery.plugin.to_string())
        .collect()
}

#[tokio::test]
async fn a_new_decider_takes_over_from_one_that_waits() {
    let bench = Bench::new(&[DECIDES]).await;
    bench.failed().await;
    bench.route(&[B_DECIDES, A_OBSERVES], &[]).await;
    assert_eq!(deciders(&bench).await, ["b"]);
    bench.route(&[B_DECIDES], &[]).await;
    assert_eq!(
        deciders(&bench).await,
        ["b"],
        "a is still told, and only observes"
    );
    bench.route(&[DECIDES], &[]).await;
    assert_eq!(deciders(&bench).await, ["a"]);
    bench.route(&[], &[]).await;
    assert_eq!(
        deciders(&bench).await,
        ["a"],
        "with no other, who was told to decide does"
    );
    assert_eq!(bench.claims().await.len(), 2);
}

#[tokio::test]
async fn a_decision_of_one_who_is_no_longer_the_decider_is_not_carried_out() {
    let bench = Bench::new(&[DECIDES]).await;
    let job = bench.failed().await;
    let running = bench.claims().await.remove(0);
    bench.route(&[B_DECIDES, A_OBSERVES], &[]).await;
    let cancels = acknowledged(vec![Command::Cancel]);
    assert_eq!(
        bench.settle(&running, cancels).await.unwrap(),
        SettleResult::Conflict
    );
    assert_eq!(bench.store().job(job.id).await.unwrap().state, JobState::Error);
    let mut claims = bench.claims().await;
    claims.sort_by_key(|claim| claim.delivery.plugin.clone());
    let roles: Vec<_> = claims.iter().map(|claim| claim.delivery.role).collect();
    assert_eq!(roles, [Role::Observer, Role::Decider]);
    assert_eq!(
        claims[0].delivery.charged, 1,
        "the first call was charged to nobody"
    );
    let decided = bench.settle(&claims[1], acknowledged(vec![resume()])).await;
    assert_eq!(decided.unwrap(), SettleResult::Settled);
}

#[tokio::test]
async fn a_replayed_delivery_has_the_role_of_now() {
    let bench = Bench::new(&[DECIDES]).await;
    bench.failed().await;
    let claim = bench.claims().await.remove(0);
    let dead = AfterFailure::Dead { why: "no".into() };
    let verdict = failed(FailureClass::Trap, &claim, dead);
    bench.settle(&claim, verdict).await.unwrap();
    bench.route(&[B_DECIDES, A_OBSERVES], &[]).await;
    bench.store().replay(DeliveryFilter::default()).await.unwrap();
    assert_eq!(deciders(&bench).await, ["b"]);
}

#[tokio::test]
async fn whoever_was_to_decide_still_does_when_the_new_decider_was_told_as_an_observer() {
    let b_observes = (EventKind::JobError, "b", Role::Observer);
    let bench = Bench::new(&[DECIDES, b_observes]).await;
    bench.failed().await;
    let (a, b) = {
        let mut claims = bench.claims().await;
        claims.sort_by_key(|claim| claim.delivery.plugin.clone());
        let b = claims.remove(1);
        (claims.remove(0), b)
    };
    bench.settle(&b, acknowledged(vec![])).await.unwrap();
    let next = AfterFailure::Retry {
        due: bench.clock.now(),
        stage: Stage::Handler,
    };
    bench
        .settle(&a, failed(FailureClass::Trap, &a, next))
        .await
        .unwrap();
    bench.route(&[B_DECIDES, A_OBSERVES], &[]).await;
    assert_eq!(
        deciders(&bench).await,
        ["a"],
        "b has been asked nothing and is not told again"
    );
    // Of what comes from now on the new one decides.
    bench.failed().await;
    let mut now = deciders(&bench).await;
    now.sort();
    assert_eq!(now, ["a", "b"], "one for each event");
}
