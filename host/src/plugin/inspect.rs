//! What a file is, and what a component asks for and offers, by name: before anything is linked or
//! run, because names make better sentences than linker errors (HV-01).

use std::collections::BTreeSet;

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex};

use super::Function;
use super::refusal::Refusal;
use super::settings::Settings;
use super::text::{Lines, escape};
use crate::job::{EventKind, Interface};

const MAGIC: &[u8] = b"\0asm";
/// Version and layer of a core module and of a component.
const MODULE: &[u8] = &[1, 0, 0, 0];
const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
/// Names shown in a sentence.
const NAMES_SHOWN: usize = 8;
/// Longest name shown.
const NAME_MAX: usize = 120;
/// Packages of WASI 0.2 that every component may import (HB-07).
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
/// What `sexton:plugin` offers to import.
const SERVICES: [&str; 5] = ["types", "job-control", "state", "config", "log"];

/// Says what the bytes are, without running a compiler.
///
/// # Errors
/// The [`Refusal`] that fits, unless they look like a whole component.
pub(super) fn triage(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::Empty);
    }
    if Engine::detect_precompiled(bytes).is_some() {
        return Err(Refusal::Precompiled);
    }
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let partial = MAGIC.starts_with(bytes);
        return Err(match std::str::from_utf8(bytes) {
            _ if partial => Refusal::Truncated,
            Ok(text) if !text.contains('\0') => Refusal::Text,
            _ => Refusal::NotWasm,
        });
    };
    if rest.starts_with(MODULE) {
        return Err(Refusal::Module);
    }
    match rest.strip_prefix(COMPONENT) {
        Some(sections) => whole(sections),
        None if rest.len() < COMPONENT.len() => Err(Refusal::Truncated),
        None => Err(Refusal::NotWasm),
    }
}

/// Walks the sections: a file that is still being copied ends inside one.
fn whole(mut rest: &[u8]) -> Result<(), Refusal> {
    while let Some((_id, after)) = rest.split_first() {
        let (size, body) = leb128(after).ok_or(Refusal::Truncated)?;
        rest = body.get(size..).ok_or(Refusal::Truncated)?;
    }
    Ok(())
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_usize;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= usize::from(byte & 0x7f).checked_shl(u32::try_from(at).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.split_at(at + 1).1));
        }
    }
    None
}

/// A name such as `sexton:plugin/job-callback@0.1.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name<'a> {
    package: &'a str,
    interface: &'a str,
    version: Option<(u64, u64)>,
}

impl<'a> Name<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let (path, version) = match name.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (name, None),
        };
        let (package, interface) = path.split_once('/')?;
        let mut numbers = version.unwrap_or("").split('.').map(str::parse);
        let version = match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some((major, minor)),
            _ => None,
        };
        Some(Self {
            package,
            interface,
            version,
        })
    }

    fn is_ours(&self) -> bool {
        self.package == "sexton:plugin"
    }

    /// `x` within 0.1.x is compatible both ways (HV-02).
    fn is_spoken(&self) -> bool {
        self.version == Some((0, 1))
    }

    fn is_newer(&self) -> bool {
        self.version.is_some_and(|version| version > (0, 1))
    }
}

/// What a component offers and asks for.
#[derive(Clone)]
pub(super) struct Surface {
    /// Every handler function found, with where it is.
    pub(super) handlers: Vec<(Function, ComponentExportIndex)>,
    /// The handler interfaces.
    pub(super) interfaces: BTreeSet<Interface>,
    http: Option<String>,
    job_control: Option<String>,
}

impl Surface {
    /// Reads the names of `component`.
    ///
    /// # Errors
    /// A [`Refusal`] when nothing can be called, or something is imported that does not exist.
    pub(super) fn of(component: &Component) -> Result<Self, Refusal> {
        let mut surface = Self {
            handlers: Vec::new(),
            interfaces: BTreeSet::new(),
            http: None,
            job_control: None,
        };
        surface.read_exports(component)?;
        surface.read_imports(component)?;
        Ok(surface)
    }

