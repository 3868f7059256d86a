//! A second host, configured to take a failing handler literally: it dies with a report, and a
//! restart cannot loop.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::child::Host;
use super::news::last_words;
use super::place::Place;
use super::server::Server;
use super::tell::Teller;
use super::tour::{FORBIDDEN, deliveries, request};
use crate::api::view::{DeliveryId, DeliveryRecord, DeliveryState, JobView, PluginName};
use crate::cli::{CliError, Complaint, Tone};
use crate::job::FailureRecord;

/// How long a host may take to die, or to show that it lives.
const LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const STAYS: Duration = Duration::from_millis(700);
const SIGABRT: i32 = 6;

/// What the second host showed.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// How often it died of SIGABRT.
    pub(super) deaths: usize,
    /// Its reports.
    pub(super) reports: Vec<Report>,
    /// The delivery at the end.
    pub(super) delivery: Option<DeliveryRecord>,
    /// The job, as the last start found it.
    pub(super) job: Option<JobView>,
}

/// What a report says; fields it may have besides are not read.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Report {
    pub(super) delivery: Option<DeliveryId>,
    pub(super) plugin: Option<PluginName>,
    pub(super) failure: Option<FailureRecord>,
}

/// How a start went on.
enum Outcome {
    Died(std::process::ExitStatus),
    Parked(Box<DeliveryRecord>),
}

/// Lets it die, and starts it again until it stays.
pub(super) async fn show(
    program: &Path,
    server: &Server,
    place: &Place,
    teller: &mut Teller<'_, '_>,
) -> Result<Shown, CliError> {
    let dir = place.fail_fast();
    let mut shown = Shown::default();
    let mut host = Host::spawn(program, &dir)?;
    host.ready().await?;
    teller.say(
        "host 2",
        Tone::Plain,
        format!(
            "is ready (process {}); a download is submitted that gets 403",
            host.pid()
        ),
    )?;
    let mut job = request(FORBIDDEN, server, place);
    job.name = Some("doomed".to_owned());
    let id = host.client.submit(&job).await?.job.id;
    loop {
        match outcome(&mut host).await? {
            Outcome::Died(status) => {
                shown.deaths += usize::from(status.signal() == Some(SIGABRT));
                teller.say("host 2", Tone::Bad, format!("is dead: {status}"))?;
                tell_report(&dir, &mut shown, teller)?;
                if shown.reports.len() > 3 {
                    return Err(CliError::Failed(Complaint::new(
                        "the second host dies at every start",
                    )));
                }
                host = Host::spawn(program, &dir)?;
                teller.say(
                    "host 2",
                    Tone::Plain,
                    "is started again on the same store; the delivery is due again",
                )?;
            }
            Outcome::Parked(delivery) => {
                let job = host.client.job(id).await?;
                let what = format!(
                    "stays up (process {}): the delivery is parked as poison",
                    host.pid()
                );
                teller.say("host 2", Tone::Good, what)?;
                let error = job
                    .error
                    .as_ref()
                    .map_or(String::new(), |error| format!(" with {}", error.code));
                teller.say(
                    "doomed",
                    Tone::Plain,
                    format!("is still there, in {}{error}", job.state),
                )?;
                shown.delivery = Some(*delivery);
                shown.job = Some(job);
                break;
            }
        }
    }
    host.stop().await?;
    Ok(shown)
}

/// Waits until the host has died or has parked its delivery.
async fn outcome(host: &mut Host) -> Result<Outcome, CliError> {
    let looking = async {
        loop {
            if let Some(status) = host.ended(LOOK_EVERY).await? {
                return Ok(Outcome::Died(status));
            }
            // While it starts or dies, nobody answers.
            let known = deliveries(&host.client).await.unwrap_or_default();
            let parked = known
                .into_iter()
                .find(|known| known.state == DeliveryState::Poison);
            if let Some(delivery) = parked {
                // The parking is committed just before the process ends: only a host that is still
                // there a moment later has found it parked.
                return Ok(match host.ended(STAYS).await? {
                    Some(status) => Outcome::Died(status),
                    None => Outcome::Parked(Box::new(delivery)),
                });
            }
        }
    };
    match tokio::time::timeout(LIMIT, looking).await {
        Ok(outcome) => outcome,
        Err(_) => Err(CliError::Failed(Complaint::new(
            "the second host neither died nor parked its delivery",
        ))),
    }
}

/// Reads the newest report and tells it: the whole the first time, a line from then on.
fn tell_report(dir: &Path, shown: &mut Shown, teller: &mut Teller<'_, '_>) -> Result<(), CliError> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir.join("reports"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let missing = || CliError::Failed(Complaint::new("the second host died without a report"));
    let path = paths.get(shown.reports.len()).ok_or_else(missing)?;
    let report: Report = serde_json::from_slice(&std::fs::read(path)?).map_err(std::io::Error::other)?;
    let plugin = report.plugin.as_ref().map_or("?", PluginName::as_str);
    let failure = report.failure.as_ref();
    if shown.reports.is_empty() {
        let delivery = report.delivery.map_or("?".to_owned(), |id| id.to_string());
        let told = [
            ("report", path.display().to_string()),
            ("plugin", plugin.to_owned()),
            ("delivery", delivery),
            (
                "class",
                failure.map_or(String::new(), |failure| failure.class.to_string()),
            ),
            (
                "code",
                failure.map_or(String::new(), |failure| failure.code.to_string()),
            ),
            ("last words", failure.and_then(last_words).unwrap_or_default()),
        ];
        for (label, value) in told {
            teller.detail(label, &value)?;
        }
    } else {
        teller.detail("report", &path.display().to_string())?;
    }
    shown.reports.push(report);
    Ok(())
}
