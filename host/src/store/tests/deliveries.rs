//! Events, claims and settlements.

use super::*;

#[tokio::test]
async fn an_event_and_its_deliveries_are_one_commit_and_survive() {
    let mut bench = Bench::new(&[DECIDES, (EventKind::JobError, "b", Role::Observer)]).await;
    let job = bench.failed().await;
    bench.crash().await;
    let claims = bench.claims().await;
    assert_eq!(claims.len(), 2);
    assert_eq!(claims[0].error.as_ref().unwrap().code, Code::http(403));
    assert!(
        claims
            .iter()
            .all(|claim| claim.delivery.job == job.id && !claim.stale)
    );
    assert_ne!(claims[0].delivery.id, claims[1].delivery.id);
}

#[tokio::test]
async fn acknowledgement_and_decision_are_one_commit() {
    let mut bench = Bench::new(&[DECIDES]).await;
    let job = bench.failed().await;
    let claim = bench.claims().await.remove(0);
    let writes = vec![StateWrite {
        key: "seen".into(),
        value: Some(b"1".to_vec()),
    }];
    let verdict = Verdict::Acknowledged {
        requests: vec![resume()],
        state_writes: writes,
    };
    assert_eq!(
        bench.settle(&claim, verdict).await.unwrap(),
        SettleResult::Settled
    );
    bench.crash().await;
    assert_eq!(bench.store().job(job.id).await.unwrap().state, JobState::Queued);
    let a: PluginName = "a".parse().unwrap();
    assert_eq!(
        bench.store().plugin_state(&a, "seen").await.unwrap().as_deref(),
        Some(b"1".as_slice())
    );
    assert_eq!(
        bench.store().delivery(claim.delivery.id).await.unwrap().state,
        DeliveryState::Settled
    );
}

#[tokio::test]
async fn a_crash_between_call_and_settlement_leaves_neither() {
    let mut bench = Bench::new(&[DECIDES]).await;
    let job = bench.failed().await;
    let before = bench.claims().await.remove(0);
    bench.crash().await;
    let late = bench.settle(&before, acknowledged(vec![Command::Cancel])).await;
    assert!(
        matches!(late, Err(StoreError::Fenced)),
        "an earlier start's verdict is refused"
    );
    assert_eq!(bench.store().job(job.id).await.unwrap().intent, None);
    let again = bench.claims().await.remove(0);
    assert_eq!(
        again.delivery.id, before.delivery.id,
        "the idempotency key is stable"
    );
    assert_eq!(
        (again.delivery.attempt, again.delivery.charged),
        (2, 1),
        "an interruption charges nobody"
    );
}

#[tokio::test]
async fn a_job_that_moved_makes_three_conflicts_and_then_supersedes() {
    let bench = Bench::new(&[DECIDES]).await;
    let job = bench.failed().await;
    for round in 1..=4 {
        let claim = bench.claims().await.remove(0);
        let priority = if round % 2 == 0 {
            Priority::High
        } else {
            Priority::Low
        };
        bench
            .store()
            .command(job.id, Command::SetPriority(priority))
            .await
            .unwrap();
        let said = bench
            .settle(&claim, acknowledged(vec![Command::Cancel]))
            .await
            .unwrap();
        let expected = if round < 4 {
            SettleResult::Conflict
        } else {
            SettleResult::Superseded
        };
        assert_eq!(said, expected, "round {round}");
    }
    assert_eq!(
        bench.store().job(job.id).await.unwrap().state,
        JobState::Error,
        "its request was dropped"
    );
}

#[tokio::test]
async fn without_requests_a_moved_job_is_no_conflict() {
    let bench = Bench::new(&[DECIDES]).await;
    let job = bench.failed().await;
    let claim = bench.claims().await.remove(0);
    bench.store().command(job.id, resume()).await.unwrap();
    assert_eq!(
        bench.settle(&claim, acknowledged(vec![])).await.unwrap(),
        SettleResult::Settled
    );
}