    fn read_exports(&mut self, component: &Component) -> Result<(), Refusal> {
        let ty = component.component_type();
        let mut found = Vec::new();
        for (name, _item) in ty.exports(component.engine()) {
            found.push(name.to_owned());
            let Some(parsed) = Name::parse(name).filter(Name::is_ours) else {
                // Languages export things of their own (HV-01).
                continue;
            };
            if !parsed.is_spoken() {
                return Err(Refusal::Version {
                    verb: "exports",
                    found: shown(name),
                    newer: parsed.is_newer(),
                });
            }
            if let Ok(interface) = parsed.interface.parse::<Interface>() {
                self.read_handlers(component, name, interface);
            }
        }
        if self.handlers.is_empty() {
            return Err(Refusal::NoHandler { found: names(&found) });
        }
        Ok(())
    }

    /// Functions are looked up one by one, so that one more in a later 0.1.x breaks nobody (HB-03).
    fn read_handlers(&mut self, component: &Component, export: &str, interface: Interface) {
        let Some(instance) = component.get_export_index(None, export) else {
            return;
        };
        for (function, name) in functions(interface) {
            if let Some(index) = component.get_export_index(Some(&instance), name) {
                self.handlers.push((function, index));
                self.interfaces.insert(interface);
            }
        }
    }

    fn read_imports(&mut self, component: &Component) -> Result<(), Refusal> {
        let ty = component.component_type();
        for (name, item) in ty.imports(component.engine()) {
            let unknown = || Refusal::UnknownImport { import: shown(name) };
            let parsed = Name::parse(name).ok_or_else(unknown)?;
            if !matches!(item.ty, ComponentItem::ComponentInstance(_)) {
                return Err(unknown());
            }
            if parsed.is_ours() {
                self.read_service(name, parsed)?;
                continue;
            }
            match parsed.package.strip_prefix("wasi:") {
                Some(_) if parsed.version != Some((0, 2)) => return Err(unknown()),
                Some("http") => self.http = Some(shown(name)),
                Some(package) if WASI.contains(&package) => {}
                _ => return Err(unknown()),
            }
        }
        Ok(())
    }

    fn read_service(&mut self, name: &str, parsed: Name<'_>) -> Result<(), Refusal> {
        if !parsed.is_spoken() {
            return Err(Refusal::Version {
                verb: "imports",
                found: shown(name),
                newer: parsed.is_newer(),
            });
        }
        if !SERVICES.contains(&parsed.interface) {
            return Err(Refusal::UnknownImport { import: shown(name) });
        }
        if parsed.interface == "job-control" {
            self.job_control = Some(shown(name));
        }
        Ok(())
    }

    /// Checks what it asks for against what the operator granted.
    ///
    /// # Errors
    /// A [`Refusal`] that names the import and the line to add.
    pub(super) fn check_grants(&self, settings: &Settings) -> Result<(), Refusal> {
        if let (Some(import), true) = (&self.http, settings.http.is_empty()) {
            return Err(Refusal::HttpNotGranted {
                import: import.clone(),
            });
        }
        if let (Some(import), false) = (&self.job_control, settings.job_control) {
            return Err(Refusal::JobControlNotGranted {
                import: import.clone(),
            });
        }
        Ok(())
    }

    /// Where `function` is, if it is there.
    pub(super) fn handler(&self, function: Function) -> Option<&ComponentExportIndex> {
        let mut handlers = self.handlers.iter();
        handlers.find_map(|(known, index)| (*known == function).then_some(index))
    }

    /// Whether `function` is there.
    pub(super) fn has(&self, function: Function) -> bool {
        self.handler(function).is_some()
    }

    /// The work of jobs that it does.
    pub(super) fn work(&self) -> BTreeSet<Interface> {
        let work = [Interface::ServiceCall, Interface::Provider];
        work.into_iter()
            .filter(|one| self.interfaces.contains(one))
            .collect()
    }

