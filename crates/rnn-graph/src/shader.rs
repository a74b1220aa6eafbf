use std::sync::OnceLock;

/// Access mode of a storage binding, as the WGSL declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    ReadWrite,
}

/// A WGSL module, joined from source parts in order. Its bindings, parameters and constants are
/// read from the source, so that nothing is declared twice.
#[derive(Debug)]
pub struct Shader {
    name: &'static str,
    parts: &'static [&'static str],
    reflection: OnceLock<Result<Reflection, String>>,
}

/// Error about a shader: its WGSL is invalid, or it does not have what a launch names. It displays
/// with the name of the shader.
#[derive(Debug, Clone, thiserror::Error)]
#[error("shader {shader}: {message}")]
pub struct ShaderError {
    shader: &'static str,
    message: String,
}

/// Reflection of one `@compute` function: what a launch must bind and set.
#[derive(Debug)]
pub struct EntryPoint {
    /// Name of the function.
    pub name: String,
    /// The storage bindings that it uses.
    pub storage: Vec<StorageBinding>,
    /// Layout of its uniform `params`; `None` if it uses none.
    pub params: Option<ParamBlock>,
    /// True if the function, or one that it calls, has a loop. A launch must then set
    /// [`Launch::iterations`](crate::Launch::iterations).
    pub loops: bool,
}

/// A storage binding of a kernel: a runtime-sized array of one element type.
#[derive(Clone, Debug)]
pub struct StorageBinding {
    /// Name of the WGSL variable.
    pub name: String,
    /// Number of the `@binding` in group 0.
    pub binding: u32,
    /// Declared access mode.
    pub access: Access,
    /// Size of an array element, in bytes.
    pub stride: u32,
}

/// Layout of a kernel's uniform `params` struct.
#[derive(Clone, Debug)]
pub struct ParamBlock {
    /// Number of the `@binding` in group 0.
    pub binding: u32,
    /// Size of the whole struct, in bytes.
    pub size: u32,
    /// Name and byte offset of each member, and true if it is an `f32`, false if a `u32`.
    pub members: Vec<(String, u32, bool)>,
}

#[derive(Debug)]
struct Reflection {
    source: String,
    entry_points: Vec<EntryPoint>,
    constants: Vec<String>,
    matrix_units: bool,
}

impl Shader {
    /// Creates a module from source parts, which are joined in order and compiled as one text.
    /// `name` appears in recordings and errors. Nothing is parsed until the first use, so the
    /// methods that return a [`ShaderError`] report invalid WGSL.
    pub const fn new(name: &'static str, parts: &'static [&'static str]) -> Self {
        Self { name, parts, reflection: OnceLock::new() }
    }

    /// Returns the module's name, which recordings and errors show.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the whole WGSL text, all parts joined.
    ///
    /// # Errors
    /// Fails if the WGSL is invalid.
    pub fn source(&self) -> Result<&str, ShaderError> {
        Ok(&self.reflect()?.source)
    }

    /// Returns the reflections of all `@compute` functions, in the order of the source.
    ///
    /// # Errors
    /// Fails if the WGSL is invalid.
    pub fn entry_points(&self) -> Result<&[EntryPoint], ShaderError> {
        Ok(&self.reflect()?.entry_points)
    }

    /// Returns the names of the module's `override` constants, which a launch may set.
    ///
    /// # Errors
    /// Fails if the WGSL is invalid.
    pub fn constants(&self) -> Result<&[String], ShaderError> {
        Ok(&self.reflect()?.constants)
    }

    /// Returns true if the module uses matrix units; see [`Limits::matrix_units`](crate::Limits).
    ///
    /// # Errors
    /// Fails if the WGSL is invalid.
    pub fn uses_matrix_units(&self) -> Result<bool, ShaderError> {
        Ok(self.reflect()?.matrix_units)
    }

    /// Returns the reflection of the `@compute` function `name`.
    ///
    /// # Errors
    /// Fails if the WGSL is invalid, or has no such entry point.
    pub fn entry_point(&self, name: &str) -> Result<&EntryPoint, ShaderError> {
        self.entry_points()?
            .iter()
            .find(|e| e.name == name)
            .ok_or_else(|| self.error(format!("no entry point {name}")))
    }

    /// Returns an error about this shader.
    pub(crate) fn error(&self, message: String) -> ShaderError {
        ShaderError { shader: self.name, message }
    }

    fn reflect(&self) -> Result<&Reflection, ShaderError> {
        self.reflection
            .get_or_init(|| reflect(&self.parts.join("\n")))
            .as_ref()
            .map_err(|message| self.error(message.clone()))
    }
}

fn reflect(source: &str) -> Result<Reflection, String> {
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::all())
        .validate(&module)
        .map_err(|e| e.emit_to_string(source))?;
    let entry_points = module
        .entry_points
        .iter()
        .enumerate()
        .map(|(i, entry)| {
            let used = info.get_entry_point(i);
            let mut found = reflect_entry(&module, &entry.name, |g| !used[g].is_empty())?;
            found.loops = has_loop(&module, &entry.function.body);
            Ok(found)
        })
        .collect::<Result<_, String>>()?;
    let constants = module.overrides.iter().filter_map(|(_, o)| o.name.clone()).collect();
    let of_units = |ty: &naga::Type| matches!(ty.inner, naga::TypeInner::CooperativeMatrix { .. });
    let matrix_units = module.types.iter().any(|(_, ty)| of_units(ty));
    Ok(Reflection { source: source.to_owned(), entry_points, constants, matrix_units })
}

