use crate::budget;
use crate::tuning::{self, Tuned};
use rnn_graph::{DeviceInfo, DeviceKind, Limits};
use std::fmt;
use std::path::Path;

/// The class of an adapter, in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterClass {
    /// A graphics card with its own memory.
    Discrete,
    /// A graphics processor that shares the CPU's memory.
    Integrated,
    /// A virtual adapter of a hypervisor.
    Virtual,
    /// An adapter whose driver reports none of the other classes.
    Other,
    /// A graphics API emulated on the CPU.
    Software,
}

/// Capabilities of an adapter beyond [`Limits`]. They display as one line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Features {
    /// True if kernels can compute in half precision and store it.
    pub f16: bool,
    /// Smallest and largest subgroup size; `None` without subgroup operations.
    pub subgroups: Option<(u32, u32)>,
    /// Side of the square matrices of its matrix units; `None` without them. See
    /// [`Limits::matrix_units`].
    pub matrix_units: Option<u32>,
    /// True if the adapter can record timestamps, which profiling needs.
    pub timestamps: bool,
    /// Size of the largest buffer, in bytes.
    pub max_buffer_bytes: u64,
    /// The compiler of DX12's shaders; `None` elsewhere, where the driver has its own.
    pub shader_compiler: Option<ShaderCompiler>,
}

/// Microsoft's compilers of shaders, of which DX12 uses one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShaderCompiler {
    /// The newer one, of shader model 6: half precision and subgroup operations need it. It is used
    /// where `dxcompiler.dll` can be loaded.
    Dxc,
    /// The older one, which is part of Windows.
    Fxc,
}

/// An adapter of this machine, to be opened by [`WgpuDevice::open`](crate::WgpuDevice::open).
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Name, backend, driver and class of hardware.
    pub info: DeviceInfo,
    /// The class, by which [`adapters`] sorts.
    pub class: AdapterClass,
    /// Limits that kernels are recorded for. Opening the device measures `subgroup_lanes`,
    /// `loop_iterations` and `launch_work`, which are 1 and `u64::MAX` here.
    pub limits: Limits,
    /// Capabilities beyond the limits.
    pub features: Features,
    /// The wgpu adapter.
    pub(crate) raw: wgpu::Adapter,
}

/// Returns all adapters of this machine for Vulkan, Metal and DX12, sorted by [`AdapterClass`] and
/// within a class in the system's order. The list is empty if no driver is installed.
pub fn adapters() -> Vec<Adapter> {
    if wgpu::Instance::enabled_backend_features().is_empty() {
        return Vec::new();
    }
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let mut adapters = adapters_of(backends, ShaderCompiler::Dxc);
    // Without that compiler there is no DX12.
    if cfg!(windows) && adapters.iter().all(|a| a.features.shader_compiler.is_none()) {
        adapters.extend(adapters_of(wgpu::Backends::DX12, ShaderCompiler::Fxc));
    }
    adapters.sort_by_key(|a| a.class);
    adapters
}

/// The adapters of these backends; of DX12 those that this compiler can compile for.
fn adapters_of(backends: wgpu::Backends, compiler: ShaderCompiler) -> Vec<Adapter> {
    let shader_compiler = match compiler {
        ShaderCompiler::Dxc => wgpu::Dx12Compiler::default_dynamic_dxc(),
        ShaderCompiler::Fxc => wgpu::Dx12Compiler::Fxc,
    };
    let dx12 = wgpu::Dx12BackendOptions { shader_compiler, ..Default::default() };
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        // Not the default: it compiles shaders that validate indirect draws and takes bindings
        // for them. `WGPU_VALIDATION=1` still turns the driver's validation layers on.
        flags: wgpu::InstanceFlags::empty().with_env(),
        backend_options: wgpu::BackendOptions { dx12, ..Default::default() },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let found = pollster::block_on(instance.enumerate_adapters(backends));
    found.into_iter().map(|raw| Adapter::new(raw, compiler)).collect()
}

impl Adapter {
    /// Returns a summary of the kernel variants that were measured on this adapter and stored in
    /// `folder` by [`WgpuDevice::open_cached`](crate::WgpuDevice::open_cached). Both numbers are 0
    /// if there are no measurements or the file cannot be read.
    pub fn tuned(&self, folder: &Path) -> Tuned {
        tuning::tuned(&self.raw.get_info(), folder)
    }