    /// The events it has a function for.
    pub(super) fn events(&self) -> BTreeSet<EventKind> {
        self.handlers
            .iter()
            .filter_map(|(function, _)| match function {
                Function::Event(kind) => Some(*kind),
                Function::OnCall | Function::Fetch => None,
            })
            .collect()
    }
}

/// The functions of an interface.
fn functions(interface: Interface) -> Vec<(Function, &'static str)> {
    let functions = match interface {
        Interface::ServiceCall => vec![Function::OnCall],
        Interface::Provider => vec![Function::Fetch],
        _ => EventKind::ALL
            .iter()
            .filter(|kind| kind.interface() == interface)
            .map(|kind| Function::Event(*kind))
            .collect(),
    };
    functions
        .into_iter()
        .map(|function| (function, function.name()))
        .collect()
}

fn shown(name: &str) -> String {
    escape(name, Lines::Join, NAME_MAX)
}

fn names(found: &[String]) -> String {
    if found.is_empty() {
        return "nothing".to_owned();
    }
    let list: Vec<_> = found
        .iter()
        .take(NAMES_SHOWN)
        .map(|name| format!("`{}`", shown(name)))
        .collect();
    let more = match found.len().saturating_sub(NAMES_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        triage(bytes).unwrap_err().to_string()
    }

    #[test]
    fn hv03_every_wrong_file_is_told_what_it_is() {
        assert!(refused(b"").contains("empty"));
        assert!(refused(b"(component)").contains("text"));
        assert!(refused(b"#!/bin/sh\n").contains("text"));
        assert!(refused(b"\x7fELF\0\0\0").contains("not WebAssembly"));
        assert!(refused(b"\0asm\x01\0\0\0").contains("core module"));
        assert!(refused(b"\0asm\x01\0\0\0").contains("wasm32-wasip2"));
        assert!(refused(b"\0as").contains("ends in the middle"));
        assert!(refused(b"\0asm\x0d\0").contains("ends in the middle"));
        assert!(refused(b"\0asm\x0d\0\x01\0\x00\x7fabc").contains("ends in the middle"));
        assert!(refused(b"\0asm\x63\0\0\0").contains("not WebAssembly"));
        assert_eq!(triage(b"\0asm\x0d\0\x01\0\x00\x03abc"), Ok(()));
    }

    #[test]
    fn hh03_a_prefix_looks_whole_only_where_a_section_ends() {
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        let mut ends = vec![bytes.len()];
        for (size, length) in [(0_u8, 0_usize), (1, 1), (127, 127)] {
            bytes.extend_from_slice(&[0, size]);
            bytes.extend(std::iter::repeat_n(b'x', length));
            ends.push(bytes.len());
        }
        bytes.extend_from_slice(&[1, 0x80, 2]);
        bytes.extend([7; 256]);
        ends.push(bytes.len());
        for length in 0..=bytes.len() {
            let looks_whole = triage(&bytes[..length]).is_ok();
            assert_eq!(looks_whole, ends.contains(&length), "{length}");
        }
    }

    #[test]
    fn hh03_every_prefix_of_a_good_component_is_told_to_be_one() {
        let good: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/demo-fault.wasm"));
        assert_eq!(triage(good), Ok(()));
        for length in 1..good.len() {
            if let Err(refusal) = triage(&good[..length]) {
                assert_eq!(refusal, Refusal::Truncated, "{length}");
            }
        }
    }

    #[test]
    fn names_are_parsed_into_package_interface_and_version() {
        let name = Name::parse("sexton:plugin/job-callback@0.1.7").unwrap();
        assert!(name.is_ours() && name.is_spoken() && !name.is_newer());
        let newer = Name::parse("sexton:plugin/job-callback@0.2.0-rc1").unwrap();
        assert!(!newer.is_spoken() && newer.is_newer());
        assert!(!Name::parse("sexton:plugin/log").unwrap().is_spoken());
        assert_eq!(Name::parse("run"), None);
    }

    #[test]
    fn every_handler_function_belongs_to_one_interface() {
        let all: usize = Interface::ALL.iter().map(|i| functions(*i).len()).sum();
        assert_eq!(all, EventKind::ALL.len() + 2);
    }
}