#[tokio::test]
async fn order_holds_per_job_and_handler_only() {
    let bench = Bench::new(&[
        DECIDES,
        (EventKind::OnEnded, "a", Role::Observer),
        (EventKind::OnEnded, "b", Role::Observer),
    ])
    .await;
    let job = bench.failed().await;
    let first = bench.claims().await.remove(0);
    bench.store().command(job.id, Command::Cancel).await.unwrap();
    bench
        .store()
        .command(
            job.id,
            Command::IntentDone {
                outcome: Outcome::Cancelled,
            },
        )
        .await
        .unwrap();
    let meanwhile = bench.claims().await;
    assert_eq!(meanwhile.len(), 1, "a's on-ended waits for a's job-error");
    assert_eq!(meanwhile[0].delivery.plugin.as_str(), "b");
    bench.settle(&first, acknowledged(vec![])).await.unwrap();
    let after = bench.claims().await;
    assert_eq!((after.len(), after[0].delivery.event), (1, EventKind::OnEnded));
    assert_eq!(after[0].outcome, Some(Outcome::Cancelled));
}

#[tokio::test]
async fn a_transferred_job_completes_once_its_handlers_are_done() {
    let bench = Bench::new(&[(EventKind::JobTransferred, "a", Role::Observer)]).await;
    let job = bench.submit().await;
    let run = bench.run().await;
    bench.store().report(run.id(), Command::Connected).await.unwrap();
    let done = bench
        .store()
        .report(
            run.id(),
            Command::Finished {
                at: bench.clock.now(),
                files: 1,
            },
        )
        .await
        .unwrap();
    assert_eq!(
        (done.state, done.intent),
        (JobState::Transferred, None),
        "it waits for its handler"
    );
    let claim = bench.claims().await.remove(0);
    bench.settle(&claim, acknowledged(vec![])).await.unwrap();
    assert_eq!(
        bench.store().job(job.id).await.unwrap().intent,
        Some(Intent::Complete)
    );
    assert_eq!(bench.store().intents(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn b103_a_handler_that_comes_late_is_told_once() {
    let bench = Bench::new(&[]).await;
    bench.failed().await;
    assert!(bench.claims().await.is_empty());
    bench.route(&[DECIDES], &[]).await;
    bench.route(&[DECIDES], &[]).await;
    let claims = bench.claims().await;
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].error.as_ref().unwrap().code, Code::http(403));
}

#[tokio::test]
async fn b100_a_call_carries_the_error_of_its_own_event_though_the_job_went_on() {
    let bench = Bench::new(&[DECIDES]).await;
    let job = bench.failed().await;
    bench.store().command(job.id, resume()).await.unwrap();
    let claim = bench.claims().await.remove(0);
    assert!(claim.stale);
    assert_eq!(claim.error.as_ref().unwrap().code, Code::http(403));
}

#[tokio::test]
async fn fail_fast_parks_at_the_crash_limit_and_replay_frees_it() {
    let bench = Bench::new(&[DECIDES]).await;
    bench.failed().await;
    for round in 1..=2 {
        let claim = bench.claims().await.remove(0);
        let next = AfterFailure::FailFast { crash_limit: 2 };
        let said = bench
            .settle(&claim, failed(FailureClass::Trap, &claim, next))
            .await
            .unwrap();
        assert_eq!(
            said,
            if round == 1 {
                SettleResult::Retrying
            } else {
                SettleResult::Dead
            }
        );
    }
    assert!(bench.claims().await.is_empty());
    let parked = DeliveryFilter {
        states: vec![DeliveryState::Poison],
        ..DeliveryFilter::default()
    };
    assert_eq!(bench.store().deliveries(parked.clone()).await.unwrap().len(), 1);
    assert_eq!(bench.store().replay(parked).await.unwrap(), 1);
    assert_eq!(bench.claims().await.len(), 1);
}

#[tokio::test]
async fn a_delivery_during_which_the_host_keeps_dying_runs_alone_then_is_parked() {
    let mut bench = Bench::new(&[DECIDES]).await;
    bench.failed().await;
    for _ in 0..5 {
        assert_eq!(bench.claims().await.len(), 1);
        bench.crash().await;
    }
    bench.route(&[DECIDES], &[]).await;
    bench.failed().await;
    let alone = bench.claims().await;
    assert_eq!(alone.len(), 1, "the suspect runs by itself though another is due");
    let beside = ClaimDeliveries {
        busy: busy("a", 1),
        ..ask_deliveries(&["a", "b"])
    };
    let beside = bench.store().claim_deliveries(beside).await.unwrap();
    assert!(beside.is_empty(), "nothing starts beside it either");
    let before_its_verdict = bench.claims().await;
    assert!(
        before_its_verdict.is_empty(),
        "nor while its verdict is on its way"
    );
    bench.crash().await;
    let rest = bench.claims().await;
    assert_eq!(rest.len(), 1);
    assert_ne!(rest[0].delivery.id, alone[0].delivery.id, "the suspect is parked");
}

#[tokio::test]
async fn retries_come_when_due_and_their_history_is_kept() {
    let bench = Bench::new(&[DECIDES]).await;
    bench.failed().await;
    let claim = bench.claims().await.remove(0);
    let due = bench.clock.now().after(Duration::from_secs(60));
    let next = AfterFailure::Retry {
        due,
        stage: Stage::Handler,
    };
    bench
        .settle(&claim, failed(FailureClass::Timeout, &claim, next))
        .await
        .unwrap();
    assert!(bench.claims().await.is_empty());
    let serving: BTreeSet<_> = ["a".parse().unwrap()].into();
    let asked = bench.clock.now();
    let next = |after| bench.store().next_delivery(serving.clone(), after);
    assert_eq!(next(asked).await.unwrap(), Some(due));
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(
        next(asked).await.unwrap(),
        Some(due),
        "what became due since the claim is not lost"
    );
    assert_eq!(next(due).await.unwrap(), None);
    assert_eq!(bench.claims().await.remove(0).delivery.attempt, 2);
    let record = bench.store().delivery(claim.delivery.id).await.unwrap();
    assert_eq!(record.attempts.len(), 1);
    assert_eq!(record.attempts[0].class, FailureClass::Timeout);
}

#[tokio::test]
async fn a_new_digest_makes_waiting_deliveries_due_now() {
    let bench = Bench::new(&[DECIDES]).await;
    bench.failed().await;
    let claim = bench.claims().await.remove(0);
    let next = AfterFailure::Retry {
        due: bench.clock.now().after(Duration::from_secs(900)),
        stage: Stage::Handler,
    };
    bench
        .settle(&claim, failed(FailureClass::Trap, &claim, next))
        .await
        .unwrap();
    let same = BTreeMap::from([("a".parse().unwrap(), Some("d".to_owned()))]);
    let router = || Arc::new(Fixed(vec![DECIDES]));
    bench.store().set_router(router(), same).await.unwrap();
    assert!(
        bench.claims().await.is_empty(),
        "a restart does not forget the wait"
    );
    let other = BTreeMap::from([("a".parse().unwrap(), Some("e".to_owned()))]);
    bench.store().set_router(router(), other).await.unwrap();
    assert_eq!(bench.claims().await.len(), 1);
}

#[tokio::test]
async fn b105_slots_are_per_owner_and_plugin() {
    let bench = Bench::new(&[DECIDES, (EventKind::JobError, "b", Role::Observer)]).await;
    for _ in 0..6 {
        bench.failed().await;
    }
    let claims = bench.claims().await;
    let of = |plugin: &str| {
        claims
            .iter()
            .filter(|claim| claim.delivery.plugin.as_str() == plugin)
            .count()
    };
    assert_eq!((of("a"), of("b")), (4, 4));
}

#[tokio::test]
async fn b110_modifications_are_one_row_at_most_every_half_second() {
    let bench = Bench::new(&[(EventKind::JobModification, "a", Role::Observer)]).await;
    let job = bench.submit().await;
    let run = bench.run().await;
    bench.store().report(run.id(), Command::Connected).await.unwrap();
    let first = bench.claims().await;
    assert_eq!(first.len(), 1, "two changes, one call");
    bench.settle(&first[0], acknowledged(vec![])).await.unwrap();
    bench
        .store()
        .command(job.id, Command::SetPriority(Priority::High))
        .await
        .unwrap();
    assert!(bench.claims().await.is_empty(), "not within 500 ms");
    bench.clock.advance(Duration::from_millis(500));
    assert_eq!(bench.claims().await.len(), 1);
}

#[tokio::test]
async fn a_slot_that_becomes_free_goes_to_the_plugin_with_the_fewest_calls() {
    let bench = Bench::new(&[DECIDES, (EventKind::JobError, "b", Role::Observer)]).await;
    for _ in 0..3 {
        bench.failed().await;
    }
    let ask = ClaimDeliveries {
        limit: 1,
        busy: busy("a", 1),
        ..ask_deliveries(&["a", "b"])
    };
    let claims = bench.store().claim_deliveries(ask).await.unwrap();
    let plugins: Vec<_> = claims
        .iter()
        .map(|claim| claim.delivery.plugin.as_str())
        .collect();
    assert_eq!(plugins, ["b"]);
}

#[tokio::test]
async fn a_purged_delivery_stays_purged_whatever_is_routed_anew() {
    let mut bench = Bench::new(&[DECIDES]).await;
    bench.failed().await;
    let claim = bench.claims().await.remove(0);
    let next = AfterFailure::Dead { why: "no".into() };
    bench
        .settle(&claim, failed(FailureClass::Trap, &claim, next))
        .await
        .unwrap();
    let dead = DeliveryFilter {
        states: vec![DeliveryState::Dead],
        ..DeliveryFilter::default()
    };
    assert_eq!(bench.store().purge(dead.clone()).await.unwrap(), 1);
    bench.route(&[DECIDES], &[]).await;
    bench.crash().await;
    bench.route(&[DECIDES], &[]).await;
    assert!(bench.claims().await.is_empty());
    assert_eq!(bench.store().purge(dead).await.unwrap(), 0);
}

#[tokio::test]
async fn a_change_does_not_revive_a_parked_modification() {
    let bench = Bench::new(&[(EventKind::JobModification, "a", Role::Observer)]).await;
    let job = bench.submit().await;
    bench.run().await;
    for _ in 0..2 {
        let claim = bench.claims().await.remove(0);
        let next = AfterFailure::FailFast { crash_limit: 2 };
        bench
            .settle(&claim, failed(FailureClass::Trap, &claim, next))
            .await
            .unwrap();
    }
    bench
        .store()
        .command(job.id, Command::SetPriority(Priority::High))
        .await
        .unwrap();
    bench.clock.advance(Duration::from_secs(1));
    assert!(bench.claims().await.is_empty(), "poison stays poison");
}

#[tokio::test]
async fn state_that_changed_under_a_call_makes_it_run_again_uncounted() {
    let bench = Bench::new(&[DECIDES]).await;
    let a: PluginName = "a".parse().unwrap();
    for _ in 0..6 {
        bench.failed().await;
    }
    let mut left = bench.claims().await;
    assert_eq!(left.len(), 4);
    let mut settled = 0;
    while let Some(claim) = left.pop() {
        // Every call read the counter when all of them had begun.
        let seen = if claim.delivery.attempt == 1 {
            None
        } else {
            bench.store().plugin_state(&a, "n").await.unwrap()
        };
        let count = seen.as_ref().map_or(0, |value| value[0]);
        let write = StateWrite {
            key: "n".into(),
            value: Some(vec![count + 1]),
        };
        let verdict = Verdict::Acknowledged {
            requests: vec![],
            state_writes: vec![write],
        };
        let reads = vec![StateRead::of("n".into(), seen.as_deref())];
        let settlement = Settlement {
            state_reads: reads,
            ..settlement(&claim, verdict)
        };
        match bench.store().settle(settlement).await.unwrap() {
            SettleResult::Settled => settled += 1,
            SettleResult::Conflict => {}
            other => panic!("{other:?}"),
        }
        if left.is_empty() {
            left = bench.claims().await;
        }
    }
    assert_eq!(settled, 6);
    assert_eq!(bench.store().plugin_state(&a, "n").await.unwrap(), Some(vec![6]));
}
