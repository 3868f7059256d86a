//! Components that no compiler would make, section by section.

use wasm_encoder::{
    Alias, CanonicalFunctionSection, CodeSection, Component, ComponentAliasSection, ComponentExportKind,
    ComponentExportSection, ComponentInstanceSection, ComponentTypeSection, CustomSection, EntityType,
    ExportKind, ExportSection, Function, FunctionSection, ImportSection, InstanceSection, MemorySection,
    MemoryType, Module, ModuleArg, ModuleSection, NestedComponentSection, PrimitiveValType, RefType,
    StartSection, TableSection, TableType, TypeSection, ValType,
};

/// The interface that this host speaks.
pub(super) const SPOKEN: &str = "sexton:plugin/job-callback@0.1.0";

/// A core module whose `job-error` takes and returns nothing.
#[derive(Default)]
pub(super) struct Core {
    /// Pages of each memory at the start.
    pub(super) memories: Vec<u64>,
    /// Elements of each table at the start.
    pub(super) tables: Vec<u64>,
    /// Whether it imports `e.new: func(i32) -> i32`, as function 0.
    pub(super) new: bool,
    /// What runs when it is instantiated.
    pub(super) start: Option<Function>,
    /// What `job-error` does.
    pub(super) body: Option<Function>,
}

impl Core {
    fn module(&self) -> Module {
        let (mut types, mut imports, mut functions) =
            (TypeSection::new(), ImportSection::new(), FunctionSection::new());
        types.ty().function([], []);
        types.ty().function([ValType::I32], [ValType::I32]);
        if self.new {
            imports.import("e", "new", EntityType::Function(1));
        }
        let first = u32::from(self.new);
        functions.function(0).function(0);
        let (mut tables, mut memories) = (TableSection::new(), MemorySection::new());
        for minimum in &self.tables {
            tables.table(table(*minimum));
        }
        for minimum in &self.memories {
            memories.memory(memory(*minimum));
        }
        let mut exports = ExportSection::new();
        exports.export("job-error", ExportKind::Func, first);
        let mut code = CodeSection::new();
        code.function(self.body.as_ref().unwrap_or(&nothing()));
        code.function(self.start.as_ref().unwrap_or(&nothing()));
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions);
        module.section(&tables).section(&memories).section(&exports);
        let start = StartSection {
            function_index: first + 1,
        };
        module.section(&start).section(&code);
        module
    }
}

/// A function that returns at once.
fn nothing() -> Function {
    function(|_| {})
}

/// A function without locals that does this.
pub(super) fn function(does: impl FnOnce(&mut wasm_encoder::InstructionSink<'_>)) -> Function {
    let mut function = Function::new([]);
    does(&mut function.instructions());
    function.instructions().end();
    function
}

const fn table(minimum: u64) -> TableType {
    TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum,
        maximum: None,
        shared: false,
    }
}

const fn memory(minimum: u64) -> MemoryType {
    MemoryType {
        minimum,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    }
}

/// A component that exports `job-error: func()` in the instance `export`, with so many instances
/// of its module.
pub(super) fn component(export: &str, core: &Core, instances: u32) -> Vec<u8> {
    let mut component = Component::new();
    let mut types = ComponentTypeSection::new();
    types
        .function()
        .params([] as [(&str, PrimitiveValType); 0])
        .result(None);
    let mut made = InstanceSection::new();
    let mut canonical = CanonicalFunctionSection::new();
    if core.new {
        types.resource(ValType::I32, None);
        canonical.resource_new(1);
        made.export_items([("new", ExportKind::Func, 0)]);
    }
    component.section(&types).section(&canonical);
    component.section(&ModuleSection(&core.module()));
    for _ in 0..instances {
        match core.new {
            true => made.instantiate(0, [("e", ModuleArg::Instance(0))]),
            false => made.instantiate(0, [] as [(&str, ModuleArg); 0]),
        };
    }
    component.section(&made);
    let mut alias = ComponentAliasSection::new();
    alias.alias(Alias::CoreInstanceExport {
        instance: u32::from(core.new),
        kind: ExportKind::Func,
        name: "job-error",
    });
    component.section(&alias);
    let mut lift = CanonicalFunctionSection::new();
    lift.lift(u32::from(core.new), 0, []);
    component.section(&lift);
    let mut instance = ComponentInstanceSection::new();
    instance.export_items([("job-error", ComponentExportKind::Func, 0)]);
    component.section(&instance);
    let mut exports = ComponentExportSection::new();
    exports.export(export, ComponentExportKind::Instance, 0, None);
    component.section(&exports);
    component.finish()
}

/// Components in components, so many deep.
pub(super) fn nested(depth: usize) -> Vec<u8> {
    let mut inner = Component::new();
    for _ in 0..depth {
        let mut outer = Component::new();
        outer.section(&NestedComponentSection(&inner));
        inner = outer;
    }
    inner.finish()
}

/// A list of lists of lists, so many deep.
pub(super) fn nested_types(depth: u32) -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    types.defined_type().list(PrimitiveValType::U8);
    for below in 0..depth {
        types
            .defined_type()
            .list(wasm_encoder::ComponentValType::Type(below));
    }
    let mut component = Component::new();
    component.section(&types);
    component.finish()
}

/// A component of which nearly all is a section that nobody reads.
pub(super) fn padded(bytes: usize) -> Vec<u8> {
    let data = vec![b'x'; bytes];
    let mut component = Component::new();
    component.section(&CustomSection {
        name: "padding".into(),
        data: (&data).into(),
    });
    component.finish()
}
