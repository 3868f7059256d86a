//! Files that are almost components: generated ones, and good ones with something done to them.

use arbitrary::{Result, Unstructured};
use sexton_tests::guests;
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CodeSection, Component, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentInstanceSection, ComponentSectionId, ComponentTypeSection, ExportKind,
    ExportSection, Function, FunctionSection, InstanceSection, ModuleArg, RawSection, TypeSection,
};
use wasm_smith::Config;

/// Bytes that one seed turns into.
const ENTROPY: usize = 6 << 10;
/// Changes made to one good component.
const CHANGES_MAX: u8 = 4;
/// Bytes moved, doubled or overwritten at once.
const RUN_MAX: usize = 64;

/// How a file came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// A component of wasm-smith: valid, with nothing in it that a host would call.
    Smith,
    /// A core module of wasm-smith, dressed as a handler: its start function runs.
    Dressed,
    /// A good component with some bytes changed.
    Changed,
    /// A good component that ends early, or has the end of another.
    Cut,
    /// Only the first bytes are right.
    Noise,
}

/// Everything a seed decides.
pub(super) fn entropy(seed: u64) -> Vec<u8> {
    let mut state = seed;
    (0..ENTROPY / 8)
        .flat_map(|_| splitmix(&mut state).to_le_bytes())
        .collect()
}

/// One step of splitmix64, which turns any seed, also a small one, into well-spread bits.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The good components that are changed.
pub(super) struct Good(Vec<Vec<u8>>);

impl Good {
    pub(super) fn read() -> Self {
        let paths = [
            guests::MINIMAL,
            guests::START_TRAP,
            guests::NOTHING,
            guests::FUTURE,
        ];
        Self(paths.map(guests::bytes).into())
    }

    /// The file that `u` leads to.
    pub(super) fn file(&self, u: &mut Unstructured<'_>) -> Result<(Origin, Vec<u8>)> {
        Ok(match u.int_in_range(0..=9)? {
            0..=2 => (
                Origin::Smith,
                wasm_smith::Component::new(config(u)?, u)?.to_bytes(),
            ),
            3..=5 => (Origin::Dressed, dressed(u)?),
            6 | 7 => (Origin::Changed, self.changed(u)?),
            8 => (Origin::Cut, self.cut(u)?),
            _ => (Origin::Noise, noise(u)?),
        })
    }

    fn changed(&self, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let mut bytes = u.choose(&self.0)?.clone();
        for _ in 0..u.int_in_range(0..=CHANGES_MAX)? {
            change(&mut bytes, u)?;
        }
        Ok(bytes)
    }

    fn cut(&self, u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
        let mut head = u.choose(&self.0)?.clone();
        head.truncate(u.choose_index(head.len())?);
        if u.ratio(2, 3)? {
            let tail = u.choose(&self.0)?;
            head.extend_from_slice(&tail[u.choose_index(tail.len())?..]);
        }
        Ok(head)
    }
}

fn change(bytes: &mut Vec<u8>, u: &mut Unstructured<'_>) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let at = u.choose_index(bytes.len())?;
    let run = u.int_in_range(1..=RUN_MAX)?.min(bytes.len() - at);
    match u.int_in_range(0..=11)? {
        0..=4 => bytes[at] ^= 1 << u.int_in_range(0..=7)?,
        5 | 6 => bytes[at] = *u.choose(&[0, 1, 0x7f, 0x80, 0xff])?,
        7 | 8 => u.fill_buffer(&mut bytes[at..at + run])?,
        // The rest moves what follows, so that few of them get beyond the sections' lengths.
        9 => drop(bytes.drain(at..at + run)),
        10 => {
            let copy = bytes[at..at + run].to_vec();
            let to = u.choose_index(bytes.len())?;
            bytes.splice(to..to, copy);
        }
        _ => {
            let new = u.bytes(run.min(u.len()))?.to_vec();
            bytes.splice(at..at, new);
        }
    }
    Ok(())
}

