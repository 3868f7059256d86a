//! The tour: downloads are submitted to a running host, and what becomes of them is told live.
//!
//! Each job is followed by a watch of its own, deliveries are asked for in turns; [`super::news`]
//! finds what is new in either.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::news::News;
use super::place::{LATE, Place};
use super::server::Server;
use super::tell::{Happening, Teller};
use crate::api::client::{Client, ClientError};
use crate::api::request::{DeliveryQuery, FileRequest, SubmitRequest};
use crate::api::view::{DeliveryRecord, JobId, JobView};
use crate::cli::{CliError, Complaint, Tone};
use crate::job::{JobKind, Timestamp};

/// The whole tour; on a quiet machine it takes a third of that.
const TOUR_MAX: Duration = Duration::from_secs(25);
/// How often deliveries are asked for.
const ASK_EVERY: Duration = Duration::from_millis(60);
/// Between submissions, so that a person can follow.
const SUBMIT_EVERY: Duration = Duration::from_millis(400);
/// Jobs that change at the same time.
const CHANGES_MAX: usize = 64;

/// One download of the tour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// What is asked of the server; the last part is the name of the file.
    pub(super) files: &'static [&'static str],
    about: &'static str,
}

const fn scenario(name: &'static str, files: &'static [&'static str], about: &'static str) -> Scenario {
    Scenario { name, files, about }
}

pub(super) const SLOW: Scenario = scenario("slow", &["/slow.bin"], "a slow server");
pub(super) const FORBIDDEN: Scenario = scenario("forbidden", &["/forbidden.bin"], "the server answers 403");
pub(super) const BUSY: Scenario = scenario("busy", &["/busy.bin"], "503 with Retry-After: 1, then 200");
pub(super) const CUT: Scenario = scenario("cut", &["/cut.bin"], "the connection is cut after 4 of 6 MiB");
pub(super) const PARTS: Scenario = scenario(
    "parts",
    &["/part-1.bin", "/part-2.bin", "/part-3.bin"],
    "three files, the last of which is missing",
);
pub(super) const LOCKED: Scenario = scenario("locked", &["/locked.bin"], "401, unlocked a moment later");
/// Submitted once the late handler serves.
pub(super) const LATER: Scenario = scenario("later", &["/later.bin"], "a job for the handler that came late");

const FIRST: [Scenario; 6] = [SLOW, FORBIDDEN, BUSY, CUT, PARTS, LOCKED];

/// What the tour saw.
pub(super) struct Seen {
    jobs: Vec<(Scenario, JobView)>,
    /// Every delivery, oldest first.
    pub(super) deliveries: Vec<DeliveryRecord>,
    /// Deliveries that had waited for the late handler.
    pub(super) waited: usize,
}

impl Seen {
    /// A job as it ended.
    pub(super) fn job(&self, scenario: Scenario) -> Option<&JobView> {
        let mut jobs = self.jobs.iter();
        jobs.find(|(known, _)| known.name == scenario.name)
            .map(|(_, job)| job)
    }

    /// How many jobs there were.
    pub(super) fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// A plugin's deliveries.
    pub(super) fn of(&self, plugin: &str) -> Vec<&DeliveryRecord> {
        let all = self.deliveries.iter();
        all.filter(|delivery| delivery.plugin.as_str() == plugin)
            .collect()
    }
}

/// A tour under way.
struct Tour<'a> {
    client: &'a Client,
    server: &'a Server,
    place: &'a Place,
    news: News,
    jobs: Vec<(Scenario, JobId, Option<JobView>)>,
    watches: JoinSet<()>,
    sender: mpsc::Sender<(JobId, JobView)>,
    late: Late,
}

/// The handler that comes while the host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    Absent,
    Dropped,
    Serving { waited: usize },
}

/// Takes the tour.
pub(super) async fn take(
    client: &Client,
    server: &Server,
    place: &Place,
    teller: &mut Teller<'_, '_>,
) -> Result<Seen, CliError> {
    let (sender, changes) = mpsc::channel(CHANGES_MAX);
    let mut tour = Tour {
        client,
        server,
        place,
        news: News::default(),
        jobs: Vec::new(),
        watches: JoinSet::new(),
        sender,
        late: Late::Absent,
    };
    let ended = tokio::time::timeout(TOUR_MAX, tour.follow(changes, teller)).await;
    teller.flush()?;
    ended.unwrap_or_else(|_| Err(tour.stuck()))
}

