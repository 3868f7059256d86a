//! The first breath of a command: this program, which becomes the command once it is told to. Until then
//! it can be registered with whoever ends it when the host dies, so that no command is ever without.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::job::Code;

/// The hidden command that [`launch`]es.
pub(super) const COMMAND: &str = "launch-command";

/// What it is told to go ahead with; what follows on its standard input is the command's.
pub(super) const GO: &[u8] = b"\n";

/// Becomes `argv` in `dir` once it is told to. Returns only when it cannot; why is written to `fault`,
/// because what the command itself prints must never be taken for it.
pub fn launch(fault: &Path, dir: &Path, input: bool, argv: &[String]) {
    let mut byte = [0];
    // Read past the buffer of the library, which would keep what is the command's.
    let told = std::io::stdin().as_fd().try_clone_to_owned().map(File::from);
    match told.and_then(|mut told| told.read(&mut byte)) {
        Ok(1) if byte == *GO => {}
        // The host has died meanwhile.
        _ => return,
    }
    let why = become_it(dir, input, argv);
    // Nobody is left who could be told that this failed too: the host then knows the exit status alone.
    let _ = std::fs::write(fault, why);
}

fn become_it(dir: &Path, input: bool, argv: &[String]) -> String {
    if let Err(why) = std::env::set_current_dir(dir) {
        return format!("it cannot start in {}: {why}", dir.display());
    }
    let Some((program, arguments)) = argv.split_first() else {
        return "the command has no program".to_owned();
    };
    let mut command = Command::new(program);
    command.args(arguments);
    if !input {
        command.stdin(Stdio::null());
    }
    let why = command.exec();
    let code = why.raw_os_error().map_or(Code::FAIL, Code::errno);
    format!("`{program}` cannot be run: {why} ({code})")
}
