//! Builds the guests of `tests/guests` and names their files to the suite: `env!("GUEST_MOODY")`.

#[path = "../plugins/build_guests.rs"]
mod build_guests;

use build_guests::Guest;

const fn example(artifact: &'static str, name: &'static str) -> Guest {
    Guest {
        package: "sexton-guests",
        artifact,
        name,
    }
}

const GUESTS: [Guest; 10] = [
    example("moody", "moody"),
    example("examples/minimal", "minimal"),
    example("examples/decider", "decider"),
    example("examples/start_trap", "start-trap"),
    example("examples/nothing", "nothing"),
    example("examples/future", "future"),
    example("examples/asker", "asker"),
    example("examples/worker", "worker"),
    example("examples/tables", "tables"),
    example("examples/sink", "sink"),
];

fn main() {
    // What of a dependency's dependencies counts: those of other systems may not even be there.
    println!(
        "cargo::rustc-env=SEXTON_TARGET={}",
        std::env::var("TARGET").unwrap_or_default()
    );
    build_guests::rerun_if_changed(&["plugins/sdk", "tests/guests"]);
    let paths = build_guests::build(&GUESTS, &["--lib", "--examples"]);
    for (guest, path) in GUESTS.iter().zip(paths) {
        let variable = guest.name.to_uppercase().replace('-', "_");
        println!("cargo::rustc-env=GUEST_{variable}={}", path.display());
    }
}