impl Tour<'_> {
    async fn follow(
        &mut self,
        mut changes: mpsc::Receiver<(JobId, JobView)>,
        teller: &mut Teller<'_, '_>,
    ) -> Result<Seen, CliError> {
        let mut first = FIRST.iter();
        let mut submit = tokio::time::interval(SUBMIT_EVERY);
        let mut ask = tokio::time::interval(ASK_EVERY);
        loop {
            tokio::select! {
                Some((id, job)) = changes.recv() => self.changed(id, job, teller),
                _ = submit.tick() => match first.next() {
                    Some(scenario) => self.submit(*scenario, teller).await?,
                    None if self.late == Late::Absent => self.drop_late(teller)?,
                    None => {}
                },
                _ = ask.tick() => {
                    self.look_for_late(teller).await?;
                    let all_ended = self.all_ended();
                    let deliveries = self.deliveries(teller).await?;
                    if all_ended && deliveries.iter().all(|delivery| delivery.state.is_over()) {
                        return Ok(self.seen(deliveries));
                    }
                    teller.tick()?;
                }
            }
        }
    }

    async fn submit(&mut self, scenario: Scenario, teller: &mut Teller<'_, '_>) -> Result<(), CliError> {
        let request = request(scenario, self.server, self.place);
        let job = self.client.submit(&request).await?.job;
        let at = job.created;
        teller.hold(Happening::new(
            at,
            scenario.name,
            Tone::Plain,
            format!("submitted: {}", scenario.about),
        ));
        self.jobs.push((scenario, job.id, None));
        let (client, sender) = (self.client.clone(), self.sender.clone());
        self.watches.spawn(async move {
            // A watch that breaks is noticed by what it does not tell: the tour has a limit.
            let _ = watch(client, job.id, sender).await;
        });
        Ok(())
    }

    fn changed(&mut self, id: JobId, job: JobView, teller: &mut Teller<'_, '_>) {
        let Some((scenario, _, last)) = self.jobs.iter_mut().find(|(_, known, _)| *known == id) else {
            return;
        };
        for happening in self.news.of_job(scenario.name, last.as_ref(), &job) {
            teller.hold(happening);
        }
        if job.state.is_final()
            && let Some(account) = account(*scenario, self.server)
        {
            teller.hold(Happening::new(job.modified, "server", Tone::Dim, account));
        }
        *last = Some(job);
    }

    async fn deliveries(&mut self, teller: &mut Teller<'_, '_>) -> Result<Vec<DeliveryRecord>, CliError> {
        let deliveries = deliveries(self.client).await?;
        for delivery in &deliveries {
            let Some(news) = self.news.of_delivery(delivery) else {
                continue;
            };
            let name = self.name_of(delivery.job);
            // What a handler decided shows in its job: both are one commit.
            let job = self.client.job(delivery.job).await?;
            for happening in news.told(name, delivery, &job) {
                teller.hold(happening);
            }
        }
        Ok(deliveries)
    }

    fn drop_late(&mut self, teller: &mut Teller<'_, '_>) -> Result<(), CliError> {
        self.place.drop_late()?;
        self.late = Late::Dropped;
        let what = format!("{LATE}.wasm is dropped into the plugin folder while the host works");
        teller.hold(Happening::new(teller.now(), "host", Tone::Active, what));
        Ok(())
    }

    async fn look_for_late(&mut self, teller: &mut Teller<'_, '_>) -> Result<(), CliError> {
        if self.late != Late::Dropped {
            return Ok(());
        }
        let plugins = self.client.plugins().await?.plugins;
        if plugins
            .iter()
            .any(|plugin| plugin.name.as_str() == LATE && plugin.serving)
        {
            let at = teller.now();
            let known = deliveries(self.client).await?;
            let its: Vec<_> = known
                .iter()
                .filter(|known| known.plugin.as_str() == LATE)
                .collect();
            // It may have served for a moment before it was asked for: told before its first call.
            let first_call = its.iter().filter_map(|known| known.ended).min();
            let at = first_call.map_or(at, |first| at.min(Timestamp::from_millis(first.as_millis() - 1)));
            let waited = its.iter().filter(|known| known.created < at).count();
            self.late = Late::Serving { waited };
            let what = format!("{LATE} serves; {waited} deliveries had waited for it");
            teller.hold(Happening::new(at, "host", Tone::Active, what));
            self.submit(LATER, teller).await?;
        }
        Ok(())
    }

    fn all_ended(&self) -> bool {
        let ended = |job: &Option<JobView>| job.as_ref().is_some_and(|job| job.state.is_final());
        matches!(self.late, Late::Serving { .. }) && self.jobs.iter().all(|(_, _, job)| ended(job))
    }

    fn name_of(&self, id: JobId) -> &'static str {
        let known = self.jobs.iter().find(|(_, known, _)| *known == id);
        known.map_or("?", |(scenario, ..)| scenario.name)
    }

    fn seen(&self, deliveries: Vec<DeliveryRecord>) -> Seen {
        let jobs = self.jobs.iter();
        Seen {
            jobs: jobs
                .filter_map(|(scenario, _, job)| Some((*scenario, job.clone()?)))
                .collect(),
            deliveries,
            waited: match self.late {
                Late::Serving { waited } => waited,
                Late::Absent | Late::Dropped => 0,
            },
        }
    }

    /// The tour took too long: what it still waited for.
    fn stuck(&self) -> CliError {
        let open = self.jobs.iter().filter_map(|(scenario, _, job)| match job {
            Some(job) if job.state.is_final() => None,
            Some(job) => Some(format!("{} is {}", scenario.name, job.state)),
            None => Some(format!("{} was never heard of", scenario.name)),
        });
        let mut open: Vec<String> = open.collect();
        if !matches!(self.late, Late::Serving { .. }) {
            open.push(format!("{LATE} does not serve"));
        }
        if open.is_empty() {
            open.push("deliveries are not over".to_owned());
        }
        let what = format!("the tour was not over after {} s", TOUR_MAX.as_secs());
        CliError::Failed(Complaint::new(what).cause(open.join(", ")))
    }
}

