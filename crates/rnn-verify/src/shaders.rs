use crate::kernel::{exceeds_limit, graph};
use crate::{Measured, NotPassed};
use naga::back::{PipelineConstants, hlsl, msl, pipeline_constants, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Module, ShaderStage};
use rnn_graph::{Dispatch, Limits, Recording, Shader};
use rnn_ops::Case;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;

/// An entry point of a shader, with the values of `override` constants that an op sets: what
/// becomes one GPU pipeline.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The shader module.
    pub shader: &'static Shader,
    /// Name of the entry point.
    pub entry: &'static str,
    constants: Vec<(&'static str, f64)>,
}

/// The name of a tool or shader language, and its verdict on a shader. A passed check has the error
/// 0.
pub type ShaderCheck = (&'static str, Result<Measured, NotPassed>);

/// Returns every pipeline that the kernels of these cases need, each once. The cases are recorded
/// for four devices, with half precision and otherwise WebGPU's limits: without and with subgroups,
/// and with matrix units of side 8 and 16. A case that exceeds the limits adds nothing.
///
/// # Errors
/// Fails with [`NotPassed::Failed`] if a case cannot be recorded for another reason.
pub fn variants(cases: &[Case]) -> Result<Vec<Variant>, NotPassed> {
    let kinds = [(None, 1), (None, 8), (Some(8), 8), (Some(16), 8)];
    let limits = kinds.map(|(matrix_units, subgroup_lanes)| Limits {
        half: true,
        matrix_units,
        subgroup_lanes,
        ..Limits::WEBGPU
    });
    let mut found = BTreeMap::new();
    for case in cases {
        let graph = graph(case)?;
        for limits in &limits {
            let recording = match Recording::new(&graph, limits) {
                Ok(recording) => recording,
                Err(error) if exceeds_limit(&error).is_some() => continue,
                Err(error) => return Err(error.to_string().into()),
            };
            for Dispatch { shader, entry, constants, variants, .. } in recording.dispatches() {
                let others = variants.iter().map(|other| (other.shader, &other.constants));
                for (shader, constants) in others.chain([(*shader, constants)]) {
                    let variant = Variant { shader, entry, constants: constants.clone() };
                    found.insert((shader.name(), variant.name()), variant);
                }
            }
        }
    }
    Ok(found.into_values().collect())
}

impl Variant {
    /// Returns the pipeline of a dispatch.
    pub fn of(dispatch: &Dispatch) -> Self {
        let Dispatch { shader, entry, constants, .. } = dispatch;
        Self { shader, entry, constants: constants.clone() }
    }

    /// Returns the number of threads of a workgroup.
    ///
    /// # Errors
    /// Fails with [`NotPassed::Failed`] if the shader is invalid.
    pub fn threads(&self) -> Result<u32, NotPassed> {
        let Valid { module, .. } = self.validate()?;
        let entry = module.entry_points.iter().find(|entry| entry.name == self.entry);
        Ok(entry.map_or(0, |entry| entry.workgroup_size.iter().product()))
    }

    /// Returns the name of the shader and its entry point as `shader.entry`, followed by `
    /// constant=value` for each constant.
    pub fn name(&self) -> String {
        let constants = self.constants.iter().map(|(name, value)| format!(" {name}={value}"));
        format!("{}.{}{}", self.shader.name(), self.entry, constants.collect::<String>())
    }

    /// Validates the shader by naga, translates it to SPIR-V, MSL and HLSL, and returns the verdict
    /// of each tool in turn. SPIR-V and HLSL are then checked by `spirv-val` and
    /// `glslangValidator`, with the verdict [`NotPassed::Skipped`] if those are not installed. HLSL
    /// of a shader model above 5.1 is only translated. If naga finds the shader invalid, that is
    /// the only verdict.
    pub fn check(&self) -> Vec<ShaderCheck> {
        let valid = match self.validate() {
            Ok(valid) => valid,
            Err(message) => return vec![("naga", failed(message))],
        };
        let mut steps: Vec<ShaderCheck> = vec![("naga", ok())];
        let mut translated = |language, tool, result: Result<Judge, String>| match result {
            Ok(validate) => {
                steps.push((language, ok()));
                steps.extend(validate.map(|validate| (tool, validate())));
            }
            Err(message) => steps.push((language, failed(message))),
        };
        translated("SPIR-V", "spirv-val", valid.spirv());
        translated("MSL", "", valid.msl());
        if valid.has_matrix_units() {
            steps.push(("HLSL", Err(NotPassed::Skipped("DX12 has no matrix units".into()))));
        } else {
            translated("HLSL", "glslangValidator", valid.hlsl(self.entry));
        }
        steps
    }

    fn validate(&self) -> Result<Valid, String> {
        let source = self.shader.source().map_err(|e| e.to_string())?;
        let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
        // No capability beyond what WebGPU guarantees, but for half precision and what the shader
        // asks for.
        let mut capabilities = Capabilities::SHADER_FLOAT16;
        if uses_subgroups(&module) {
            capabilities |= Capabilities::SUBGROUP;
        }
        if module.types.iter().any(|(_, ty)| is_of_matrix_units(ty)) {
            capabilities |= Capabilities::COOPERATIVE_MATRIX | Capabilities::SUBGROUP;
        }
        let mut validator = Validator::new(ValidationFlags::all(), capabilities);
        let info = validator.validate(&module).map_err(|e| e.emit_to_string(source))?;
        let constants: PipelineConstants =
            self.constants.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
        let entry = Some((ShaderStage::Compute, self.entry));
        let (module, info) =
            pipeline_constants::process_overrides(&module, &info, entry, &constants)
                .map_err(|e| format!("constants: {e}"))?;
        Ok(Valid { module: module.into_owned(), info: info.into_owned() })
    }
}

/// The check of a translation by an outside validator, if it is installed.
type Judge = Option<Box<dyn FnOnce() -> Result<Measured, NotPassed>>>;

/// A module of one entry point whose constants are set.
struct Valid {
    module: Module,
    info: ModuleInfo,
}

/// Returns true if a function of the module exchanges values within a subgroup.
fn uses_subgroups(module: &Module) -> bool {
    let exchanges = |block: &naga::Block| {
        block.iter().any(|statement| matches!(statement, naga::Statement::SubgroupGather { .. }))
    };
    let entries = module.entry_points.iter().map(|entry| &entry.function);
    module.functions.iter().map(|(_, function)| function).chain(entries).any(|f| exchanges(&f.body))
}

fn is_of_matrix_units(ty: &naga::Type) -> bool {
    matches!(ty.inner, naga::TypeInner::CooperativeMatrix { .. })
}

impl Valid {
    fn has_matrix_units(&self) -> bool {
        self.module.types.iter().any(|(_, ty)| is_of_matrix_units(ty))
    }

    fn spirv(&self) -> Result<Judge, String> {
        // The first version that numbers subgroups.
        let options = spv::Options { lang_version: (1, 3), ..spv::Options::default() };
        let words =
            spv::write_vec(&self.module, &self.info, &options, None).map_err(|e| e.to_string())?;
        if self.has_matrix_units() {
            // Validators of before 2024 do not know them.
            return Ok(None);
        }
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        Ok(Some(Box::new(move || {
            tool(Command::new("spirv-val").args(["--target-env", "vulkan1.1"]), &bytes)
        })))
    }

    fn msl(&self) -> Result<Judge, String> {
        // The first version that has matrix units.
        let options = msl::Options { lang_version: (2, 3), ..msl::Options::default() };
        let pipeline = msl::PipelineOptions::default();
        msl::write_string(&self.module, &self.info, &options, &pipeline)
            .map_err(|e| e.to_string())?;
        Ok(None)
    }

    fn hlsl(&self, entry: &str) -> Result<Judge, String> {
        let half = |ty: &naga::Type| ty.inner.scalar().is_some_and(|s| s == naga::Scalar::F16);
        let half = self.module.types.iter().any(|(_, ty)| half(ty));
        // The first with half precision, which has subgroups, too.
        let modern = half || uses_subgroups(&self.module);
        let shader_model = if modern { hlsl::ShaderModel::V6_2 } else { hlsl::ShaderModel::V5_1 };
        let options = hlsl::Options { shader_model, ..hlsl::Options::default() };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
            .write(&self.module, &self.info, None)
            .map_err(|e| e.to_string())?;
        if modern {
            // glslang knows no model above 5.1.
            return Ok(None);
        }
        let entry = entry.to_owned();
        Ok(Some(Box::new(move || {
            let mut command = Command::new("glslangValidator");
            // -D: HLSL; -V: for Vulkan; the output goes nowhere.
            command.args(["-D", "-V", "-S", "comp", "-o", NOWHERE, "-e", &entry]);
            tool(&mut command, without_array_casts(&text).as_bytes())
        })))
    }
}

/// HLSL in which named zeros stand for `(float[4])0`: DX12's compilers cast 0 to an array, which
/// glslang does not know.
fn without_array_casts(hlsl: &str) -> String {
    let (mut zeros, mut text) = (BTreeMap::new(), String::new());
    let mut rest = hlsl;
    while let Some(end) = rest.find("])0;") {
        let Some(start) = rest[..end].rfind('(') else { break };
        let Some((element, length)) = rest[start + 1..end].split_once('[') else { break };
        let name = format!("zero_{element}_{length}");
        text += &rest[..start];
        text += &name;
        zeros.insert(name, (element, length));
        rest = &rest[end + "])0".len()..];
    }
    text += rest;
    for (name, (element, length)) in zeros {
        // A structure must be known before its zeros are.
        let structure = text.find(&format!("struct {element} {{"));
        let end = structure.and_then(|start| text[start..].find("};").map(|n| start + n + 2));
        let declaration = format!("\nstatic {element} {name}[{length}];\n");
        text.insert_str(end.unwrap_or(0), &declaration);
    }
    text
}

const NOWHERE: &str = if cfg!(windows) { "NUL" } else { "/dev/null" };

/// Runs an outside validator on a file of these bytes.
fn tool(command: &mut Command, bytes: &[u8]) -> Result<Measured, NotPassed> {
    let name = command.get_program().display().to_string();
    let mut file = tempfile::NamedTempFile::new().map_err(|e| e.to_string())?;
    file.write_all(bytes).map_err(|e| e.to_string())?;
    // Ctrl-C is not for the tool, which would then seem to have refused the shader.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    match command.arg(file.path()).output() {
        Ok(output) if output.status.success() => ok(),
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            failed(format!("{name}: {}", String::from_utf8_lossy(&said).trim()))
        }
        Err(_) => Err(NotPassed::Skipped(format!("{name} is not installed"))),
    }
}

