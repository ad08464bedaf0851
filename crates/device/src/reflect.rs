//! What a WGSL module says about itself, learned by naga: bindings, parameters, workgroup size, loops.

use naga::valid::GlobalUse;
use naga::{AddressSpace, ImageClass, ScalarKind, Statement, TypeInner};

use crate::platform::IN_BROWSER;
use crate::texture::STORAGE_FORMATS;

/// One storage binding.
#[derive(Debug)]
pub(crate) struct Binding {
    pub name: String,
    pub slot: u32,
    /// The fewest bytes that may be bound.
    pub least: u32,
    /// Declared `read_write`.
    pub writable: bool,
    /// Read, and written, by the code that the entry point reaches.
    pub read: bool,
    pub written: bool,
}

/// One texture.
#[derive(Debug)]
pub(crate) struct TextureBinding {
    pub name: String,
    pub slot: u32,
    pub ty: wgpu::BindingType,
}

/// One member of the uniform `Params`.
#[derive(Debug)]
pub(crate) struct Param {
    pub name: String,
    pub offset: u32,
    pub kind: ParamKind,
}

/// What a parameter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParamKind {
    U32,
    F32,
    /// An array of this many `vec4<u32>`.
    Rows(u32),
}

/// The uniform struct.
#[derive(Debug)]
pub(crate) struct Uniform {
    pub slot: u32,
    pub size: u32,
    /// What launches set.
    pub params: Vec<Param>,
    /// Where `first_group` lies, the number of the first workgroup that a dispatch runs. Kernels that have it may be cut
    /// into several dispatches.
    pub first_group: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Interface {
    pub storage: Vec<Binding>,
    pub textures: Vec<TextureBinding>,
    pub uniform: Option<Uniform>,
    pub workgroup_size: [u32; 3],
    pub has_loop: bool,
}

/// Why a module is refused.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The byte of the source that is to blame.
    pub at: Option<usize>,
    pub message: String,
}

impl From<String> for Refused {
    fn from(message: String) -> Self {
        Self { at: None, message }
    }
}

/// Parses and describes `source` as seen from `entry`; validates it too, but for a page.
pub(crate) fn reflect(source: &str, entry: &str) -> Result<(naga::Module, Interface), Refused> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| {
        let first = error.labels().next();
        let label = first.map(|(_, label)| label).filter(|label| !label.is_empty());
        let label = label.map_or(String::new(), |label| format!(" ({label})"));
        let at = first.and_then(|(span, _)| span.to_range()).map(|range| range.start);
        Refused { at, message: format!("{}{label}", error.message()) }
    })?;
    let index = module
        .entry_points
        .iter()
        .position(|point| point.name == entry)
        .ok_or_else(|| format!("no entry point named {entry}"))?;
    let uses = if IN_BROWSER { declared_uses(&module, index) } else { validated_uses(&module, index)? };
    let (mut storage, mut textures) = (Vec::new(), Vec::new());
    let mut uniform = None;
    for ((_, variable), uses) in module.global_variables.iter().zip(uses) {
        let Some(binding) = &variable.binding else { continue };
        if uses == GlobalUse::empty() {
            continue;
        }
        let name = variable.name.clone().unwrap_or_default();
        match variable.space {
            AddressSpace::Storage { access } => storage.push(Binding {
                name,
                slot: binding.binding,
                least: module.types[variable.ty].inner.size(module.to_ctx()),
                writable: access.contains(naga::StorageAccess::STORE),
                read: uses.contains(GlobalUse::READ),
                written: uses.contains(GlobalUse::WRITE),
            }),
            AddressSpace::Uniform => uniform = Some(uniform_of(&module, variable.ty, binding.binding)?),
            AddressSpace::Handle => {
                let ty = texture_type(&module.types[variable.ty].inner)
                    .ok_or_else(|| format!("binding {name} is no texture that launches can bind"))?;
                textures.push(TextureBinding { name, slot: binding.binding, ty });
            }
            other => {
                return Err(Refused::from(format!(
                    "binding {name} lies in an address space that launches don't fill: {other:?}"
                )));
            }
        }
    }
    let workgroup_size = module.entry_points[index].workgroup_size;
    let has_loop = module.functions.iter().any(|(_, f)| loops(&f.body))
        || loops(&module.entry_points[index].function.body);
    Ok((module, Interface { storage, textures, uniform, workgroup_size, has_loop }))
}

/// Float textures to load from, and storage textures to write to, of two dimensions.
fn texture_type(ty: &TypeInner) -> Option<wgpu::BindingType> {
    let TypeInner::Image { dim: naga::ImageDimension::D2, arrayed: false, class } = *ty else { return None };
    let view_dimension = wgpu::TextureViewDimension::D2;
    match class {
        // Nothing is sampled, so formats that cannot be filtered will do too.
        ImageClass::Sampled { kind: ScalarKind::Float, multi: false } => Some(wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: false },
            view_dimension,
            multisampled: false,
        }),
        ImageClass::Storage { format, access: naga::StorageAccess::STORE } => {
            let (_, format, _) = STORAGE_FORMATS.into_iter().find(|(_, _, known)| *known == format)?;
            let access = wgpu::StorageTextureAccess::WriteOnly;
            Some(wgpu::BindingType::StorageTexture { access, format, view_dimension })
        }
        _ => None,
    }
}