/// Returns true if the block, or a function called in it, contains a loop. WGSL has no recursion.
fn has_loop(module: &naga::Module, block: &naga::Block) -> bool {
    use naga::Statement as S;
    block.iter().any(|statement| match statement {
        S::Loop { .. } => true,
        S::Block(inner) => has_loop(module, inner),
        S::If { accept, reject, .. } => has_loop(module, accept) || has_loop(module, reject),
        S::Switch { cases, .. } => cases.iter().any(|case| has_loop(module, &case.body)),
        S::Call { function, .. } => has_loop(module, &module.functions[*function].body),
        _ => false,
    })
}

fn reflect_entry(
    module: &naga::Module,
    name: &str,
    uses: impl Fn(naga::Handle<naga::GlobalVariable>) -> bool,
) -> Result<EntryPoint, String> {
    let mut entry =
        EntryPoint { name: name.to_owned(), storage: Vec::new(), params: None, loops: false };
    for (handle, global) in module.global_variables.iter().filter(|(h, _)| uses(*h)) {
        let Some(binding) = &global.binding else { continue };
        let name = global.name.clone().unwrap_or_default();
        match global.space {
            naga::AddressSpace::Storage { access } => {
                let writable = access.contains(naga::StorageAccess::STORE);
                let access = if writable { Access::ReadWrite } else { Access::Read };
                let naga::TypeInner::Array { stride, .. } = module.types[global.ty].inner else {
                    return Err(format!("binding {name} is no array"));
                };
                entry.storage.push(StorageBinding {
                    name,
                    binding: binding.binding,
                    access,
                    stride,
                });
            }
            naga::AddressSpace::Uniform => {
                entry.params = Some(reflect_params(module, handle, binding.binding)?);
            }
            _ => return Err(format!("binding {name} is neither storage nor uniform")),
        }
    }
    Ok(entry)
}

fn reflect_params(
    module: &naga::Module,
    global: naga::Handle<naga::GlobalVariable>,
    binding: u32,
) -> Result<ParamBlock, String> {
    let ty = &module.types[module.global_variables[global].ty];
    let naga::TypeInner::Struct { members, span } = &ty.inner else {
        return Err("the uniform binding must be a struct of u32 and f32".into());
    };
    let members = members
        .iter()
        .map(|m| match module.types[m.ty].inner {
            naga::TypeInner::Scalar(naga::Scalar { kind: naga::ScalarKind::Float, width: 4 }) => {
                Ok((m.name.clone().unwrap_or_default(), m.offset, true))
            }
            naga::TypeInner::Scalar(naga::Scalar { kind: naga::ScalarKind::Uint, width: 4 }) => {
                Ok((m.name.clone().unwrap_or_default(), m.offset, false))
            }
            _ => Err(format!("parameter {:?} is neither u32 nor f32", m.name)),
        })
        .collect::<Result<_, _>>()?;
    Ok(ParamBlock { binding, size: span.next_multiple_of(16), members })
}
