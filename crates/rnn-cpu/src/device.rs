use crate::session::CpuSession;
use rnn_graph::{Device, DeviceInfo, DeviceKind, Limits, Session};

/// The CPU device: the processor that this program runs on.
#[derive(Debug)]
pub struct CpuDevice {
    info: DeviceInfo,
}

impl CpuDevice {
    /// Creates a device that uses all threads of rayon's current pool. By default that has as many
    /// threads as the processor has hardware threads.
    pub fn new() -> Self {
        let threads = rayon::current_num_threads();
        let plural = if threads == 1 { "" } else { "s" };
        Self {
            info: DeviceInfo {
                name: format!("CPU, {threads} thread{plural}"),
                backend: instruction_set().into(),
                driver: String::new(),
                kind: DeviceKind::Cpu,
            },
        }
    }
}

impl Default for CpuDevice {
    fn default() -> Self {
        Self::new()
    }
}

impl Device for CpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn limits(&self) -> &Limits {
        const { &Limits { half: true, max_binding_bytes: u64::MAX, ..Limits::WEBGPU } }
    }

    fn session(&self) -> Box<dyn Session> {
        Box::new(CpuSession::default())
    }
}

fn instruction_set() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return "AVX-512";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "AVX2";
        }
        "SSE2"
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "scalar"
    }
}
