use crate::division::divided_axis;
use crate::launch::ParamValue;
use crate::shader::{ParamBlock, StorageBinding};
use crate::{Access, Binding, Cost, Dispatch, Launch, Limits, OpError, Operand, Region, Shader};

/// Resolves a launch against its shader.
///
/// # Errors
/// Fails unless exactly the bindings and parameters of the entry point are given, with an iteration
/// count within the limits if it has a loop.
pub(crate) fn resolve(
    launch: &Launch,
    place: impl Fn(Operand) -> Region,
    limits: &Limits,
) -> Result<Dispatch, OpError> {
    let shader = launch.shader;
    let entry = shader.entry_point(launch.entry)?;
    let complain = |message: String| shader.error(format!("{}: {message}", launch.entry));
    check_constants(shader, launch.entry, &launch.constants)?;
    match launch.iterations {
        None if entry.loops => {
            return Err(complain("it loops, the launch does not say how often".into()).into());
        }
        Some(most) if most > limits.loop_iterations => {
            return Err(OpError::Limit(format!(
                "a thread of {}.{} goes through {most} iterations of loops, and this device ends \
                 loops after {}; use the CPU device, or smaller tensors",
                shader.name(),
                launch.entry,
                limits.loop_iterations
            )));
        }
        _ => {}
    }
    for other in &launch.variants {
        other.shader.entry_point(launch.entry)?;
        check_constants(other.shader, launch.entry, &other.constants)?;
    }
    for (name, _) in &launch.bindings {
        if !entry.storage.iter().any(|slot| slot.name == *name) {
            return Err(complain(format!("it does not use a binding {name}")).into());
        }
    }
    let mut params = launch.params.clone();
    let mut bindings = Vec::new();
    for StorageBinding { name, binding: index, access, stride } in &entry.storage {
        let &(key, operand) = launch
            .bindings
            .iter()
            .find(|(n, _)| n == name)
            .ok_or_else(|| complain(format!("nothing bound to {name}")))?;
        let mut region = place(operand);
        let skip = region.offset % Binding::ALIGNMENT;
        region.offset -= skip;
        region.len += skip;
        if *access == Access::ReadWrite && matches!(operand, Operand::Input(_)) {
            return Err(complain(format!("{name} is an input but declared writable")).into());
        }
        let takes_offset = entry.params.as_ref().and_then(|block| {
            block.members.iter().find(|(m, ..)| m.strip_suffix("_offset") == Some(key))
        });
        match takes_offset {
            Some((member, ..)) => params.push((member, ParamValue::U32(4 * skip as u32 / stride))),
            None if skip != 0 => {
                return Err(complain(format!("{name} is an unaligned view")).into());
            }
            None => {}
        }
        bindings.push(Binding { index: *index, name: name.clone(), region, access: *access });
    }
    let params = match &entry.params {
        Some(block) => Some((block.binding, pack(block, &params).map_err(complain)?)),
        None if params.is_empty() => None,
        None => return Err(complain("it takes no parameters".into()).into()),
    };
    let members = entry.params.iter().flat_map(|block| &block.members);
    let divisible =
        members.filter(|(name, ..)| launch.params.iter().any(|(given, _)| given == name));
    let divisible = divisible.filter_map(|(name, at, _)| Some((divided_axis(name)?, *at as usize)));
    Ok(Dispatch {
        node: 0,
        op: "",
        shader,
        entry: launch.entry,
        constants: launch.constants.clone(),
        bindings,
        params,
        grid: launch.grid.0,
        divisible: divisible.collect(),
        iterations: launch.iterations,
        variants: launch.variants().collect(),
        cost: Cost::default(),
    })
}

fn check_constants(
    shader: &Shader,
    entry: &str,
    constants: &[(&'static str, f64)],
) -> Result<(), OpError> {
    let known = shader.constants()?;
    match constants.iter().find(|(name, _)| !known.iter().any(|c| c == name)) {
        Some((name, _)) => Err(shader.error(format!("{entry}: no override {name}")).into()),
        None => Ok(()),
    }
}

fn pack(block: &ParamBlock, params: &[(impl AsRef<str>, ParamValue)]) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; block.size as usize];
    for (name, offset, float) in &block.members {
        let given = params.iter().find(|(n, _)| n.as_ref() == name).map(|(_, value)| *value);
        // The offset of a binding that this entry point does not use, or no division.
        let unset = name.ends_with("_offset") || divided_axis(name).is_some();
        let unused = unset.then_some(ParamValue::U32(0));
        let value = given.or(unused).ok_or_else(|| format!("no value for parameter {name}"))?;
        let word = match (value, float) {
            (ParamValue::U32(v), false) => v.to_le_bytes(),
            (ParamValue::F32(v), true) => v.to_le_bytes(),
            _ => return Err(format!("parameter {name} has another type")),
        };
        let at = *offset as usize;
        bytes[at..at + 4].copy_from_slice(&word);
    }
    if let Some((name, _)) =
        params.iter().find(|(n, _)| !block.members.iter().any(|(m, ..)| m == n.as_ref()))
    {
        return Err(format!("no parameter {}", name.as_ref()));
    }
    Ok(bytes)
}
