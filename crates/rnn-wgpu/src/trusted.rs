//! The only unsafe code of the crate.
#![allow(
    unsafe_code,
    reason = "wgpu marks modules without injected checks, compiled pipelines and what is \
              experimental as unsafe"
)]

/// Compiles a kernel without the bounds checks, loop guards and division guards that naga would
/// inject into it.
pub(crate) fn shader_module(
    device: &wgpu::Device,
    descriptor: wgpu::ShaderModuleDescriptor<'_>,
) -> wgpu::ShaderModule {
    let checks = wgpu::ShaderRuntimeChecks::unchecked();
    // SAFETY: the source is a `&'static Shader` of this program, never a user's text; reflection
    // has validated it with naga. That its indices stay within its bindings, its loops end and its
    // divisors are not zero is what the checked mode (`Options::checked`) and the comparison of
    // every kernel with its reference test.
    unsafe { device.create_shader_module_trusted(descriptor, checks) }
}

/// Permits the use of wgpu's experimental features.
pub(crate) fn experimental_features() -> wgpu::ExperimentalFeatures {
    // SAFETY: the only such feature that is asked for is that of cooperative matrices, which one
    // kernel uses (matrix_units.wgsl), on whole matrices within its bindings; wgpu may have mistakes
    // there, and the comparison of that kernel with its reference is what would show them.
    unsafe { wgpu::ExperimentalFeatures::enabled() }
}

/// Creates a cache of compiled pipelines, starting from the data that
/// [`wgpu::PipelineCache::get_data`] returned in an earlier run.
pub(crate) fn pipeline_cache(device: &wgpu::Device, data: Option<&[u8]>) -> wgpu::PipelineCache {
    let label = Some("rnn-gpu");
    let descriptor = wgpu::PipelineCacheDescriptor { label, data, fallback: true };
    // SAFETY: the data is of a file that is named after this adapter and driver and has the digest
    // that `Cache::save` wrote in front of it, so that no damage comes this far; wgpu compares the
    // adapter's, the driver's and its own version with those in the data and begins anew where they
    // differ. Who can forge the file with its digest can write into the user's cache directory,
    // and so replace programs that the user runs.
    unsafe { device.create_pipeline_cache(&descriptor) }
}