/// What the server says of a file that it was asked for more than once.
fn account(scenario: Scenario, server: &Server) -> Option<String> {
    let [path] = scenario.files else { return None };
    let seen = server.seen(path);
    let answers = seen.iter().map(|seen| match seen.from {
        Some(from) if seen.if_range => {
            format!("{} from byte {from} (If-Range), {} bytes", seen.status, seen.sent)
        }
        _ => format!("{}, {} bytes", seen.status, seen.sent),
    });
    let answers: Vec<String> = answers.collect();
    (answers.len() > 1).then(|| format!("was asked for {path}: {}", answers.join("; then ")))
}

/// Passes on every change of a job until it is final.
async fn watch(client: Client, id: JobId, sender: mpsc::Sender<(JobId, JobView)>) -> Result<(), ClientError> {
    let mut watch = client.watch(id).await?;
    while let Some(job) = watch.next().await? {
        if sender.send((id, job)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Every delivery of the host, oldest first.
pub(super) async fn deliveries(client: &Client) -> Result<Vec<DeliveryRecord>, CliError> {
    let query = DeliveryQuery {
        limit: Some(1_000),
        ..DeliveryQuery::default()
    };
    let mut deliveries = client.deliveries(&query).await?.deliveries;
    deliveries.sort_by_key(|delivery| delivery.seq);
    Ok(deliveries)
}

/// A download as it is submitted: as from the command line, with a shorter delay between retries.
pub(super) fn request(scenario: Scenario, server: &Server, place: &Place) -> SubmitRequest {
    let files = scenario.files.iter().map(|path| {
        FileRequest::new(
            server.url(path),
            local(scenario, path, place).display().to_string(),
        )
    });
    SubmitRequest {
        name: Some(scenario.name.to_owned()),
        description: scenario.about.to_owned(),
        retry_delay_ms: Some(1_000),
        ..SubmitRequest::new(JobKind::Download, files.collect())
    }
}

/// Where a file of a scenario goes.
pub(super) fn local(scenario: Scenario, path: &str, place: &Place) -> std::path::PathBuf {
    place.download(&format!("{}-{}", scenario.name, path.trim_start_matches('/')))
}
