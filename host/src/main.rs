//! The `sexton` program; everything is in the library, so that tests can run it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    sexton::app::main()
}
