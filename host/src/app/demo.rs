//! `sexton demo`: a user of the product. It starts real hosts as child processes, speaks to them
//! over their sockets, sends them to a server that misbehaves, tells what happens, and holds that
//! against what is there at the end.

mod checks;
mod child;
mod fail_fast;
mod news;
mod place;
mod server;
mod tell;
mod tour;

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{CliError, Complaint, ExitStatus, Output, Tone};

use self::checks::Check;
use self::child::Host;
use self::place::{DECIDER, FAULTY, Place};
use self::server::Server;
use self::tell::Teller;

/// `demo [--stay]`. The directory is removed at the end, unless something was off.
pub(super) fn run(stay: bool, output: &mut Output<'_>) -> Result<ExitStatus, CliError> {
    let program = super::this_program()?;
    let place = Place::make()?;
    child::no_core_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut teller = Teller::new(output);
    let result = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let staying = tokio::select! {
            result = acts(&program, &place, stay, &mut teller) => result?,
            () = signals.any() => return Ok(End::Interrupted),
        };
        if let Some((host, _server)) = staying {
            signals.any().await;
            host.stop().await?;
        }
        Ok(End::Good)
    });
    match result {
        Ok(End::Good) => Ok(ExitStatus::Done),
        Ok(End::Interrupted) => Err(CliError::Failed(Complaint::new("the demo was interrupted"))),
        // Whoever reads the output has gone; there is nothing to look into.
        Err(CliError::Output(why)) if why.kind() == std::io::ErrorKind::BrokenPipe => Err(why.into()),
        Err(why) => Err(keep(place, &why)),
    }
}

/// How the demo ended.
enum End {
    Good,
    Interrupted,
}

/// What failed, with where to look.
fn keep(place: Place, why: &CliError) -> CliError {
    let dir = place.keep();
    let complaint = why.complaint();
    let hint = format!("configuration, store and logs are left in {}", dir.display());
    CliError::Failed(match &complaint.hint {
        Some(own) => complaint.clone().hint(format!("{own}; {hint}")),
        None => complaint.hint(hint),
    })
}

/// Everything in its order. With `stay` the host and the server are left for the user.
async fn acts(
    program: &Path,
    place: &Place,
    stay: bool,
    teller: &mut Teller<'_, '_>,
) -> Result<Option<(Host, Server)>, CliError> {
    let server = Server::start().await?;
    teller
        .text("Sexton: durable background work that calls your WASM handlers when it ends or goes wrong.")?;
    teller.text(&format!("directory  {}", place.path().display()))?;
    teller.text(&format!("host log   {}", place.tour().join("host.log").display()))?;
    let kept = if stay {
        "until Ctrl-C"
    } else {
        "until the end; `demo --stay` keeps it longer"
    };
    teller.text(&format!("           ({kept})"))?;

    teller.heading("1  A host, its handlers, and a server that misbehaves")?;
    let mut host = Host::spawn(program, &place.tour())?;
    host.ready().await?;
    teller.say(
        "server",
        Tone::Plain,
        format!("listens on http://{}", server.address),
    )?;
    let what = format!(
        "is ready (process {}): {DECIDER} decides, {FAULTY} only watches",
        host.pid()
    );
    teller.say("host", Tone::Plain, what)?;
    let seen = tour::take(&host.client, &server, place, teller).await?;

    teller.heading("2  A second host that dies with its handler: FailFast")?;
    let shown = fail_fast::show(program, &server, place, teller).await?;

    let checks = checks::all(&seen, &shown, &server, place);
    if stay {
        summary(&checks, teller)?;
        commands(program, &host, &server, place, teller)?;
        return Ok(Some((host, server)));
    }
    host.stop().await?;
    teller.say("host", Tone::Plain, "has drained and ended")?;
    summary(&checks, teller)?;
    Ok(None)
}

/// What was expected and what was seen.
fn summary(checks: &[Check], teller: &mut Teller<'_, '_>) -> Result<(), CliError> {
    let bad = checks.iter().filter(|check| !check.good).count();
    teller.heading("Summary")?;
    if teller.output().is_json() {
        checks
            .iter()
            .try_for_each(|check| teller.output().object(check))?;
    } else {
        teller.output().table(&checks::table(checks))?;
    }
    if bad > 0 {
        let what = format!("{bad} of {} checks failed", checks.len());
        return Err(CliError::Failed(
            Complaint::new(what).hint("see the lines marked NO above"),
        ));
    }
    let elapsed = teller.elapsed().as_secs_f64();
    teller.text(&format!("\nAll {} as expected, in {elapsed:.1} s.", checks.len()))
}

/// `--stay`: what to try.
fn commands(
    program: &Path,
    host: &Host,
    server: &Server,
    place: &Place,
    teller: &mut Teller<'_, '_>,
) -> Result<(), CliError> {
    let program = program.display();
    let url = |path| server.url(path);
    let local = |file| place.download(file).display().to_string();
    teller.heading("The host stays up; try, in another terminal")?;
    for line in [
        format!("export SEXTON_SOCKET={}", host.client.socket().display()),
        format!("{program} status"),
        format!("{program} job list"),
        format!(
            "{program} submit download {} {} --wait",
            url("/slow.bin"),
            local("again.bin")
        ),
        format!(
            "{program} submit download {} {}",
            url("/forbidden.bin"),
            local("never.bin")
        ),
        format!("{program} plugin list"),
        format!("{program} delivery list --state dead"),
        format!("{program} delivery replay --plugin {FAULTY}"),
        format!(
            "rm {}",
            place.tour().join(format!("plugins/{FAULTY}.wasm")).display()
        ),
        format!("tail -f {}", place.tour().join("host.log").display()),
    ] {
        teller.text(&format!("  {line}"))?;
    }
    teller.text("\nCtrl-C ends it and removes the directory.")
}

/// Whatever asks the demo to end; its hosts end with it.
struct Signals([tokio::signal::unix::Signal; 3]);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
