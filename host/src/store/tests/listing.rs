//! Lists that are narrowed by what no index leads to, and paged.

use super::*;
use crate::job::JobId;

async fn submit(bench: &Bench, name: &str, remote: &str) -> JobId {
    let mut new = new_job();
    new.spec.name = name.to_owned();
    new.files = vec![
        FileSpec::new("http://first:81/x", "/tmp/first"),
        FileSpec::new(remote, format!("/srv/{name}")),
    ];
    bench.store().submit(new).await.unwrap().job.id
}

async fn found(bench: &Bench, wanted: JobMatch) -> Vec<String> {
    let page = bench
        .store()
        .jobs_matching(JobFilter::default(), wanted)
        .await
        .unwrap();
    assert_eq!(page.next, None);
    page.jobs.into_iter().map(|job| job.spec.name).collect()
}

#[tokio::test]
async fn d20_jobs_are_found_by_remote_name_local_path_and_display_name() {
    let bench = Bench::new(&[]).await;
    submit(&bench, "one.iso", "http://h/a/one").await;
    submit(&bench, "two.iso", "http://h/b/two").await;
    let text = |text: &str| Some(text.to_owned());
    for (wanted, names) in [
        (
            JobMatch {
                remote: text("/b/"),
                ..JobMatch::default()
            },
            vec!["two.iso"],
        ),
        (
            JobMatch {
                local: text("/srv/one"),
                ..JobMatch::default()
            },
            vec!["one.iso"],
        ),
        (
            JobMatch {
                remote: text("/b/"),
                local: text("/srv/one"),
                ..JobMatch::default()
            },
            vec![],
        ),
        (
            JobMatch {
                name: text("TWO"),
                ..JobMatch::default()
            },
            vec!["two.iso"],
        ),
        (
            JobMatch {
                name: text("*.iso"),
                ..JobMatch::default()
            },
            vec!["two.iso", "one.iso"],
        ),
        (
            JobMatch {
                host: text("first"),
                ..JobMatch::default()
            },
            vec!["two.iso", "one.iso"],
        ),
        (
            JobMatch {
                host: text("First:81"),
                ..JobMatch::default()
            },
            vec!["two.iso", "one.iso"],
        ),
        (
            JobMatch {
                host: text("h"),
                ..JobMatch::default()
            },
            vec![],
        ),
    ] {
        assert_eq!(found(&bench, wanted.clone()).await, names, "{wanted:?}");
    }
}

#[tokio::test]
async fn b10_jobs_are_found_by_what_they_are_and_when_they_were_made() {
    let bench = Bench::new(&[]).await;
    let early = bench.failed().await;
    bench.clock.advance(Duration::from_secs(60));
    let mut low = new_job();
    low.priority = Priority::Low;
    low.spec.labels.insert("team".to_owned(), "ops".to_owned());
    low.kind = JobKind::Upload;
    let late = bench.store().submit(low).await.unwrap().job;
    for (wanted, id) in [
        (
            JobMatch {
                since: Some(late.created),
                ..JobMatch::default()
            },
            late.id,
        ),
        (
            JobMatch {
                until: Some(late.created),
                ..JobMatch::default()
            },
            early.id,
        ),
        (
            JobMatch {
                kind: Some(JobKind::Upload),
                ..JobMatch::default()
            },
            late.id,
        ),
        (
            JobMatch {
                priority: Some(Priority::Low),
                ..JobMatch::default()
            },
            late.id,
        ),
        (
            JobMatch {
                error: Some(Code::http(403)),
                ..JobMatch::default()
            },
            early.id,
        ),
        (
            JobMatch {
                labels: vec![("team".to_owned(), "ops".to_owned())],
                ..JobMatch::default()
            },
            late.id,
        ),
    ] {
        let page = bench
            .store()
            .jobs_matching(JobFilter::default(), wanted.clone())
            .await
            .unwrap();
        let ids: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
        assert_eq!(ids, [id], "{wanted:?}");
    }
}

#[tokio::test]
async fn pages_of_what_hardly_anything_fits_come_to_an_end_and_miss_nothing() {
    let bench = Bench::new(&[]).await;
    let mut wanted = Vec::new();
    for round in 0..3 {
        bench.store().submit_many(vec![new_job(); 7_000]).await.unwrap();
        wanted.push(submit(&bench, &format!("rare {round}"), "http://h/x").await);
    }
    let rare = JobMatch {
        name: Some("rare".to_owned()),
        ..JobMatch::default()
    };
    let mut filter = JobFilter {
        limit: 2,
        ..JobFilter::default()
    };
    let (mut ids, mut pages) = (Vec::new(), 0);
    loop {
        let page = bench
            .store()
            .jobs_matching(filter.clone(), rare.clone())
            .await
            .unwrap();
        ids.extend(page.jobs.iter().map(|job| job.id));
        pages += 1;
        filter.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    wanted.reverse();
    assert_eq!(ids, wanted);
    assert_eq!(pages, 2, "two at most, then a bounded look at the rest");
    let nothing = JobMatch {
        name: Some("nowhere".to_owned()),
        ..JobMatch::default()
    };
    let page = bench
        .store()
        .jobs_matching(JobFilter::default(), nothing)
        .await
        .unwrap();
    assert!(
        page.jobs.is_empty() && page.next.is_some(),
        "no request looks through everything"
    );
}

#[tokio::test]
async fn deliveries_are_paged() {
    let bench = Bench::new(&[(EventKind::JobError, "a", Role::Decider)]).await;
    for _ in 0..5 {
        bench.failed().await;
    }
    for plugin in [None, Some("a".parse().unwrap())] {
        let mut filter = DeliveryFilter {
            plugin,
            limit: 2,
            ..DeliveryFilter::default()
        };
        let mut all = Vec::new();
        loop {
            let page = bench.store().deliveries(filter.clone()).await.unwrap();
            filter.before = page.last().map(|one| one.id);
            all.extend(page.iter().map(|one| one.seq));
            assert!(all.len() <= 5, "a page begins anew: {all:?}");
            if page.len() < 2 {
                break;
            }
        }
        let sorted = {
            let mut sorted = all.clone();
            sorted.sort_unstable();
            sorted.reverse();
            sorted
        };
        assert_eq!((all.len(), &all), (5, &sorted), "newest first, each once");
    }
}
