//! The benchmark suite: every budget of the design, measured beside its peers in the same run.
//!
//! `cargo bench -p sexton-tests` runs all of it; `-- p1 p3` picks; `-- --quick` makes everything
//! small, to see that it works; `-- --dir PATH` names the disk. The result is one Markdown table on
//! stdout; what happens meanwhile is told on stderr.

mod bare;
mod bench;
mod house;
mod instructions;
mod machine;
mod measure;
mod nginx;
mod p1_calls;
mod p2_jobs;
mod p4_beside;
mod p4_decision;
mod p5_large;
mod p6_small;
mod p7_scale;
mod p8_idle;
mod p9_kill;
mod process;
mod report;
mod room;

use std::process::ExitCode;

use bench::Bench;
use report::Report;

/// One benchmark: its id, what it measures, and how.
struct Budget {
    id: &'static str,
    title: &'static str,
    run: fn(&Bench) -> Report,
}

/// All of them, in the order of the table.
const BUDGETS: &[Budget] = &[
    Budget {
        id: "p1",
        title: "one callback into a fresh instance",
        run: p1_calls::run,
    },
    Budget {
        id: "p2",
        title: "durable jobs of nothing",
        run: p2_jobs::run,
    },
    Budget {
        id: "p3",
        title: "durable jobs with a handler",
        run: p2_jobs::with_handler,
    },
    Budget {
        id: "p4",
        title: "from an error to a durable decision",
        run: p4_decision::run,
    },
    Budget {
        id: "p4b",
        title: "the same beside a handler that misbehaves",
        run: p4_beside::run,
    },
    Budget {
        id: "p5",
        title: "one large file",
        run: p5_large::run,
    },
    Budget {
        id: "p6",
        title: "ten thousand small files",
        run: p6_small::run,
    },
    Budget {
        id: "p7",
        title: "a million jobs waiting and a million done",
        run: p7_scale::run,
    },
    Budget {
        id: "instructions",
        title: "what a call costs when no clock is asked",
        run: instructions::run,
    },
    Budget {
        id: "p8",
        title: "an idle host",
        run: p8_idle::run,
    },
    Budget {
        id: "p9",
        title: "`kill -9` in the middle of a download",
        run: p9_kill::run,
    },
];

fn main() -> ExitCode {
    if let Some(dir) = p7_scale::opened(std::env::args()) {
        p7_scale::serve(&dir);
        return ExitCode::SUCCESS;
    }
    if let Some(count) = instructions::asked_for(std::env::args()) {
        instructions::work(count);
        return ExitCode::SUCCESS;
    }
    let ids: Vec<&str> = BUDGETS.iter().map(|budget| budget.id).collect();
    let bench = match Bench::from_args(std::env::args().skip(1), &ids) {
        Ok(bench) => bench,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut table = report::Table::new(&bench);
    for budget in BUDGETS.iter().filter(|budget| bench.wants(budget.id)) {
        eprintln!("{}: {} …", budget.id, budget.title);
        let before = measure::syncs(bench.dir(), bench.pick(200, 20));
        let report = (budget.run)(&bench);
        let after = measure::syncs(bench.dir(), bench.pick(200, 20));
        table.add(budget.id, budget.title, report, &[before, after]);
    }
    println!("{table}");
    ExitCode::SUCCESS
}