/// What the code that an entry point reaches does with each variable, in their order.
fn validated_uses(module: &naga::Module, index: usize) -> Result<Vec<GlobalUse>, Refused> {
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    let validator = &mut Validator::new(ValidationFlags::all(), Capabilities::all());
    let info = validator.validate(module).map_err(|error| {
        // The innermost place is the one to blame, and so is the last cause.
        let at = error.spans().last().and_then(|(span, _)| span.to_range()).map(|range| range.start);
        let mut message = error.as_inner().to_string();
        let mut cause = std::error::Error::source(error.as_inner());
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Refused { at, message }
    })?;
    let uses = info.get_entry_point(index);
    Ok(module.global_variables.iter().map(|(handle, _)| uses[handle]).collect())
}

/// The same without naga's validator, a tenth of a page's download, whose browser validates what it compiles: a variable
/// that is used at all counts as used in every way that its declaration allows.
fn declared_uses(module: &naga::Module, index: usize) -> Vec<GlobalUse> {
    use naga::compact::{KeepUnused, compact};
    // What is left of the variables once the other entry points are gone.
    let mut alone = module.clone();
    alone.entry_points = vec![alone.entry_points.swap_remove(index)];
    compact(&mut alone, KeepUnused::No);
    let used: Vec<_> = alone.global_variables.iter().map(|(_, variable)| variable.binding).collect();
    let declared = |variable: &naga::GlobalVariable| match variable.space {
        _ if !used.contains(&variable.binding) => GlobalUse::empty(),
        AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
            GlobalUse::READ | GlobalUse::WRITE
        }
        _ => GlobalUse::READ,
    };
    module.global_variables.iter().map(|(_, variable)| declared(variable)).collect()
}

fn uniform_of(module: &naga::Module, ty: naga::Handle<naga::Type>, slot: u32) -> Result<Uniform, String> {
    let TypeInner::Struct { members, span } = &module.types[ty].inner else {
        return Err("the uniform is not a struct".to_owned());
    };
    let (mut params, mut first_group) = (Vec::new(), None);
    for member in members {
        let name = member.name.clone().unwrap_or_default();
        let kind = param_kind(module, member.ty).ok_or_else(|| {
            format!("parameter {name} is no u32, f32 or array of vec4<u32>, which launches set")
        })?;
        match (name.as_str(), kind) {
            ("first_group", ParamKind::U32) => first_group = Some(member.offset),
            _ => params.push(Param { name, offset: member.offset, kind }),
        }
    }
    Ok(Uniform { slot, size: *span, params, first_group })
}

fn param_kind(module: &naga::Module, ty: naga::Handle<naga::Type>) -> Option<ParamKind> {
    let word = |scalar: naga::Scalar| scalar.width == 4;
    match module.types[ty].inner {
        TypeInner::Scalar(scalar) if word(scalar) => match scalar.kind {
            ScalarKind::Uint => Some(ParamKind::U32),
            ScalarKind::Float => Some(ParamKind::F32),
            _ => None,
        },
        TypeInner::Array { base, size: naga::ArraySize::Constant(rows), .. } => {
            match module.types[base].inner {
                TypeInner::Vector { size: naga::VectorSize::Quad, scalar }
                    if word(scalar) && scalar.kind == ScalarKind::Uint =>
                {
                    Some(ParamKind::Rows(rows.get()))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn loops(block: &naga::Block) -> bool {
    block.iter().any(|statement| match statement {
        Statement::Loop { .. } => true,
        Statement::Block(inner) => loops(inner),
        Statement::If { accept, reject, .. } => loops(accept) || loops(reject),
        Statement::Switch { cases, .. } => cases.iter().any(|case| loops(&case.body)),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
        struct Params { n: u32 }
        @group(0) @binding(0) var<uniform> p: Params;
        @group(0) @binding(1) var<storage, read> x: array<f32>;
        @group(0) @binding(2) var<storage, read> unused: array<f32>;
        @group(0) @binding(3) var<storage, read_write> y: array<f32>;
        @group(0) @binding(4) var<storage, read_write> other: array<f32>;
        var<workgroup> shared_sum: f32;
        fn load(i: u32) -> f32 { return x[min(i, p.n)]; }
        @compute @workgroup_size(64) fn first(@builtin(global_invocation_id) id: vec3<u32>) {
            shared_sum = 1.0;
            y[id.x] = load(id.x);
        }
        @compute @workgroup_size(64) fn second(@builtin(global_invocation_id) id: vec3<u32>) {
            other[id.x] = load(id.x);
        }";

    #[test]
    fn a_page_finds_the_variables_that_the_validator_finds() {
        let module = naga::front::wgsl::parse_str(SOURCE).unwrap();
        for (index, names) in [["p", "x", "y"], ["p", "x", "other"]].iter().enumerate() {
            let validated = validated_uses(&module, index).unwrap();
            let declared = declared_uses(&module, index);
            let mut found = Vec::new();
            for (i, (_, variable)) in module.global_variables.iter().enumerate() {
                if variable.binding.is_some() {
                    assert!(declared[i].contains(validated[i]), "{:?}", variable.name);
                    assert_eq!(declared[i].is_empty(), validated[i].is_empty(), "{:?}", variable.name);
                    found.extend(variable.name.as_deref().filter(|_| !declared[i].is_empty()));
                }
            }
            assert_eq!(found, names);
        }
    }
}
