use crate::device::Gpu;
use crate::trusted;
use rnn_graph::{Access, DeviceError, Dispatch, RecordingError, Shader};
use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};

/// A compiled entry point.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// The compute pipeline.
    pub compute: wgpu::ComputePipeline,
    /// Layout of bind group 0, the only one.
    pub layout: wgpu::BindGroupLayout,
}

/// All pipelines compiled so far, for the lifetime of the device.
#[derive(Debug, Default)]
pub(crate) struct Pipelines(Mutex<CompiledKernels>);

#[derive(Debug, Default)]
struct CompiledKernels {
    modules: HashMap<ShaderId, wgpu::ShaderModule>,
    pipelines: HashMap<Key, Arc<Pipeline>>,
    /// Kernels that the driver refused, with the device and the message: it is not asked again.
    refused: HashMap<Key, (String, String)>,
}

/// A module by its address. Names may repeat: a verification compiles a tampered copy of a kernel
/// under the kernel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ShaderId(usize);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    shader: ShaderId,
    entry: &'static str,
    /// Sorted by name, values by their bits.
    constants: Vec<(&'static str, u64)>,
}

impl Pipelines {
    /// Returns the pipeline of a dispatch, which is compiled on first use.
    ///
    /// # Errors
    /// Fails with [`DeviceError::Recording`] if the WGSL is invalid, and with
    /// [`DeviceError::Refused`], which names the kernel and its constants, if the driver refuses
    /// the kernel.
    pub fn get(&self, gpu: &Gpu, dispatch: &Dispatch) -> Result<Arc<Pipeline>, DeviceError> {
        let key = Key::new(dispatch);
        // Held while compiling, so that two sessions never compile one kernel twice.
        let mut compiled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = compiled.pipelines.get(&key) {
            return Ok(pipeline.clone());
        }
        if let Some((device, message)) = compiled.refused.get(&key).cloned() {
            return Err(DeviceError::Refused { device, message });
        }
        let known = compiled.modules.get(&key.shader).cloned();
        let made = gpu.guarded(|| {
            let module = match known {
                Some(module) => module,
                None => compile_module(gpu, dispatch.shader)?,
            };
            let pipeline = Arc::new(compile(gpu, &module, dispatch));
            Ok((module, pipeline))
        });
        let (module, pipeline) =
            made.map_err(|error| name(error, dispatch)).inspect_err(|error| {
                if let DeviceError::Refused { device, message } = error {
                    compiled.refused.insert(key.clone(), (device.clone(), message.clone()));
                }
            })?;
        compiled.modules.insert(key.shader, module);
        compiled.pipelines.insert(key, pipeline.clone());
        Ok(pipeline)
    }
}

impl Key {
    fn new(dispatch: &Dispatch) -> Self {
        let bits = |&(name, value): &(&'static str, f64)| (name, value.to_bits());
        let mut constants: Vec<_> = dispatch.constants.iter().map(bits).collect();
        constants.sort_unstable();
        let shader = ShaderId(std::ptr::from_ref(dispatch.shader).addr());
        Self { shader, entry: dispatch.entry, constants }
    }
}

fn compile_module(gpu: &Gpu, shader: &'static Shader) -> Result<wgpu::ShaderModule, DeviceError> {
    let source = shader.source().map_err(|error| RecordingError::Invalid {
        dispatch: shader.name().into(),
        message: error.to_string(),
    })?;
    let descriptor = wgpu::ShaderModuleDescriptor {
        label: Some(shader.name()),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    };
    Ok(if gpu.checked {
        gpu.device.create_shader_module(descriptor)
    } else {
        trusted::shader_module(&gpu.device, descriptor)
    })
}

fn compile(gpu: &Gpu, module: &wgpu::ShaderModule, dispatch: &Dispatch) -> Pipeline {
    let storage = dispatch.bindings.iter().map(|b| {
        let read_only = b.access == Access::Read;
        layout_entry(b.index, wgpu::BufferBindingType::Storage { read_only }, None)
    });
    let params = dispatch.params.iter().map(|(index, bytes)| {
        let size = NonZeroU64::new(bytes.len() as u64);
        layout_entry(*index, wgpu::BufferBindingType::Uniform, size)
    });
    let entries: Vec<_> = storage.chain(params).collect();
    let constants = dispatch.constants.iter().map(|(name, value)| format!(" {name}={value}"));
    let constants: String = constants.collect();
    let label = format!("{}.{}{constants}", dispatch.shader.name(), dispatch.entry);
    let layout = gpu.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(&label),
        entries: &entries,
    });
    let pipeline_layout = gpu.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(&label),
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 0,
    });
    let compute = gpu.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&label),
        layout: Some(&pipeline_layout),
        module,
        entry_point: Some(dispatch.entry),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &dispatch.constants,
            zero_initialize_workgroup_memory: gpu.checked,
        },
        cache: gpu.cache.as_ref().map(|cache| &cache.raw),
    });
    Pipeline { compute, layout }
}

fn layout_entry(
    binding: u32,
    ty: wgpu::BufferBindingType,
    min_binding_size: Option<NonZeroU64>,
) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size },
        count: None,
    }
}

/// Adds the kernel and its constants to the error of a refused kernel.
fn name(error: DeviceError, dispatch: &Dispatch) -> DeviceError {
    match error {
        DeviceError::Refused { device, message } => {
            let (shader, entry) = (dispatch.shader.name(), dispatch.entry);
            let message = format!("{shader}.{entry} {:?}: {message}", dispatch.constants);
            DeviceError::Refused { device, message }
        }
        other => other,
    }
}