/// The head of a component, module or nothing, then whatever comes.
fn noise(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let heads: [&[u8]; 4] = [b"", b"\0asm", b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0"];
    let mut bytes = u.choose(&heads)?.to_vec();
    let size = u.arbitrary_len::<u8>()?;
    bytes.extend_from_slice(u.bytes(size)?);
    Ok(bytes)
}

/// What this host's engine speaks, and now and then something that it does not.
fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    let strange = u.ratio(1, 4)?;
    let mut sometimes = || Ok(strange && u.ratio(1, 4)?);
    Ok(Config {
        allow_invalid_funcs: sometimes()?,
        exceptions_enabled: sometimes()?,
        gc_enabled: sometimes()?,
        memory64_enabled: sometimes()?,
        reference_types_enabled: sometimes()?,
        relaxed_simd_enabled: sometimes()?,
        threads_enabled: sometimes()?,
        max_imports: 0,
        max_tables: 4,
        max_memories: if sometimes()? { 6 } else { 1 },
        // Most fit into a slot of the pool; the rest must be told that they do not.
        max_memory32_bytes: if strange { 1 << 32 } else { 1 << 20 },
        max_table_elements: if sometimes()? { 1_000_000 } else { 1_000 },
        ..Config::default()
    })
}

/// A module with `run: func()`, lifted as `job-error` of an instance called `job-callback`.
fn dressed(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let config = Config {
        exports: Some(shape()),
        ..config(u)?
    };
    let module = wasm_smith::Module::new(config, u)?.to_bytes();
    let mut component = Component::new();
    component.section(&RawSection {
        id: ComponentSectionId::CoreModule.into(),
        data: &module,
    });
    let mut instances = InstanceSection::new();
    instances.instantiate(0, Vec::<(&str, ModuleArg)>::new());
    component.section(&instances);
    let mut aliases = ComponentAliasSection::new();
    aliases.alias(Alias::CoreInstanceExport {
        instance: 0,
        kind: ExportKind::Func,
        name: "run",
    });
    component.section(&aliases);
    let mut types = ComponentTypeSection::new();
    types
        .function()
        .params(Vec::<(&str, wasm_encoder::ComponentValType)>::new())
        .result(None);
    component.section(&types);
    let mut lifts = CanonicalFunctionSection::new();
    lifts.lift(0, 0, []);
    component.section(&lifts);
    let mut handlers = ComponentInstanceSection::new();
    let function = *u.choose(&["job-error", "on-ended", "no-such-function"])?;
    handlers.export_items([(function, ComponentExportKind::Func, 0)]);
    component.section(&handlers);
    let mut exports = ComponentExportSection::new();
    let interface = *u.choose(&[
        "sexton:plugin/job-callback@0.1.0",
        "sexton:plugin/job-end@0.1.0",
        "sexton:plugin/job-callback@0.2.0",
        "other:package/job-callback@0.1.0",
    ])?;
    exports.export(interface, ComponentExportKind::Instance, 0, None);
    component.section(&exports);
    Ok(component.finish())
}

/// A module that exports `run: func()`.
fn shape() -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    module.section(&types);
    let mut functions = FunctionSection::new();
    functions.function(0);
    module.section(&functions);
    let mut exports = ExportSection::new();
    exports.export("run", ExportKind::Func, 0);
    module.section(&exports);
    let mut code = CodeSection::new();
    let mut body = Function::new([]);
    body.instructions().end();
    code.function(&body);
    module.section(&code);
    module.finish()
}

/// A component whose one memory begins with this many pages of 64 KiB.
pub(super) fn with_memory(pages: u64) -> Vec<u8> {
    let mut memories = wasm_encoder::MemorySection::new();
    memories.memory(wasm_encoder::MemoryType {
        minimum: pages,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut module = wasm_encoder::Module::new();
    module.section(&memories);
    let mut component = Component::new();
    component.section(&RawSection {
        id: ComponentSectionId::CoreModule.into(),
        data: &module.finish(),
    });
    component.finish()
}
