//! What a WGSL module says about itself, learned by naga: bindings, parameters, workgroup size, loops.

use naga::valid::{Capabilities, GlobalUse, ValidationFlags, Validator};
use naga::{AddressSpace, ImageClass, ScalarKind, Statement, TypeInner};

use crate::texture::STORAGE_FORMATS;

/// One storage binding.
#[derive(Debug)]
pub(crate) struct Binding {
    pub name: String,
    pub slot: u32,
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
    pub kind: ScalarKind,
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

/// Parses, validates and describes `source` as seen from `entry`.
pub(crate) fn reflect(source: &str, entry: &str) -> Result<(naga::Module, Interface), String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|error| error.emit_to_string(source))?;
    let index = module
        .entry_points
        .iter()
        .position(|point| point.name == entry)
        .ok_or_else(|| format!("no entry point named {entry}"))?;
    let uses = info.get_entry_point(index);
    let (mut storage, mut textures) = (Vec::new(), Vec::new());
    let mut uniform = None;
    for (handle, variable) in module.global_variables.iter() {
        let Some(binding) = &variable.binding else { continue };
        if uses[handle] == GlobalUse::empty() {
            continue;
        }
        let name = variable.name.clone().unwrap_or_default();
        match variable.space {
            AddressSpace::Storage { access } => storage.push(Binding {
                name,
                slot: binding.binding,
                writable: access.contains(naga::StorageAccess::STORE),
                read: uses[handle].contains(GlobalUse::READ),
                written: uses[handle].contains(GlobalUse::WRITE),
            }),
            AddressSpace::Uniform => uniform = Some(uniform_of(&module, variable.ty, binding.binding)?),
            AddressSpace::Handle => {
                let ty = texture_type(&module.types[variable.ty].inner)
                    .ok_or_else(|| format!("binding {name} is no texture that launches can bind"))?;
                textures.push(TextureBinding { name, slot: binding.binding, ty });
            }
            other => {
                return Err(format!(
                    "binding {name} lies in an address space that launches don't fill: {other:?}"
                ));
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

fn uniform_of(module: &naga::Module, ty: naga::Handle<naga::Type>, slot: u32) -> Result<Uniform, String> {
    let TypeInner::Struct { members, span } = &module.types[ty].inner else {
        return Err("the uniform is not a struct".to_owned());
    };
    let (mut params, mut first_group) = (Vec::new(), None);
    for member in members {
        let TypeInner::Scalar(scalar) = module.types[member.ty].inner else {
            return Err(format!("parameter {:?} is not a scalar", member.name));
        };
        let name = member.name.clone().unwrap_or_default();
        if name == "first_group" {
            first_group = Some(member.offset);
        } else {
            params.push(Param { name, offset: member.offset, kind: scalar.kind });
        }
    }
    Ok(Uniform { slot, size: *span, params, first_group })
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