    /// Returns the floating-point operations that a submission of 100 ms holds on this adapter, as
    /// measured by earlier programs and kept in `folder` by
    /// [`WgpuDevice::open_cached`](crate::WgpuDevice::open_cached). `None` if nothing was measured.
    pub fn submission_flops(&self, folder: &Path) -> Option<f64> {
        budget::kept_flops(&tuning::file(&self.raw.get_info(), folder, "pace"))
    }

    fn new(raw: wgpu::Adapter, compiler: ShaderCompiler) -> Self {
        let (info, limits, has) = (raw.get_info(), raw.limits(), raw.features());
        let class = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => AdapterClass::Discrete,
            wgpu::DeviceType::IntegratedGpu => AdapterClass::Integrated,
            wgpu::DeviceType::VirtualGpu => AdapterClass::Virtual,
            wgpu::DeviceType::Other => AdapterClass::Other,
            wgpu::DeviceType::Cpu => AdapterClass::Software,
        };
        let subgroups = has
            .contains(wgpu::Features::SUBGROUP)
            .then_some((info.subgroup_min_size, info.subgroup_max_size));
        Self {
            info: DeviceInfo {
                name: info.name,
                backend: backend_name(info.backend).into(),
                driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
                kind: match class {
                    AdapterClass::Software => DeviceKind::SoftwareGpu,
                    _ => DeviceKind::Gpu,
                },
            },
            class,
            limits: kernel_limits(&raw, &limits, has),
            features: Features {
                f16: has.contains(wgpu::Features::SHADER_F16),
                subgroups,
                matrix_units: matrix_units(&raw, has),
                timestamps: has.contains(wgpu::Features::TIMESTAMP_QUERY),
                max_buffer_bytes: limits.max_buffer_size,
                shader_compiler: (info.backend == wgpu::Backend::Dx12).then_some(compiler),
            },
            raw,
        }
    }
}

fn backend_name(backend: wgpu::Backend) -> &'static str {
    match backend {
        wgpu::Backend::Vulkan => "Vulkan",
        wgpu::Backend::Metal => "Metal",
        wgpu::Backend::Dx12 => "DX12",
        other => other.to_str(),
    }
}

/// Returns the largest side of matrix units that the kernels support, 8 or 16. They also need
/// subgroups, as a kernel asks for the index of its subgroup.
fn matrix_units(raw: &wgpu::Adapter, features: wgpu::Features) -> Option<u32> {
    let wanted = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX
        | wgpu::Features::SUBGROUP
        | wgpu::Features::SHADER_F16;
    let all = raw.cooperative_matrix_properties().into_iter();
    let fitting = all.filter(|unit| {
        let square = unit.m_size == unit.n_size && unit.n_size == unit.k_size;
        let halves = unit.ab_type == wgpu::CooperativeScalarType::F16;
        square && halves && unit.cr_type == wgpu::CooperativeScalarType::F32
    });
    fitting.map(|unit| unit.m_size).max().filter(|_| features.contains(wanted))
}

/// Returns the limits of a device with these wgpu limits and features.
pub(crate) fn kernel_limits(
    raw: &wgpu::Adapter,
    limits: &wgpu::Limits,
    features: wgpu::Features,
) -> Limits {
    Limits {
        // Kernels index their threads along x.
        max_invocations: limits
            .max_compute_invocations_per_workgroup
            .min(limits.max_compute_workgroup_size_x),
        max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
        max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
        max_binding_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
        half: features.contains(wgpu::Features::SHADER_F16),
        matrix_units: matrix_units(raw, features),
        // Measured on an open device; see probe.rs.
        subgroup_lanes: 1,
        loop_iterations: u64::MAX,
        launch_work: u64::MAX,
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |has| if has { "yes" } else { "no" };
        write!(f, "f16 {}, subgroups ", yes(self.f16))?;
        match self.subgroups {
            None => f.write_str("no")?,
            Some((min, max)) if min == max => write!(f, "of {min}")?,
            Some((min, max)) => write!(f, "of {min} to {max}")?,
        }
        match self.matrix_units {
            None => f.write_str(", matrix units no")?,
            Some(side) => write!(f, ", matrix units of {side} x {side}")?,
        }
        let mib = self.max_buffer_bytes >> 20;
        write!(f, ", timestamps {}, buffers to {mib} MiB", yes(self.timestamps))?;
        self.shader_compiler.map_or(Ok(()), |compiler| write!(f, ", shader compiler {compiler}"))
    }
}

impl fmt::Display for ShaderCompiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dxc => "DXC",
            Self::Fxc => "FXC",
        })
    }
}
