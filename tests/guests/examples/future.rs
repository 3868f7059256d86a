//! Speaks a version of the package that no host speaks yet.

#[cfg(target_arch = "wasm32")]
mod guest {
    wit_bindgen::generate!({
        inline: r"
            package sexton:plugin@0.9.0;

            interface job-callback {
                job-error: func(what: string) -> result;
            }

            world tomorrow {
                export job-callback;
            }
        ",
    });

    struct Future;

    impl exports::sexton::plugin::job_callback::Guest for Future {
        fn job_error(_: String) -> Result<(), ()> {
            Ok(())
        }
    }

    export!(Future);
}
