//! The `sexton` program as the suite spawns it.

use std::process::ExitCode;

fn main() -> ExitCode {
    sexton::app::main()
}
