//! Builds the plugins that are inside the binary; `src/shipped.rs` embeds them.

#[path = "../plugins/build_guests.rs"]
mod build_guests;

use build_guests::Guest;

const SHIPPED: [Guest; 4] = [
    Guest {
        package: "sexton-demo-fault",
        artifact: "demo_fault",
        name: "demo-fault",
    },
    Guest {
        package: "sexton-journal",
        artifact: "journal",
        name: "journal",
    },
    Guest {
        package: "sexton-retry-advisor",
        artifact: "retry_advisor",
        name: "retry-advisor",
    },
    Guest {
        package: "sexton-webhook",
        artifact: "webhook",
        name: "webhook",
    },
];

fn main() {
    build_guests::rerun_if_changed(&["plugins"]);
    build_guests::build(&SHIPPED, &[]);
}