/// Right or wrong, without an error to measure.
fn ok() -> Result<Measured, NotPassed> {
    Ok(Measured { error: 0.0, tolerance: 1.0 })
}

fn failed(message: String) -> Result<Measured, NotPassed> {
    Err(NotPassed::Failed(message))
}

#[cfg(test)]
mod tests {
    use super::{NotPassed, Variant, tool, variants, without_array_casts};
    use rnn_graph::Shader;
    use std::process::Command;

    #[test]
    fn every_variant_of_the_suite_translates() {
        let all = variants(&rnn_ops::suite());
        let all = all.expect("the cases are sound");
        assert!(all.len() > 50, "{} variants", all.len());
        for variant in &all {
            for (step, result) in variant.check() {
                let skipped = matches!(result, Err(NotPassed::Skipped(_)));
                assert!(result.is_ok() || skipped, "{}: {step}: {result:?}", variant.name());
            }
        }
    }

    #[test]
    fn zeros_of_arrays_get_names() {
        let text = without_array_casts("float4 z[4] = (float4[4])0; a = (float)0;");
        assert_eq!(
            text,
            "\nstatic float4 zero_float4_4[4];\nfloat4 z[4] = zero_float4_4; a = (float)0;"
        );
    }

    #[test]
    fn bad_shaders_are_failures() {
        static BROKEN: Shader = Shader::new("broken", &["fn main() -> u32 { return 1.5; }"]);
        static SOUND: Shader = Shader::new("sound", &["@compute @workgroup_size(1) fn main() {}"]);
        let check = |shader, entry| Variant { shader, entry, constants: vec![] }.check();
        assert!(matches!(check(&BROKEN, "main")[..], [("naga", Err(NotPassed::Failed(_)))]));
        assert!(check(&SOUND, "main").iter().all(|(_, r)| !matches!(r, Err(NotPassed::Failed(_)))));
    }

    #[test]
    fn outside_validators_can_fail_and_may_be_absent() {
        let absent = tool(&mut Command::new("no-such-validator"), b"");
        assert!(matches!(absent, Err(NotPassed::Skipped(_))));
        let refused = tool(&mut Command::new("spirv-val"), b"not SPIR-V");
        assert!(refused.is_err(), "{refused:?}");
    }
}
