//! The plugins inside the binary: `sexton plugin add NAME` writes one into the plugin folder and
//! prints what to add to the configuration.

/// One shipped plugin.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// What it is called: the stem of its file and its `[plugin.NAME]` table.
    pub name: &'static str,
    /// The component.
    pub wasm: &'static [u8],
    /// One line about it.
    pub description: &'static str,
    /// The configuration to add, ready to paste.
    pub config: &'static str,
}

macro_rules! shipped {
    ($name:literal, $description:literal) => {
        Shipped {
            name: $name,
            wasm: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")),
            description: $description,
            config: include_str!(concat!("../../plugins/", $name, "/config.toml")),
        }
    };
}

/// Every shipped plugin, by name.
pub const ALL: [Shipped; 3] = [
    shipped!(
        "journal",
        "appends one JSON line per event to a file in a granted directory"
    ),
    shipped!(
        "retry-advisor",
        "decides about failed transfers by their error: resume, cancel, complete"
    ),
    shipped!("webhook", "posts events as JSON to a URL"),
];

/// The handler that fails on purpose. `sexton demo` uses it; it is not offered to anybody.
pub const DEMO_FAULT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/demo-fault.wasm"));

/// The shipped plugin of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Shipped> {
    const SHIPPED: &[Shipped] = &ALL;
    SHIPPED.iter().find(|shipped| shipped.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{EventKind, Interface};
    use wasmtime::component::Component;
    use wasmtime::{Config, Engine, Strategy};

    /// What a component exports, without compiling more of it than its types ask for.
    fn exports(wasm: &[u8]) -> Vec<String> {
        let mut config = Config::new();
        config.strategy(Strategy::Cranelift);
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, wasm).unwrap();
        let names = component.component_type();
        names.exports(&engine).map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn shipped_components_export_what_their_configuration_subscribes_to() {
        for shipped in ALL {
            let config: toml::Table = shipped.config.parse().unwrap();
            assert!(config["plugin"].as_table().unwrap().contains_key(shipped.name));
            let exports = exports(shipped.wasm);
            for subscription in config["subscribe"].as_array().unwrap() {
                assert_eq!(subscription["plugin"].as_str(), Some(shipped.name));
                for event in subscription["events"].as_array().unwrap() {
                    let event: EventKind = event.as_str().unwrap().parse().unwrap();
                    let wanted = format!("sexton:plugin/{}@0.1.0", event.interface().as_str());
                    assert!(
                        exports.contains(&wanted),
                        "{}: {wanted} not in {exports:?}",
                        shipped.name
                    );
                }
            }
        }
    }

    #[test]
    fn the_advisor_exports_nothing_it_does_not_need() {
        let advisor = find("retry-advisor").unwrap();
        let wanted = format!("sexton:plugin/{}@0.1.0", Interface::JobCallback.as_str());
        assert_eq!(exports(advisor.wasm), [wanted]);
        assert!(find("no-such-plugin").is_none());
    }
}
